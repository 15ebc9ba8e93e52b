/* token/roles.c - what tokenizer_config.json and special_tokens_map.json say
 * about the tokens and the text. */
#include "token/machine.h"

const char *const role_keys[TOKEN_ROLES] = {
    [TOKEN_UNK] = "unk_token",   [TOKEN_CLS] = "cls_token",
    [TOKEN_SEP] = "sep_token",   [TOKEN_PAD] = "pad_token",
    [TOKEN_MASK] = "mask_token", [TOKEN_BOS] = "bos_token",
    [TOKEN_EOS] = "eos_token",
};

const char *const bert_tokens[TOKEN_ROLES] = {
    [TOKEN_UNK] = "[UNK]", [TOKEN_CLS] = "[CLS]",   [TOKEN_SEP] = "[SEP]",
    [TOKEN_PAD] = "[PAD]", [TOKEN_MASK] = "[MASK]",
};

struct json role_token(struct json config, struct json map,
                       enum token_role role, struct place *ret_at)
{
    struct json in_map = json_get(map, role_keys[role]);
    struct json decoder = json_get(config, "added_tokens_decoder");
    bool modern = json_type(decoder) == JSON_OBJECT;
    bool use_map = !modern && json_type(in_map) != JSON_NONE &&
                   json_type(in_map) != JSON_NULL;
    *ret_at = (struct place){.file = use_map ? "special_tokens_map.json"
                                             : "tokenizer_config.json"};
    struct json v = use_map ? in_map : json_get(config, role_keys[role]);
    return json_type(v) == JSON_NULL ? (struct json){0} : v;
}

int role_content(struct json config, struct json map, enum token_role role,
                 struct str *ret, struct err *err)
{
    struct place at;
    struct json v = role_token(config, map, role, &at);
    *ret = str_n(NULL, 0);
    if (json_type(v) == JSON_NONE || json_to_str(v, ret) ||
        json_to_str(json_get(v, "content"), ret))
        return 0;
    return field_bad(&at, role_keys[role], v,
                     "a token, or an object with its content", err);
}

static int read_role(struct tokenizer *t, struct json config, struct json map,
                     enum token_role role, struct err *err)
{
    struct str name;
    int r = role_content(config, map, role, &name, err);
    if (r)
        return r;
    bool wordpiece = !strcmp(t->model_type->name, "WordPiece");
    if (!name.p && role == TOKEN_UNK)
        t->role[role] = t->model_type->unknown(t->model);
    else if (!name.p && wordpiece && bert_tokens[role])
        name = str_of(bert_tokens[role]);
    if (name.p)
        t->role[role] = tokenizer_id(t, name);
    return 0;
}

/* "No limit" is written as 1000000000000000019884624838656. */
static int read_model_max(struct tokenizer *t, struct json config,
                          const struct place *at, struct err *err)
{
    struct json v = json_get(config, "model_max_length");
    double max = 0;
    if (json_type(v) == JSON_NONE || json_type(v) == JSON_NULL)
        return 0;
    if (!json_to_double(v, &max) || !(max >= 1))
        return field_bad(at, "model_max_length", v, "a number from 1 on", err);
    t->model_max = max < 1e9 ? (size_t)max : 0;
    return 0;
}

int roles_read(struct tokenizer *t, struct json config, struct json map,
               struct err *err)
{
    const struct place at = {.file = "tokenizer_config.json"};
    int r = read_model_max(t, config, &at, err);
    if (!r)
        r = field_bool(config, "clean_up_tokenization_spaces", FIELD_OPTIONAL,
                       &at, &t->clean_up, err);
    for (int i = 0; i < TOKEN_ROLES && !r; i++) {
        t->role[i] = -1;
        r = read_role(t, config, map, (enum token_role)i, err);
    }
    return r;
}
