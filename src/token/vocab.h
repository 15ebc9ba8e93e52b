/* token/vocab.h - ids and the byte strings they stand for. Immutable once the
 * tokenizer is open. */
#ifndef TOKEN_VOCAB_H
#define TOKEN_VOCAB_H
#include "base/arena.h"
#include "token/fields.h"
#include "token/trie.h"

/* What a file may ask for at most. */
enum { VOCAB_MAX = 1 << 21, VOCAB_TOKEN_BYTES_MAX = 4096 };

struct vocab {
    struct arena arena;
    struct str *token; /* [n]; p is NULL where no token has the id */
    size_t n, cap;
    size_t count;     /* the model's tokens: without added ones and holes */
    struct trie trie; /* the model's tokens */
};
void vocab_fini(struct vocab *v);

/* {token: id}. Refuses, naming them: ids that are no ids, an id given twice,
 * tokens that are too long or too many. */
int vocab_from_json(struct vocab *v, struct json object, const struct place *at,
                    struct err *err) MUST_CHECK;
/* One token a line; its number is the id. */
int vocab_from_lines(struct vocab *v, struct str text, const char *file,
                     struct err *err) MUST_CHECK;
/* A token that the model does not know. -EEXIST: the id has another. */
int vocab_put(struct vocab *v, struct str token, size_t id) MUST_CHECK;

static inline struct str vocab_token(const struct vocab *v, size_t id)
{
    return id < v->n ? v->token[id] : str_n(NULL, 0);
}

#endif
