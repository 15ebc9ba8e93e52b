#include "fault.h"
#include "token/fields.h"
#include "token/text.h"
#include "token/tokenizer.h"
#include "token/trie.h"
#include "token/unicode.h"
#include "unit.h"
#include <errno.h>
#include <stdlib.h>

/* A tokenizer of twenty tokens, in the words of tokenizer.json. */
#define VOCAB                                                            \
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,"        \
    "\"[MASK]\":4,\"un\":5,\"##aff\":6,\"##able\":7,\"the\":8,\",\":9,"  \
    "\"i\":10,\"do\":11,\"not\":12,\"n\":13,\"'\":14,\"t\":15,\"a\":16," \
    "\"##a\":17,\"\xe4\xb8\xad\":18,\"e\":19}"
#define MODEL                                                            \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","         \
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":" \
    "8," VOCAB "}"
#define NORMALIZER                                                     \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true," \
    "\"handle_chinese_chars\":true,\"strip_accents\":null,"            \
    "\"lowercase\":true}"
#define PRE_TOKENIZER "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"}"
#define POST                                                            \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["  \
    "\"[CLS]\",\"$A\",\"[SEP]\"],\"pair\":[\"[CLS]\",\"$A\",\"[SEP]\"," \
    "\"$B:1\",\"[SEP]:1\"],\"special_tokens\":{\"[CLS]\":{\"id\":"      \
    "\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},\"[SEP]\":{\"id\":"  \
    "\"[SEP]\",\"ids\":[3],\"tokens\":[\"[SEP]\"]}}}"
#define DECODER \
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"
#define TOKEN(id, text, flags) \
    "{\"id\":" #id ",\"content\":\"" text "\",\"special\":true," flags "}"
#define PLAIN                                                  \
    "\"single_word\":false,\"lstrip\":false,\"rstrip\":false," \
    "\"normalized\":false"
#define STRIPPED                                             \
    "\"single_word\":false,\"lstrip\":true,\"rstrip\":true," \
    "\"normalized\":false"
#define LOWERED                                               \
    "\"single_word\":true,\"lstrip\":false,\"rstrip\":false," \
    "\"normalized\":true"
#define ADDED                                                \
    "\"added_tokens\":[" TOKEN(3, "[SEP]", PLAIN) "," TOKEN( \
        4, "[MASK]", STRIPPED) "," TOKEN(20, "NEW", LOWERED) "]"
#define FILE_OF(added, normalizer, pre, post, decoder, model)          \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null," added \
    "," normalizer "," pre "," post "," decoder "," model "}"
#define WHOLE FILE_OF(ADDED, NORMALIZER, PRE_TOKENIZER, POST, DECODER, MODEL)

static struct tokenizer *open_json(const char *json, const char *config)
{
    struct tokenizer *t = NULL;
    struct err err;
    struct tokenizer_files f = {.tokenizer_json = str_of(json),
                                .tokenizer_config_json = str_of(config)};
    if (tokenizer_open(&t, &f, &err) < 0)
        fail_msg("%s", err.msg);
    return t;
}

