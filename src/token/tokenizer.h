/* token/tokenizer.h - text to token ids and back.
 *
 * tokenizer.json is executed as data; without one, vocab.txt and
 * tokenizer_config.json describe a WordPiece tokenizer. Ids and offsets equal
 * those of the tokenizers library. What the file asks for and berth does not
 * know is refused by name when it is opened. Immutable once open: any number of
 * threads may encode at once.
 */
#ifndef TOKEN_TOKENIZER_H
#define TOKEN_TOKENIZER_H
#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>

struct tokenizer;
struct token_work;

/* The files' bytes, empty where absent; not kept. */
struct tokenizer_files {
    struct str tokenizer_json;
    struct str tokenizer_config_json;
    struct str special_tokens_map_json;
    struct str added_tokens_json;
    struct str vocab_txt;
};

/* A damaged or unsupported file: the sentence names the file, the field and the
 * value. */
int tokenizer_open(struct tokenizer **ret, const struct tokenizer_files *files,
                   struct err *err) MUST_CHECK;
void tokenizer_close(struct tokenizer *t);

enum {
    TOKEN_SPECIALS = 1, /* run the post-processor: [CLS] ... [SEP] */
    TOKEN_OFFSETS = 2,  /* fill start and end */
};

/* The caller's to keep between calls, zero before the first: the arrays are
 * reused and grow. One thread at a time. */
struct encoding {
    uint32_t *ids;         /* [n] */
    uint8_t *types;        /* [n] token type ids */
    uint32_t *start, *end; /* [n] in code points of the text that the token came
                              from; 0, 0 for added special tokens */
    uint8_t *special;      /* [n] 1 where the post-processor added it */
    size_t n, cap;
    bool truncated;
    struct token_work *work; /* private */
};
void encoding_fini(struct encoding *e);

/* Encodes a, or the pair a, b where b is not NULL. max_tokens 0 = no limit;
 * above it the text is cut at its end (a pair: the longer one first) so that n,
 * special tokens included, is max_tokens, and truncated is set. The text must
 * be valid UTF-8 (E_INVALID_REQUEST otherwise). */
int tokenizer_encode(const struct tokenizer *t, struct str a,
                     const struct str *b, unsigned flags, size_t max_tokens,
                     struct encoding *e, struct err *err) MUST_CHECK;

/* ids to text with the file's decoder, as tokenizer.decode() does. */
int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n,
                     bool skip_special, struct buf *out,
                     struct err *err) MUST_CHECK;

enum token_role {
    TOKEN_UNK,
    TOKEN_CLS,
    TOKEN_SEP,
    TOKEN_PAD,
    TOKEN_MASK,
    TOKEN_BOS,
    TOKEN_EOS,
    TOKEN_ROLES,
};
/* The id that plays a role, or -1. */
int64_t tokenizer_role(const struct tokenizer *t, enum token_role role);
/* The id of an exact token, or -1; the token of an id, empty when out of range.
 */
int64_t tokenizer_id(const struct tokenizer *t, struct str token);
struct str tokenizer_token(const struct tokenizer *t, uint32_t id);
/* One above the highest id. */
size_t tokenizer_size(const struct tokenizer *t);
/* tokenizer_config.json's model_max_length; 0 when it has none. */
size_t tokenizer_model_max(const struct tokenizer *t);

#endif
