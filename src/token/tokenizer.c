/* token/tokenizer.c - opens a tokenizer from its files, and answers about its
 * tokens. Running it is in encode.c and decode.c. */
#include "token/tokenizer.h"
#include "base/mem.h"
#include "token/bert_words.h"
#include "token/decode.h"
#include "token/machine.h"
#include <errno.h>

enum {
    FILE_BYTES_MAX = 128 << 20,
    JSON_DEPTH_MAX = 32,
    DECODE_BYTES_MAX = 64 << 20,
};

static int parse(struct json_doc **ret, struct str text, const char *file,
                 struct err *err)
{
    if (text.n == 0)
        return 0;
    *ret = json_parse(text, FILE_BYTES_MAX, JSON_DEPTH_MAX, err);
    if (!*ret) {
        if (err && err->code == E_INVALID_REQUEST)
            err->code = E_DAMAGED_FILE;
        return err_prefix(err, "%s", file);
    }
    struct place at = {.file = file};
    struct json root = json_root(*ret);
    return json_type(root) == JSON_OBJECT
               ? 0
               : field_bad(&at, "", root, "an object", err);
}

static struct json root_of(const struct json_doc *doc)
{
    return doc ? json_root(doc) : (struct json){0};
}

/* Files from before components had names: told by their fields. */
static struct str model_name(struct json v, struct str type)
{
    if (type.p)
        return type;
    if (json_type(json_get(v, "merges")) != JSON_NONE)
        return str_of("BPE");
    if (json_type(json_get(v, "max_input_chars_per_word")) != JSON_NONE)
        return str_of("WordPiece");
    if (json_type(json_get(v, "vocab")) == JSON_ARRAY)
        return str_of("Unigram");
    return str_of("WordLevel");
}

static int open_model(struct tokenizer *t, struct json root,
                      const struct place *file, struct err *err)
{
    struct place at = place_in(file, "model", -1);
    struct str type = {0};
    struct json v;
    int r = field_of(root, "model", JSON_OBJECT, FIELD_REQUIRED, file, &v, err);
    if (!r)
        r = field_str(v, "type", FIELD_OPTIONAL, &at, &type, err);
    if (r)
        return r;
    type = model_name(v, type);
    for (size_t i = 0; model_types[i]; i++) {
        if (!str_is(type, model_types[i]->name))
            continue;
        t->model_type = model_types[i];
        return t->model_type->open(&t->model, v, &t->vocab, &at, err);
    }
    return err_set(err, E_UNSUPPORTED_OPTION,
                   "%s: the tokenizer's model is \"%.*s\", which berth does "
                   "not know; it knows WordPiece",
                   file->file, type.n < 64 ? (int)type.n : 64, type.p);
}

static int open_chain(struct chain *c, const struct part_type *const *types,
                      struct json root, const char *key, const char *sequence,
                      const struct place *file, struct err *err)
{
    struct place at = place_in(file, key, -1);
    return chain_open(c, types, json_get(root, key), sequence, &at, err);
}

/* transformers' class that takes tokenizer.json as it is; any other one of a
 * WordPiece tokenizer is BERT's. */
static bool generic(struct json config)
{
    struct str name;
    return json_to_str(json_get(config, "tokenizer_class"), &name) &&
           (str_is(name, "PreTrainedTokenizerFast") ||
            str_is(name, "TokenizersBackend"));
}

/* transformers' BertTokenizer takes these from tokenizer_config.json even where
 * tokenizer.json says otherwise; its generic class does not. */
static int override(struct tokenizer *t, struct json config, struct err *err)
{
    const struct place at = {.file = "tokenizer_config.json"};
    if (t->normalizer.n != 1 ||
        t->normalizer.part[0].type != &bert_normalizer_type || generic(config))
        return 0;
    struct bert_normalizer *n = t->normalizer.part[0].self;
    bool lower = n->lowercase;
    int r =
        field_bool(config, "do_lower_case", FIELD_OPTIONAL, &at, &lower, err);
    if (json_type(json_get(config, "do_lower_case")) == JSON_BOOL)
        n->lowercase = n->strip_accents = lower;
    if (!r)
        r = field_bool(config, "strip_accents", FIELD_OPTIONAL, &at,
                       &n->strip_accents, err);
    if (!r)
        r = field_bool(config, "tokenize_chinese_chars", FIELD_OPTIONAL, &at,
                       &n->handle_chinese_chars, err);
    return r;
}