static void encodes(const struct tokenizer *t, const char *text, unsigned flags,
                    const uint32_t *want, size_t n)
{
    struct encoding e = {0};
    struct err err;
    assert_int_equal(
        tokenizer_encode(t, str_of(text), NULL, flags, 0, &e, &err), 0);
    assert_int_equal(e.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(e.ids[i], want[i]);
    encoding_fini(&e);
}
#define ENCODES(t, text, flags, ...)                         \
    encodes(t, text, flags, (const uint32_t[]){__VA_ARGS__}, \
            ARRAY_LEN(((const uint32_t[]){__VA_ARGS__})))

static void splits_words_by_the_longest_token_first(void **state)
{
    (void)state;
    struct tokenizer *t = open_json(WHOLE, NULL);
    ENCODES(t, "Unaffable", TOKEN_SPECIALS, 2, 1, 3); /* 9 characters: one too
                                                         many for max 8 */
    ENCODES(t, "unable, the", TOKEN_SPECIALS, 2, 5, 7, 9, 8, 3);
    ENCODES(t, "unx", 0, 1);
    ENCODES(t,
            "\xc3\xa9 \xe4\xb8\xad\xe4\xb8\xad"
            "aa",
            0, 19, 18, 18, 16, 17);
    ENCODES(t, "", TOKEN_SPECIALS, 2, 3);
    tokenizer_close(t);
}

static void offsets_are_code_points_of_the_original(void **state)
{
    (void)state;
    struct tokenizer *t = open_json(WHOLE, NULL);
    struct encoding e = {0};
    struct err err;
    /* e + U+0301, a control character inside a word, a Chinese character */
    struct str text = str_of("E\xcc\x81 un\x01"
                             "able\xe4\xb8\xad");
    assert_int_equal(tokenizer_encode(t, text, NULL,
                                      TOKEN_SPECIALS | TOKEN_OFFSETS, 0, &e,
                                      &err),
                     0);
    const uint32_t want[][3] = {{2, 0, 0},  {19, 0, 1},   {5, 3, 5},
                                {7, 6, 10}, {18, 10, 11}, {3, 0, 0}};
    assert_int_equal(e.n, ARRAY_LEN(want));
    for (size_t i = 0; i < e.n; i++) {
        assert_int_equal(e.ids[i], want[i][0]);
        assert_int_equal(e.start[i], want[i][1]);
        assert_int_equal(e.end[i], want[i][2]);
        assert_int_equal(e.special[i], want[i][2] == 0);
    }
    encoding_fini(&e);
    tokenizer_close(t);
}

static void finds_added_tokens_before_the_model(void **state)
{
    (void)state;
    struct tokenizer *t = open_json(WHOLE, NULL);
    struct encoding e = {0};
    struct err err;
    ENCODES(t, "a[SEP]a", 0, 16, 3, 16);
    ENCODES(t, "a new a", 0, 16, 20, 16); /* normalized: found in lower case */
    ENCODES(t, "a news a", 0, 16, 1, 16); /* single_word */
    struct str text = str_of("a  [MASK] a");
    assert_int_equal(
        tokenizer_encode(t, text, NULL, TOKEN_OFFSETS, 0, &e, &err), 0);
    assert_int_equal(e.n, 3);
    assert_int_equal(e.ids[1], 4);
    assert_int_equal(e.start[1], 1); /* lstrip and rstrip took the blanks */
    assert_int_equal(e.end[1], 10);
    assert_int_equal(tokenizer_size(t), 21);
    assert_int_equal(tokenizer_id(t, str_of("NEW")), 20);
    assert_true(str_is(tokenizer_token(t, 20), "NEW"));
    assert_int_equal(tokenizer_token(t, 21).n, 0);
    encoding_fini(&e);
    tokenizer_close(t);
}

static void cuts_the_longer_text_of_a_pair_first(void **state)
{
    (void)state;
    struct tokenizer *t = open_json(WHOLE, NULL);
    struct encoding e = {0};
    struct err err;
    struct str a = str_of("a a a a a a"), b = str_of("i i");
    assert_int_equal(tokenizer_encode(t, a, &b, TOKEN_SPECIALS, 8, &e, &err),
                     0);
    const uint32_t want[] = {2, 16, 16, 16, 3, 10, 10, 3};
    const uint8_t types[] = {0, 0, 0, 0, 0, 1, 1, 1};
    assert_int_equal(e.n, ARRAY_LEN(want));
    assert_memory_equal(e.ids, want, sizeof(want));
    assert_memory_equal(e.types, types, sizeof(types));
    assert_true(e.truncated);
    assert_int_equal(tokenizer_encode(t, a, &a, TOKEN_SPECIALS, 8, &e, &err),
                     0);
    assert_int_equal(e.n, 8); /* 2 of the first, 3 of the second */
    assert_int_equal(e.ids[3], 3);
    assert_int_equal(tokenizer_encode(t, b, NULL, TOKEN_SPECIALS, 4, &e, &err),
                     0);
    assert_false(e.truncated);
    assert_int_equal(tokenizer_encode(t, b, NULL, TOKEN_SPECIALS, 1, &e, &err),
                     -E_INVALID_REQUEST);
    struct str bad = str_of("\xff");
    assert_int_equal(tokenizer_encode(t, bad, NULL, 0, 0, &e, &err),
                     -E_INVALID_REQUEST);
    encoding_fini(&e);
    tokenizer_close(t);
}

static void decodes_to(const struct tokenizer *t, const uint32_t *ids, size_t n,
                       bool skip, const char *want)
{
    struct buf out = BUF_MAX(1000);
    struct err err;
    assert_int_equal(tokenizer_decode(t, ids, n, skip, &out, &err), 0);
    assert_true(str_eq(buf_str(&out), str_of(want)));
    buf_fini(&out);
}

static void decodes_and_cleans_up(void **state)
{
    (void)state;
    const uint32_t ids[] = {2, 5, 7, 9, 8, 99, 3};
    const uint32_t quoted[] = {10, 14, 16};
    struct tokenizer *t = open_json(WHOLE, NULL);
    decodes_to(t, ids, 7, false, "[CLS] unable, the [SEP]");
    decodes_to(t, ids, 7, true, "unable, the");
    decodes_to(t, ids, 0, true, "");
    decodes_to(t, quoted, 3, true, "i ' a");
    tokenizer_close(t);
    t = open_json(WHOLE, "{\"clean_up_tokenization_spaces\":true}");
    decodes_to(t, quoted, 3, true, "i'a");
    tokenizer_close(t);
}

static void config_overrides_the_normalizer_of_bert_classes(void **state)
{
    (void)state;
    struct tokenizer *t = open_json(WHOLE, "{\"do_lower_case\":false}");
    ENCODES(t, "The the", 0, 1, 8);
    tokenizer_close(t);
    t = open_json(WHOLE, "{\"do_lower_case\":false,\"tokenizer_class\":"
                         "\"PreTrainedTokenizerFast\"}");
    ENCODES(t, "The the", 0, 8, 8);
    tokenizer_close(t);
}

static void adds_what_the_files_beside_it_name(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct err err;
    struct tokenizer_files f = {
        .tokenizer_json = str_of(WHOLE),
        .tokenizer_config_json =
            str_of("{\"additional_special_tokens\":[\"<x>\",\"the\"]}"),
        .special_tokens_map_json =
            str_of("{\"pad_token\":{\"content\":\"<p>\",\"lstrip\":true}}"),
        .added_tokens_json = str_of("{\"<b>\":22,\"<a>\":21}")};
    assert_int_equal(tokenizer_open(&t, &f, &err), 0);
    ENCODES(t, "<a><b>a <p><x>", 0, 21, 22, 16, 23, 24);
    assert_int_equal(tokenizer_role(t, TOKEN_PAD), 23);
    const uint32_t ids[] = {21, 8, 24, 2, 20};
    decodes_to(t, ids, 5, true, "<a>"); /* NEW is listed as special */
    tokenizer_close(t);
    f.added_tokens_json = str_of("{\"<a>\":\"21\"}");
    assert_int_equal(tokenizer_open(&t, &f, &err), -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "added_tokens.json: a token is \"21\""));
}

