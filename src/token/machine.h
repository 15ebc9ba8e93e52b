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
/* A role's token, a string or an object that has it as "content"; NONE where
 * neither file names one. special_tokens_map.json wins, unless
 * tokenizer_config.json is of the kind that has added_tokens_decoder. */
struct json role_token(struct json config, struct json map,
                       enum token_role role, struct place *ret_at);
int role_content(struct json config, struct json map, enum token_role role,
                 struct str *ret, struct err *err) MUST_CHECK;
extern const char *const role_keys[TOKEN_ROLES]; /* "unk_token", ... */
/* BERT's own names, for files that name none; NULL where it has none. */
extern const char *const bert_tokens[TOKEN_ROLES];

/* The tokens that the files beside tokenizer.json add: added_tokens_decoder or
 * added_tokens.json, roles, additional_special_tokens; in the order in which
 * transformers adds them, some of them twice. bert: not NULL for a class that
 * has BERT's own names where the files have none; those that this vocabulary
 * knows are taken. Their contents are the documents'; *ret is freed by the
 * caller. */
struct extras_files {
    struct json config, map, added;
};
int extras_read(const struct extras_files *files, const struct vocab *bert,
                struct added_token **ret, size_t *ret_n,
                struct err *err) MUST_CHECK;

#endif