struct docs {
    struct json_doc *tokenizer, *config, *map, *added;
};

static int open_added(struct tokenizer *t, const struct docs *d,
                      const struct place *at, struct err *err)
{
    struct json list;
    struct added_token *extra = NULL;
    size_t n = 0;
    int r = field_of(root_of(d->tokenizer), "added_tokens", JSON_ARRAY,
                     FIELD_OPTIONAL, at, &list, err);
    const struct extras_files files = {root_of(d->config), root_of(d->map),
                                       root_of(d->added)};
    bool bert =
        !strcmp(t->model_type->name, "WordPiece") && !generic(files.config);
    if (!r)
        r = extras_read(&files, bert ? &t->vocab : NULL, &extra, &n, err);
    if (!r)
        r = added_open(&t->added, list, &t->vocab, extra, n, &t->normalizer, at,
                       err);
    free(extra);
    return r;
}

static int open_root(struct tokenizer *t, const struct docs *d,
                     const struct place *at, struct err *err)
{
    struct json root = root_of(d->tokenizer);
    struct str version = str_of("1.0");
    int r = field_str(root, "version", FIELD_OPTIONAL, at, &version, err);
    if (!r && !str_is(version, "1.0"))
        r = field_unknown(at, "version", json_get(root, "version"), "1.0", err);
    if (!r)
        r = open_chain(&t->normalizer, normalizer_types, root, "normalizer",
                       "normalizers", at, err);
    if (!r)
        r = open_chain(&t->pre_tokenizer, pre_tokenizer_types, root,
                       "pre_tokenizer", "pretokenizers", at, err);
    if (!r)
        r = open_chain(&t->decoder, decoder_types, root, "decoder", "decoders",
                       at, err);
    if (!r)
        r = open_model(t, root, at, err);
    if (!r)
        r = override(t, root_of(d->config), err);
    if (!r)
        r = open_added(t, d, at, err);
    struct place post = place_in(at, "post_processor", -1);
    return r ? r
             : postprocessor_open(&t->post, json_get(root, "post_processor"),
                                  &t->vocab, &post, err);
}

static void docs_fini(struct docs *d)
{
    json_free(d->tokenizer);
    json_free(d->config);
    json_free(d->map);
    json_free(d->added);
}

static int parse_all(struct docs *d, const struct tokenizer_files *f,
                     struct err *err)
{
    int r = parse(&d->tokenizer, f->tokenizer_json, "tokenizer.json", err);
    if (!r)
        r = parse(&d->config, f->tokenizer_config_json, "tokenizer_config.json",
                  err);
    if (!r)
        r = parse(&d->map, f->special_tokens_map_json,
                  "special_tokens_map.json", err);
    if (!r)
        r = parse(&d->added, f->added_tokens_json, "added_tokens.json", err);
    return r;
}

/* No tokenizer.json: one is written from vocab.txt. */
static int describe(struct tokenizer *t, struct docs *d, struct str vocab_txt,
                    struct err *err)
{
    if (vocab_txt.n == 0)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "the model has neither tokenizer.json nor vocab.txt; "
                       "berth reads no other tokenizer files yet");
    int r = vocab_from_lines(&t->vocab, vocab_txt, "vocab.txt", err);
    if (r)
        return r;
    struct buf text = BUF_MAX(FILE_BYTES_MAX);
    r = vocab_txt_describe(&t->vocab, root_of(d->config), root_of(d->map),
                           &text, err);
    if (!r && text.failed)
        r = err_set(err, E_INSUFFICIENT_MEMORY,
                    "there is not enough memory to open the tokenizer");
    if (!r)
        r = parse(&d->tokenizer, buf_str(&text), "tokenizer_config.json", err);
    buf_fini(&text);
    return r;
}

