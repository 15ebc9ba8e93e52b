/* token/decode.h - what decoding does to whole texts as well as to tokens. */
#ifndef TOKEN_DECODE_H
#define TOKEN_DECODE_H
#include "base/buf.h"

/* Takes away the blanks before punctuation and English contractions. The
 * library also makes "don't" of "do not" where it cleans token by token. 0,
 * -E2BIG or -ENOMEM. */
int decode_cleanup(struct str s, bool contract_do_not,
                   struct buf *out) MUST_CHECK;

#endif