static void knows_the_roles_and_the_length(void **state)
{
    (void)state;
    struct tokenizer *t =
        open_json(WHOLE, "{\"cls_token\":\"the\",\"mask_token\":{\"content\":"
                         "\"NEW\"},\"model_max_length\":512}");
    assert_int_equal(tokenizer_role(t, TOKEN_CLS), 8);
    assert_int_equal(tokenizer_role(t, TOKEN_MASK), 20);
    assert_int_equal(tokenizer_role(t, TOKEN_UNK), 1);
    assert_int_equal(tokenizer_role(t, TOKEN_PAD), 0);
    assert_int_equal(tokenizer_role(t, TOKEN_BOS), -1);
    assert_int_equal(tokenizer_model_max(t), 512);
    tokenizer_close(t);
    /* As Transformers writes it. */
    t = open_json(WHOLE, "{\"a\":\"\\\\\\\"99999999999999999999\",\"b\":[-1,"
                         "99999999999999999999],\"model_max_length\":"
                         "1000000000000000019884624838656}");
    assert_int_equal(tokenizer_model_max(t), 0);
    tokenizer_close(t);
    t = open_json(WHOLE, "{\"model_max_length\":1e30}");
    assert_int_equal(tokenizer_model_max(t), 0);
    tokenizer_close(t);
}

