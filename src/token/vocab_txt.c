/* token/vocab_txt.c - a BERT tokenizer without tokenizer.json.
 *
 * vocab.txt, tokenizer_config.json, special_tokens_map.json and
 * added_tokens.json are put into the words of tokenizer.json, so that there is
 * one way to open a tokenizer. The components are those of transformers'
 * BertTokenizer.
 */
#include "base/jsonw.h"
#include "base/mem.h"
#include "token/machine.h"

struct listing {
    struct jsonw *w;
    const struct vocab *vocab;
    struct json seen; /* tokenizer_config.json's added_tokens_decoder */
    size_t next_id;   /* of the next token that vocab.txt lacks */
};

static size_t id_of(const struct vocab *vocab, struct str token,
                    size_t otherwise)
{
    int32_t id = trie_find(&vocab->trie, token);
    return id == TRIE_NONE ? otherwise : (size_t)id;
}

static void put_added(struct listing *l, struct str content, struct json flags,
                      bool special)
{
    static const char *const keys[] = {"single_word", "lstrip", "rstrip",
                                       "normalized"};
    size_t id = id_of(l->vocab, content, l->next_id);
    l->next_id += id == l->next_id;
    jsonw_object(l->w);
    jsonw_kuint(l->w, "id", id);
    jsonw_kstr(l->w, "content", content);
    jsonw_kbool(l->w, "special", special);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        bool on = false;
        json_to_bool(json_get(flags, keys[i]), &on);
        jsonw_kbool(l->w, keys[i], on);
    }
    jsonw_end_object(l->w);
}

/* {"101": {"content": "[CLS]", "special": true, ...}, ...} */
static int put_decoder(struct listing *l, struct err *err)
{
    const struct place at = {.file = "tokenizer_config.json",
                             .path = "added_tokens_decoder"};
    for (struct json_iter it = json_iter(l->seen); json_next(&it);) {
        struct str content;
        bool special = false;
        if (!json_to_str(json_get(it.value, "content"), &content))
            return field_bad(&at, "content", json_get(it.value, "content"),
                             "a string", err);
        json_to_bool(json_get(it.value, "special"), &special);
        put_added(l, content, it.value, special);
    }
    return 0;
}

static bool listed(struct json decoder, struct str content)
{
    struct str s;
    for (struct json_iter it = json_iter(decoder); json_next(&it);)
        if (json_to_str(json_get(it.value, "content"), &s) &&
            str_eq(s, content))
            return true;
    return false;
}

/* The roles' tokens, as the class names them where the files do not. */
static int bert_token(struct json config, struct json map, enum token_role role,
                      struct str *ret, struct err *err)
{
    static const char *const names[TOKEN_ROLES] = {
        [TOKEN_UNK] = "[UNK]", [TOKEN_CLS] = "[CLS]",   [TOKEN_SEP] = "[SEP]",
        [TOKEN_PAD] = "[PAD]", [TOKEN_MASK] = "[MASK]",
    };
    int r = role_content(config, map, role, ret, err);
    if (!r && !ret->p && names[role])
        *ret = str_of(names[role]);
    return r;
}

static int put_roles(struct listing *l, struct json config, struct json map,
                     struct err *err)
{
    struct str done[TOKEN_ROLES];
    int r = 0;
    for (int i = 0; i < TOKEN_ROLES && !r; i++) {
        enum token_role role = (enum token_role)i;
        r = bert_token(config, map, role, &done[i], err);
        bool again = !done[i].p || listed(l->seen, done[i]);
        for (int k = 0; k < i && !again; k++)
            again = str_eq(done[k], done[i]);
        struct json flags = json_get(config, role_keys[role]);
        if (!r && !again)
            put_added(l, done[i], flags, true);
    }
    return r;
}

static int put_added_tokens(struct jsonw *w, const struct vocab *vocab,
                            struct json config, struct json map,
                            struct err *err)
{
    struct listing l = {.w = w,
                        .vocab = vocab,
                        .seen = json_get(config, "added_tokens_decoder"),
                        .next_id = vocab->count};
    jsonw_key(w, "added_tokens");
    jsonw_array(w);
    int r = put_decoder(&l, err);
    if (!r)
        r = put_roles(&l, config, map, err);
    jsonw_end_array(w);
    return r;
}

