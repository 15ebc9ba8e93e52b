/* token/postprocess.h - where the special tokens go: templates of one text and
 * of a pair. */
#ifndef TOKEN_POSTPROCESS_H
#define TOKEN_POSTPROCESS_H
#include "token/fields.h"
#include "token/vocab.h"

enum { TEMPLATE_MAX = 64 };

/* A sequence, or one special token (left out where no special tokens are
 * wanted). */
struct template_piece {
    int sequence; /* 0: A, 1: B, -1: the token */
    uint32_t id;
    uint8_t type;
};
struct template
{
    struct template_piece piece[TEMPLATE_MAX];
    size_t n, n_added; /* n_added: how many are tokens */
};
struct postprocessor {
    struct template one, pair;
};

/* v: tokenizer.json's "post_processor"; null adds nothing. Ids must be the
 * vocabulary's. */
int postprocessor_open(struct postprocessor *p, struct json v,
                       const struct vocab *vocab, const struct place *at,
                       struct err *err) MUST_CHECK;

#endif
