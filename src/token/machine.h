/* token/machine.h - a tokenizer's insides, shared by the files that open it
 * and those that run it. */
#ifndef TOKEN_MACHINE_H
#define TOKEN_MACHINE_H
#include "token/added.h"
#include "token/parts.h"
#include "token/postprocess.h"
#include "token/tokenizer.h"

struct tokenizer {
    struct vocab vocab;
    struct added added;
    struct chain normalizer, pre_tokenizer, decoder;
    const struct model_type *model_type;
    void *model;
    struct postprocessor post;
    struct bert_words *fused; /* NULL: this tokenizer takes the general path */
    int64_t role[TOKEN_ROLES];
    size_t model_max;
    bool clean_up; /* decoding ends with decode_cleanup() */
};

/* tokenizer.json for a WordPiece tokenizer that came as vocab.txt, which vocab
 * holds already; the model in it has no vocabulary. */
int vocab_txt_describe(const struct vocab *vocab, struct json config,
                       struct json map, struct buf *out,
                       struct err *err) MUST_CHECK;

/* Reads tokenizer_config.json (may be NONE) and special_tokens_map.json:
 * roles, model_max_length, clean_up_tokenization_spaces. */
int roles_read(struct tokenizer *t, struct json config, struct json map,
               struct err *err) MUST_CHECK;
/* The content of a role's token: a string, or an object that has it; empty
 * where neither file names one. */
int role_content(struct json config, struct json map, enum token_role role,
                 struct str *ret, struct err *err) MUST_CHECK;
extern const char *const role_keys[TOKEN_ROLES]; /* "unk_token", ... */

#endif