static void vocab_txt_makes_the_same_tokenizer(void **state)
{
    (void)state;
    struct tokenizer *t = NULL;
    struct err err;
    struct tokenizer_files f = {
        .vocab_txt = str_of("[PAD]\n[UNK]\r\n[CLS]\n[SEP]\n[MASK]\nun\n##able\n"
                            "the"),
        .tokenizer_config_json = str_of("{\"do_lower_case\":true}")};
    assert_int_equal(tokenizer_open(&t, &f, &err), 0);
    ENCODES(t,
            "Un\xc3\xa1"
            "ble [MASK] The",
            TOKEN_SPECIALS, 2, 5, 6, 4, 7, 3);
    assert_int_equal(tokenizer_role(t, TOKEN_MASK), 4);
    tokenizer_close(t);
    f.vocab_txt = str_of("a\nb\na\n");
    assert_int_equal(tokenizer_open(&t, &f, &err), -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "\"a\" is in it twice"));
}

#define WITH_VOCAB(text)                                                     \
    "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"a\",\"vocab\":" text \
    "}}"
#define WITH_ADDED(text) "{" MODEL ",\"added_tokens\":[" text "]}"
#define WITH_POST(text)  "{" MODEL ",\"post_processor\":" text "}"

static const struct {
    const char *json, *says;
} damaged[] = {
    {"[]", "tokenizer.json: the whole is an array; it must be an object"},
    {"{", "tokenizer.json: invalid JSON"},
    {"{}", "tokenizer.json: model is missing; it must be an object"},
    {"{\"version\":\"2.0\"," MODEL "}", "version is \"2.0\""},
    {"{\"model\":{\"type\":\"BPE\"}}",
     "model is \"BPE\", which berth does not"},
    {"{\"model\":{\"vocab\":[]}}", "model is \"Unigram\""},
    {WITH_VOCAB("{\"a\":0,\"b\":0}"), "the id 0 to both \"a\" and \"b\""},
    {WITH_VOCAB("{\"a\":-1}"), "model.vocab.a is -1; it must be an id"},
    {WITH_VOCAB("{\"a\":2097152}"), "model.vocab.a is 2097152"},
    {WITH_VOCAB("{\"a\":\"0\"}"), "model.vocab.a is \"0\""},
    {WITH_VOCAB("{\"a\":1.5}"), "model.vocab.a is 1.5"},
    {WITH_VOCAB("{\"b\":0}"), "unk_token is \"a\"; it must be a token of"},
    {WITH_VOCAB("{}"), "model.vocab has 0 tokens"},
    {WITH_VOCAB("7"), "model.vocab is 7; it must be an object"},
    {WITH_VOCAB("{\"a\":0},\"max_input_chars_per_word\":-5"),
     "model.max_input_chars_per_word is -5"},
    {WITH_VOCAB("{\"a\":0},\"max_input_chars_per_word\":99999999"),
     "model.max_input_chars_per_word is 99999999"},
    {WITH_VOCAB("{\"a\":0},\"unk_token\":\"b\""), "a key appears twice"},
    {"{" MODEL ",\"normalizer\":{\"type\":\"Nmt\"}}",
     "normalizer.type is \"Nmt\", which berth does not know"},
    {"{" MODEL ",\"normalizer\":7}", "normalizer is 7; it must be an object"},
    {"{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
     "{\"type\":\"NFC\"},{\"type\":\"Strip\"}]}}",
     "normalizer.normalizers[1].type is \"Strip\""},
    {"{" MODEL ",\"normalizer\":{\"type\":\"Sequence\"}}",
     "normalizer.normalizers is missing"},
    {"{" MODEL ",\"normalizer\":{\"type\":\"BertNormalizer\","
     "\"clean_text\":1}}",
     "normalizer.clean_text is 1; it must be true or false"},
    {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}",
     "pre_tokenizer.type is \"ByteLevel\""},
    {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Punctuation\",\"behavior\":"
     "\"MergedWithNext\"}}",
     "pre_tokenizer.behavior is \"MergedWithNext\""},
    {"{" MODEL ",\"decoder\":{\"type\":\"WordPiece\"}}",
     "decoder.prefix is missing"},
    {WITH_POST("{\"type\":\"RobertaProcessing\"}"),
     "post_processor.type is \"RobertaProcessing\""},
    {WITH_POST("{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",99],"
               "\"sep\":[\"[SEP]\",3]}"),
     "post_processor.cls is an array; it must be a token and its id"},
    {WITH_POST("{\"type\":\"TemplateProcessing\",\"single\":[\"[X]\"],"
               "\"pair\":[],\"special_tokens\":{}}"),
     "special_tokens has no ids for \"[X]\""},
    {WITH_POST("{\"type\":\"TemplateProcessing\",\"single\":[\"$A:999\"],"
               "\"pair\":[],\"special_tokens\":{}}"),
     "is \"$A:999\"; it must be pieces"},
    {WITH_POST("{\"type\":\"TemplateProcessing\",\"single\":[7],"
               "\"pair\":[],\"special_tokens\":{}}"),
     "is 7; it must be pieces"},
    {WITH_ADDED(TOKEN(5, "[MASK]", PLAIN)),
     "added_tokens[0].id is 5, but by the rest of the file \"[MASK]\" has"},
    {WITH_ADDED(TOKEN(21, "x", PLAIN)), "\"x\" has the id 20"},
    {WITH_ADDED(TOKEN(-1, "x", PLAIN)), "added_tokens[0].id is -1"},
    {WITH_ADDED(TOKEN(3, "[SEP]", PLAIN) "," TOKEN(3, "[SEP]", PLAIN)),
     "added_tokens lists \"[SEP]\" twice"},
    {WITH_ADDED(TOKEN(20, "", PLAIN)), "added_tokens[0].content is \"\""},
    {WITH_ADDED(TOKEN(20, "x", "\"lstrip\":true")),
     "added_tokens[0].single_word is missing"},
    {WITH_ADDED("7"), "added_tokens[0] is 7; it must be an object"},
    {"{" MODEL ",\"added_tokens\":{}}", "added_tokens is an object"},
};

