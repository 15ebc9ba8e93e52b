/* token/parts.h - the components that a tokenizer is put together from.
 *
 * Each component is a struct part_type in a file of its own and a line in one
 * of the tables of parts.c. A tokenizer holds a chain of parts for each stage;
 * the type "Sequence" is not a part, its members simply follow one another in
 * the chain.
 */
#ifndef TOKEN_PARTS_H
#define TOKEN_PARTS_H
#include "base/buf.h"
#include "token/fields.h"
#include "token/vocab.h"
#include "token/work.h"

enum { CHAIN_MAX = 32 };

struct part_type;
struct part {
    const struct part_type *type;
    void *self; /* the type's own */
};
struct chain {
    struct part part[CHAIN_MAX];
    size_t n;
};

/* Strings one after another: what decoders turn into others. */
struct strings {
    struct buf bytes;
    struct buf ends; /* size_t [n] */
    size_t n;
};

struct part_type {
    const char *name; /* as "type" in the file */
    /* Reads the component's own fields. self is freed by close, which accepts
     * NULL; both may be absent. */
    int (*open)(void **ret_self, struct json v, const struct place *at,
                struct err *err);
    void (*close)(void *self);
    /* One of these, by stage. 0, -ENOMEM or -E2BIG. */
    union {
        int (*normalize)(const void *self, const struct text *in,
                         struct text *out);
        /* Splits w->pieces that are still text. */
        int (*split)(const void *self, struct token_work *w);
        int (*decode)(const void *self, const struct strings *in,
                      struct strings *out);
    };
};

/* NULL-terminated tables, one for each stage. */
extern const struct part_type *const normalizer_types[];
extern const struct part_type *const pre_tokenizer_types[];
extern const struct part_type *const decoder_types[];

/* The chain that v asks for (null: an empty one). sequence: the key under which
 * a "Sequence" lists its members. */
int chain_open(struct chain *c, const struct part_type *const *types,
               struct json v, const char *sequence, const struct place *at,
               struct err *err) MUST_CHECK;
void chain_close(struct chain *c);

/* w->text through the chain. */
int chain_normalize(const struct chain *c, struct token_work *w) MUST_CHECK;
int chain_split(const struct chain *c, struct token_work *w) MUST_CHECK;

/* BertNormalizer's and the WordPiece decoder's settings, for the fused path and
 * for vocab.txt. */
struct bert_normalizer {
    bool clean_text, handle_chinese_chars, strip_accents, lowercase;
};
extern const struct part_type bert_normalizer_type, bert_pre_tokenizer_type;

/* The model: pieces to tokens. */
struct model;
struct model_type {
    const char *name;
    /* Fills vocab, unless it is filled already. */
    int (*open)(void **ret_self, struct json v, struct vocab *vocab,
                const struct place *at, struct err *err);
    void (*close)(void *self);
    /* One non-empty piece; offsets are bytes of the piece. Memory that is out
     * shows in out->failed. */
    void (*encode)(const void *self, struct str piece, struct token_list *out);
    /* The token for what the vocabulary lacks; -1 where there is none. */
    int64_t (*unknown)(const void *self);
};
extern const struct model_type *const model_types[];

void strings_init(struct strings *s, size_t max_bytes);
void strings_fini(struct strings *s);
void strings_reset(struct strings *s);
/* Ends the string whose bytes were added to s->bytes. */
int strings_end(struct strings *s);
struct str strings_at(const struct strings *s, size_t i);

#endif
