/* arch/family.h - an architecture family as data.
 *
 * A family says which keys of config.json hold its dimensions, what its tensors
 * are called and what is odd about it; arch/compile.c does the rest. A new one
 * is a file beside bert.c and a line in families.def.
 */
#ifndef ARCH_FAMILY_H
#define ARCH_FAMILY_H
#include "arch/problem.h"
#include "model/config.h"

/* Tensors by role. A name stands for name.weight and name.bias, and '#' for the
 * layer's number. */
enum slot {
    SLOT_WORDS,     /* [vocab][hidden] */
    SLOT_POSITIONS, /* [positions][hidden] */
    SLOT_TYPES,     /* [types][hidden]; NULL: the family has none */
    SLOT_EMBED_NORM,
    SLOT_Q, /* [hidden][hidden], with a bias; K, V and O too */
    SLOT_K,
    SLOT_V,
    SLOT_O,
    SLOT_ATTEND_NORM, /* after attention and its residual */
    SLOT_UP,          /* [ffn][hidden], with a bias */
    SLOT_DOWN,        /* [hidden][ffn], with a bias */
    SLOT_FFN_NORM,    /* after the feed-forward part and its residual */
    /* The language-model head. Its names take no prefix. */
    SLOT_HEAD_DENSE, /* [hidden][hidden], with a bias, then the activation */
    SLOT_HEAD_NORM,
    SLOT_HEAD_DECODER, /* [vocab][hidden]; tied to SLOT_WORDS by default */
    SLOT_HEAD_BIAS,    /* the whole name of a tensor [vocab] */
    SLOT_COUNT
};

/* Keys as in model/config.h. */
struct family_keys {
    const char *hidden, *layers, *heads, *ffn, *vocab, *positions;
    const char *types; /* NULL: no token types */
    const char *act;
    const char *eps; /* NULL: always family.eps */
};

struct family {
    const char *model_types[4];    /* NULL-terminated, as all lists here */
    const char *prefixes[4];       /* before the names of the body; "" too */
    const char *body_class;        /* "BertModel" */
    const char *masked_classes[4]; /* those with the language-model head */
    struct family_keys keys;
    double eps; /* of the norms, when config.json is silent */
    const char *slots[SLOT_COUNT];
    /* Adds what it finds in config.json and cannot compute; may be NULL. */
    void (*check)(const struct config *c, struct problems *problems);
};

/* NULL for an unknown model_type. */
const struct family *family_find(const char *model_type);
/* "bert, distilbert" into buf[size]; returns buf. */
char *family_list(char *buf, size_t size);

#endif
