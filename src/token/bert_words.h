/* token/bert_words.h - BertNormalizer, BertPreTokenizer and WordPiece in one
 * pass over the text, which is what nearly every BERT asks for.
 *
 * Gives exactly what the general path gives, or says that it cannot.
 */
#ifndef TOKEN_BERT_WORDS_H
#define TOKEN_BERT_WORDS_H
#include "token/parts.h"

struct bert_words;

/* NULL unless the parts are those three. Keeps what model points to. */
struct bert_words *bert_words_new(const struct chain *normalizer,
                                  const struct chain *pre_tokenizer,
                                  const struct model_type *type,
                                  const void *model);
void bert_words_free(struct bert_words *b);

/* Appends the tokens of s, whose first code point is number first, to
 * w->tokens; stops once there are more than limit. False: s holds something
 * that takes the general path (tokens may have been added), or memory is out.
 */
bool bert_words_encode(const struct bert_words *b, struct str s, bool offsets,
                       uint32_t first, size_t limit,
                       struct token_work *w) MUST_CHECK;

#endif