static int put_normalizer(struct jsonw *w, struct json config, struct err *err)
{
    const struct place at = {.file = "tokenizer_config.json"};
    bool lower = true, chinese = true;
    int r =
        field_bool(config, "do_lower_case", FIELD_OPTIONAL, &at, &lower, err);
    bool strip = lower;
    if (!r)
        r = field_bool(config, "strip_accents", FIELD_OPTIONAL, &at, &strip,
                       err);
    if (!r)
        r = field_bool(config, "tokenize_chinese_chars", FIELD_OPTIONAL, &at,
                       &chinese, err);
    jsonw_key(w, "normalizer");
    jsonw_object(w);
    jsonw_kz(w, "type", "BertNormalizer");
    jsonw_kbool(w, "clean_text", true);
    jsonw_kbool(w, "handle_chinese_chars", chinese);
    jsonw_kbool(w, "strip_accents", strip);
    jsonw_kbool(w, "lowercase", lower);
    jsonw_end_object(w);
    return r;
}

static void put_piece(struct jsonw *w, const char *kind, struct str id,
                      int64_t type)
{
    jsonw_object(w);
    jsonw_key(w, kind);
    jsonw_object(w);
    jsonw_kstr(w, "id", id);
    jsonw_kint(w, "type_id", type);
    jsonw_end_object(w);
    jsonw_end_object(w);
}

static void put_template(struct jsonw *w, bool pair, struct str cls,
                         struct str sep)
{
    jsonw_key(w, pair ? "pair" : "single");
    jsonw_array(w);
    put_piece(w, "SpecialToken", cls, 0);
    put_piece(w, "Sequence", str_of("A"), 0);
    put_piece(w, "SpecialToken", sep, 0);
    if (pair) {
        put_piece(w, "Sequence", str_of("B"), 1);
        put_piece(w, "SpecialToken", sep, 1);
    }
    jsonw_end_array(w);
}

static void put_special(struct jsonw *w, struct str token,
                        const struct vocab *vocab)
{
    jsonw_key_n(w, token);
    jsonw_object(w);
    jsonw_key(w, "ids");
    jsonw_array(w);
    jsonw_uint(w, id_of(vocab, token, VOCAB_MAX));
    jsonw_end_array(w);
    jsonw_end_object(w);
}

static int put_postprocessor(struct jsonw *w, const struct vocab *vocab,
                             struct json config, struct json map,
                             struct err *err)
{
    struct str cls, sep;
    int r = bert_token(config, map, TOKEN_CLS, &cls, err);
    if (!r)
        r = bert_token(config, map, TOKEN_SEP, &sep, err);
    if (r)
        return r;
    if (trie_find(&vocab->trie, cls) == TRIE_NONE ||
        trie_find(&vocab->trie, sep) == TRIE_NONE)
        return err_set(err, E_DAMAGED_FILE,
                       "vocab.txt: it lacks \"%.*s\" or \"%.*s\", which every "
                       "text is put between",
                       STR_FMT(cls), STR_FMT(sep));
    jsonw_key(w, "post_processor");
    jsonw_object(w);
    jsonw_kz(w, "type", "TemplateProcessing");
    put_template(w, false, cls, sep);
    put_template(w, true, cls, sep);
    jsonw_key(w, "special_tokens");
    jsonw_object(w);
    put_special(w, cls, vocab);
    if (!str_eq(cls, sep))
        put_special(w, sep, vocab);
    jsonw_end_object(w);
    jsonw_end_object(w);
    return 0;
}

static int put_model(struct jsonw *w, struct json config, struct json map,
                     struct err *err)
{
    struct str unk;
    int r = bert_token(config, map, TOKEN_UNK, &unk, err);
    jsonw_key(w, "model");
    jsonw_object(w);
    jsonw_kz(w, "type", "WordPiece");
    jsonw_kstr(w, "unk_token", unk);
    jsonw_kz(w, "continuing_subword_prefix", "##");
    jsonw_kint(w, "max_input_chars_per_word", 100);
    jsonw_end_object(w);
    return r;
}

int vocab_txt_describe(const struct vocab *vocab, struct json config,
                       struct json map, struct buf *out, struct err *err)
{
    struct jsonw w = jsonw_to(out);
    jsonw_object(&w);
    int r = put_added_tokens(&w, vocab, config, map, err);
    if (!r)
        r = put_normalizer(&w, config, err);
    jsonw_key(&w, "pre_tokenizer");
    jsonw_object(&w);
    jsonw_kz(&w, "type", "BertPreTokenizer");
    jsonw_end_object(&w);
    if (!r)
        r = put_postprocessor(&w, vocab, config, map, err);
    jsonw_key(&w, "decoder");
    jsonw_object(&w);
    jsonw_kz(&w, "type", "WordPiece");
    jsonw_kz(&w, "prefix", "##");
    jsonw_kbool(&w, "cleanup", true);
    jsonw_end_object(&w);
    if (!r)
        r = put_model(&w, config, map, err);
    jsonw_end_object(&w);
    return r;
}
