/* token/normalize.h - steps that more than one normalizer takes. */
#ifndef TOKEN_NORMALIZE_H
#define TOKEN_NORMALIZE_H
#include "token/text.h"

enum { FORM_COMPATIBILITY = 1, FORM_COMPOSED = 2 };

/* Unicode normalization: form 0 is NFD. 0, -ENOMEM or -E2BIG. */
int normalize_form(const struct text *in, unsigned form,
                   struct text *out) MUST_CHECK;
/* The lower case of the next code point, cp, in its place. */
void normalize_lower(struct rewrite *w, uint32_t cp);

#endif