static void refuses_what_is_damaged_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        struct tokenizer *t = NULL;
        struct err err = {0};
        struct tokenizer_files f = {.tokenizer_json = str_of(damaged[i].json)};
        int r = tokenizer_open(&t, &f, &err);
        if (r >= 0 || !strstr(err.msg, damaged[i].says))
            fail_msg("%s\nsays: %s\nand not: %s", damaged[i].json, err.msg,
                     damaged[i].says);
        assert_int_equal(r, -err.code);
        assert_true(err.code == E_DAMAGED_FILE ||
                    err.code == E_UNSUPPORTED_OPTION);
    }
}

static void refuses_a_long_chain(void **state)
{
    (void)state;
    struct buf b = BUF_MAX(10000);
    buf_puts(&b, "{" MODEL ",\"normalizer\":{\"type\":\"Sequence\","
                 "\"normalizers\":[");
    for (int i = 0; i < 33; i++)
        buf_addf(&b, "%s{\"type\":\"NFC\"}", i ? "," : "");
    buf_puts(&b, "]}}");
    struct tokenizer *t;
    struct err err;
    struct tokenizer_files f = {.tokenizer_json = buf_str(&b)};
    assert_int_equal(tokenizer_open(&t, &f, &err), -E_UNSUPPORTED_OPTION);
    assert_non_null(strstr(err.msg, "more than 32 components"));
    buf_fini(&b);
}

static void lower_case_may_expand(void **state)
{
    (void)state;
    uint32_t low[UNICODE_LONGEST];
    assert_int_equal(unicode_lower(0x130, low), 2);
    assert_int_equal(low[0], 'i');
    assert_int_equal(low[1], 0x307);
    assert_int_equal(unicode_lower('A', low), 1);
    assert_int_equal(low[0], 'a');
    assert_int_equal(unicode_decompose(0xFDFA, true, low), 18);
    assert_int_equal(unicode_decompose(0xAC01, false, low), 3);
    assert_int_equal(unicode_compose(0xAC00, 0x11A8), 0xAC01);
    assert_int_equal(unicode_compose('e', 0x301), 0xE9);
    assert_int_equal(unicode_compose('e', 'e'), 0);
    assert_true(unicode_is(0x10FFFF, U_DROP) || !unicode_is(0x10FFFF, U_SPACE));
}

/* Every string over a small alphabet up to length 4, every second of them a
 * key: present ones are found, absent ones are not. */
