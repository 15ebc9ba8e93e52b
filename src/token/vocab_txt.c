/* token/vocab_txt.c - a BERT tokenizer without tokenizer.json.
 *
 * What vocab.txt and tokenizer_config.json mean is put into the words of
 * tokenizer.json, so that there is one way to open a tokenizer. The components
 * are those of transformers' BertTokenizer.
 */
#include "base/jsonw.h"
#include "base/mem.h"
#include "token/machine.h"

static size_t id_of(const struct vocab *vocab, struct str token)
{
    int32_t id = trie_find(&vocab->trie, token);
    return id == TRIE_NONE ? VOCAB_MAX : (size_t)id;
}

/* A role's token, as the class names it where the files do not. */
static int bert_token(struct json config, struct json map, enum token_role role,
                      struct str *ret, struct err *err)
{
    int r = role_content(config, map, role, ret, err);
    if (!r && !ret->p && bert_tokens[role])
        *ret = str_of(bert_tokens[role]);
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
    jsonw_uint(w, id_of(vocab, token));
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
    int r = put_normalizer(&w, config, err);
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
