/* token/work.h - what one call of tokenizer_encode() works on.
 *
 * Kept in the caller's struct encoding between calls, so that nothing is
 * allocated once it has grown. One thread at a time.
 */
#ifndef TOKEN_WORK_H
#define TOKEN_WORK_H
#include "token/text.h"

/* A part of the text: bytes [from, to). */
struct piece {
    size_t from, to;
    int64_t id; /* of the added token that it is, or -1: still text */
};
struct piece_list {
    struct piece *v; /* [n] */
    size_t n, cap;
};

/* from and to: bytes of the piece while the model has it, code points of the
 * original afterwards. */
struct token {
    uint32_t id, from, to;
};
struct token_list {
    struct token *v; /* [n] */
    size_t n, cap;
    bool failed; /* memory was out */
};

struct token_work {
    struct text text, spare;
    struct piece_list pieces, split; /* of the text; being made from them */
    struct piece_list raw;           /* of the text as it came */
    struct token_list tokens;
    struct text word; /* one word of the fused path */
};

struct token_work *work_new(void);
void work_free(struct token_work *w);

int piece_add(struct piece_list *l, struct piece p) MUST_CHECK;
/* Grows the list; false and failed when memory is out. */
bool token_list_grow(struct token_list *l);
static inline void token_add(struct token_list *l, uint32_t id, size_t from,
                             size_t to)
{
    if (l->n < l->cap || token_list_grow(l))
        l->v[l->n++] = (struct token){id, (uint32_t)from, (uint32_t)to};
}

#endif