int tokenizer_open(struct tokenizer **ret, const struct tokenizer_files *files,
                   struct err *err)
{
    struct tokenizer *t = mem_new(struct tokenizer);
    struct place at = {.file = "tokenizer.json"};
    struct docs d = {0};
    int r = parse_all(&d, files, err);
    bool described = !r && !d.tokenizer;
    if (described) {
        at.file = "tokenizer_config.json";
        r = describe(t, &d, files->vocab_txt, err);
    }
    if (!r)
        r = open_root(t, &d, &at, err);
    if (!r)
        r = roles_read(t, root_of(d.config), root_of(d.map), err);
    docs_fini(&d);
    if (r) {
        tokenizer_close(t);
        return r;
    }
    if (t->added.normalized.n == 0)
        t->fused = bert_words_new(&t->normalizer, &t->pre_tokenizer,
                                  t->model_type, t->model);
    *ret = t;
    return 0;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    bert_words_free(t->fused);
    if (t->model_type)
        t->model_type->close(t->model);
    chain_close(&t->normalizer);
    chain_close(&t->pre_tokenizer);
    chain_close(&t->decoder);
    added_close(&t->added);
    vocab_fini(&t->vocab);
    free(t);
}

int64_t tokenizer_role(const struct tokenizer *t, enum token_role role)
{
    return t->role[role];
}

int64_t tokenizer_id(const struct tokenizer *t, struct str token)
{
    int32_t index = trie_find(&t->added.by_content, token);
    if (index != TRIE_NONE)
        return t->added.token[index].id;
    return trie_find(&t->vocab.trie, token);
}

struct str tokenizer_token(const struct tokenizer *t, uint32_t id)
{
    return vocab_token(&t->vocab, id);
}

size_t tokenizer_size(const struct tokenizer *t)
{
    return t->vocab.n;
}

size_t tokenizer_model_max(const struct tokenizer *t)
{
    return t->model_max;
}

static bool is_special(const struct tokenizer *t, struct str token)
{
    int32_t index = trie_find(&t->added.by_content, token);
    return index != TRIE_NONE && t->added.token[index].special;
}

static int decode_strings(const struct tokenizer *t, struct strings *in,
                          struct strings *out)
{
    int r = 0;
    for (size_t i = 0; i < t->decoder.n && !r; i++) {
        const struct part *p = &t->decoder.part[i];
        strings_reset(out);
        r = p->type->decode(p->self, in, out);
        struct strings made = *out;
        *out = *in;
        *in = made;
    }
    return r;
}

/* The tokens' strings; between them a blank where there is no decoder. Ids that
 * stand for nothing are left out, as the library does. */
static int list_tokens(const struct tokenizer *t, const uint32_t *ids, size_t n,
                       bool skip_special, struct strings *s)
{
    int r = 0;
    for (size_t i = 0; i < n && !r; i++) {
        struct str token = tokenizer_token(t, ids[i]);
        if (!token.p || (skip_special && is_special(t, token)))
            continue;
        if (t->decoder.n == 0 && s->n)
            buf_putc(&s->bytes, ' ');
        buf_add(&s->bytes, token.p, token.n);
        r = strings_end(s);
    }
    return r;
}

int tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n,
                     bool skip_special, struct buf *out, struct err *err)
{
    struct strings a, b;
    strings_init(&a, DECODE_BYTES_MAX);
    strings_init(&b, DECODE_BYTES_MAX);
    int r = list_tokens(t, ids, n, skip_special, &a);
    if (!r)
        r = decode_strings(t, &a, &b);
    if (!r)
        r = t->clean_up ? decode_cleanup(buf_str(&a.bytes), false, out)
                        : buf_add(out, a.bytes.p, a.bytes.len);
    strings_fini(&a);
    strings_fini(&b);
    if (r == -E2BIG)
        return err_set(err, E_TOO_LARGE,
                       "the decoded text is over the limit of its buffer");
    if (r)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "there is not enough memory to decode the tokens");
    return 0;
}