enum { ALPHABET = 5, LENGTH = 4, KEYS_MAX = 1000 };

static size_t all_strings(char s[KEYS_MAX][LENGTH + 1])
{
    static const char bytes[ALPHABET] = {0, 1, 'a', '\x7f', '\xff'};
    size_t n = 0, from = 0, width = 1;
    memset(s[n++], 0, LENGTH + 1);
    for (size_t len = 1; len <= LENGTH; len++, width *= ALPHABET) {
        size_t end = n;
        for (; from < end; from++)
            for (int c = 0; c < ALPHABET; c++) {
                memcpy(s[n], s[from], LENGTH + 1);
                s[n][len - 1] = bytes[c];
                s[n++][LENGTH] = (char)len;
            }
    }
    return n;
}

static void trie_finds_what_was_put_in(void **state)
{
    (void)state;
    static char s[KEYS_MAX][LENGTH + 1]; /* the last byte is the length */
    struct trie_key keys[KEYS_MAX];
    size_t n = all_strings(s), n_keys = 0;
    assert_int_equal(n, 781);
    for (size_t i = 1; i < n; i += 2)
        keys[n_keys++] =
            (struct trie_key){str_n(s[i], (size_t)s[i][LENGTH]), (int32_t)i};
    struct trie t;
    assert_int_equal(trie_build(&t, keys, n_keys, NULL), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(trie_find(&t, str_n(s[i], (size_t)s[i][LENGTH])),
                         i % 2 ? (int32_t)i : TRIE_NONE);
    trie_fini(&t);
}

static void trie_takes_the_longest_and_refuses_twins(void **state)
{
    (void)state;
    struct trie_key keys[] = {
        {str_of("ab"), 1}, {str_of("abcd"), 2}, {str_of("ab"), 3}};
    struct trie t;
    struct str twice;
    int32_t value = 0;
    assert_int_equal(trie_build(&t, keys, 3, &twice), -EEXIST);
    assert_true(str_is(twice, "ab"));
    assert_int_equal(trie_build(&t, keys, 3, NULL), 0);
    assert_int_equal(trie_longest(&t, TRIE_ROOT, str_of("abcx"), &value), 2);
    assert_int_equal(value, 1);
    assert_int_equal(trie_longest(&t, TRIE_ROOT, str_of("abcdx"), &value), 4);
    assert_int_equal(value, 2);
    assert_int_equal(trie_longest(&t, TRIE_ROOT, str_of("x"), &value), 0);
    trie_fini(&t);
    assert_int_equal(trie_build(&t, keys, 0, NULL), 0);
    assert_int_equal(trie_find(&t, str_of("")), TRIE_NONE);
    trie_fini(&t);
}

static void build_two(void)
{
    struct trie_key keys[] = {{str_of("a"), 0}, {str_of("bc"), 1}};
    struct trie t;
    if (trie_build(&t, keys, 2, NULL) == 0)
        assert_int_equal(trie_find(&t, str_of("bc")), 1);
    trie_fini(&t);
}

static void trie_survives_every_allocation_failure(void **state)
{
    (void)state;
    int runs = 0;
    FAULT_EACH({
        build_two();
        runs++;
    });
    assert_true(runs > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_words_by_the_longest_token_first),
        cmocka_unit_test(offsets_are_code_points_of_the_original),
        cmocka_unit_test(finds_added_tokens_before_the_model),
        cmocka_unit_test(cuts_the_longer_text_of_a_pair_first),
        cmocka_unit_test(decodes_and_cleans_up),
        cmocka_unit_test(config_overrides_the_normalizer_of_bert_classes),
        cmocka_unit_test(adds_what_the_files_beside_it_name),
        cmocka_unit_test(knows_the_roles_and_the_length),
        cmocka_unit_test(vocab_txt_makes_the_same_tokenizer),
        cmocka_unit_test(refuses_what_is_damaged_by_name),
        cmocka_unit_test(refuses_a_long_chain),
        cmocka_unit_test(lower_case_may_expand),
        cmocka_unit_test(trie_finds_what_was_put_in),
        cmocka_unit_test(trie_takes_the_longest_and_refuses_twins),
        cmocka_unit_test(trie_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
