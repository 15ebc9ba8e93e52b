#include "api/call.h"
#include "api/infer.h"
#include "unit.h"

/* ---- inputs ------------------------------------------------------------- */

typedef int read_fn(struct json v, struct arena *a, struct inputs *ret,
                    struct err *err);

static int any(struct json v, struct arena *a, struct inputs *ret,
               struct err *err)
{
    return inputs_read(v, "input", a, ret, err);
}

/* Reads text by fn and has look() look at what came of it. */
static int with(const char *text, read_fn *fn, struct err *err,
                void (*look)(const struct inputs *in))
{
    struct arena a = ARENA_MAX(1 << 20);
    struct inputs in;
    struct json_doc *doc = json_parse(str_of(text), 1 << 20, 64, err);
    assert_non_null(doc);
    int r = fn(json_root(doc), &a, &in, err);
    if (r == 0 && look)
        look(&in);
    json_free(doc);
    arena_fini(&a);
    return r;
}

static void is_one_text(const struct inputs *in)
{
    assert_true(in->single);
    assert_int_equal(in->n, 1);
    assert_int_equal(in->characters, 3);
    assert_true(str_is(in->items[0].parts[0].data, "a\xC3\xA9"));
}

static void is_mixed(const struct inputs *in)
{
    assert_false(in->single);
    assert_int_equal(in->n, 3);
    assert_int_equal(in->items[0].parts[0].kind, PART_TEXT);
    assert_int_equal(in->items[1].parts[0].kind, PART_TOKENS);
    assert_memory_equal(in->items[1].parts[0].data.p,
                        "\x01\0\0\0\xff\xff\xff\xff", 8);
    assert_int_equal(in->items[2].parts[0].data.n, 0);
}

static void is_one_list_of_tokens(const struct inputs *in)
{
    assert_true(in->single);
    assert_int_equal(in->n, 1);
    assert_memory_equal(in->items[0].parts[0].data.p, "\x65\0\0\0\x02\x01\0\0",
                        8);
}

static void inputs_are_texts_and_tokens(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(with("\"a\xC3\xA9\"", any, &err, is_one_text), 0);
    assert_int_equal(with("[\"a\",[1,4294967295],\"\"]", any, &err, is_mixed),
                     0);
    assert_int_equal(with("[101,258]", any, &err, is_one_list_of_tokens), 0);
    static const struct {
        const char *text, *word;
    } bad[] = {{"[]", "'input' is empty"},
               {"[[]]", "empty list of tokens"},
               {"7", "'input' is an integer"},
               {"null", "'input' is null"},
               {"{}", "'input' is an object"},
               {"[1,\"a\"]", "a string among its token ids"},
               {"[1.5]", "a number among"},
               {"[-1]", "an integer among"},
               {"[4294967296]", "from 0 to 4294967295"},
               {"[\"a\",7]", "'input[1]' is an integer"},
               {"[[[1]]]", "an array among"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(with(bad[i].text, any, &err, NULL),
                         -E_INVALID_REQUEST);
        if (!strstr(err.msg, bad[i].word))
            fail_msg("%s: %s", bad[i].text, err.msg);
    }
}

static void are_two_items(const struct inputs *in)
{
    assert_int_equal(in->n, 2);
    assert_int_equal(in->items[0].n_parts, 64);
    assert_int_equal(in->items[1].n_parts, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(str_is(in->items[i].parts[0].role, "source"));
        assert_true(str_is(in->items[i].parts[0].data, "s"));
        assert_true(str_is(in->items[i].parts[1].role, "sentence"));
    }
    assert_true(str_is(in->items[0].parts[1].data, "0"));
    assert_true(str_is(in->items[0].parts[63].data, "62"));
    assert_true(str_is(in->items[1].parts[1].data, "63"));
}

static void sentences_are_cut_into_items(void **state)
{
    (void)state;
    struct err err;
    struct buf b = BUF_MAX(4096);
    buf_puts(&b, "{\"source_sentence\":\"s\",\"sentences\":[");
    for (int i = 0; i < 64; i++)
        buf_addf(&b, "%s\"%d\"", i ? "," : "", i);
    buf_add(&b, "]}", 3);
    assert_int_equal(with(b.p, inputs_pairs, &err, are_two_items), 0);
    buf_fini(&b);
    static const char *const bad[] = {
        "{\"source_sentence\":\"s\",\"sentences\":[]}",
        "{\"source_sentence\":\"s\",\"sentences\":[1]}",
        "{\"source_sentence\":\"s\",\"sentences\":\"t\"}",
        "{\"sentences\":[\"t\"]}", "[]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(with(bad[i], inputs_pairs, &err, NULL),
                         -E_INVALID_REQUEST);
}

/* ---- answers ------------------------------------------------------------ */

static void trees_become_json(void **state)
{
    (void)state;
    struct buf body = BUF_MAX(4096), out = BUF_MAX(4096);
    struct wire_node nodes[128];
    struct err err;
    wire_put_map(&body, 4);
    wire_put_text(&body, str_of("a"));
    wire_put_array(&body, 3);
    wire_put_uint(&body, UINT64_MAX);
    wire_put_int(&body, -5);
    wire_put_float(&body, 0.5);
    wire_put_text(&body, str_of("b"));
    wire_put_map(&body, 0);
    wire_put_text(&body, str_of("c\""));
    wire_put_array(&body, 0);
    wire_put_text(&body, str_of("d"));
    wire_put_array(&body, 1);
    wire_put_array(&body, 2);
    wire_put_null(&body);
    wire_put_bool(&body, true);
    assert_true(wire_decode(buf_str(&body), nodes, 128, &err) > 0);
    struct jsonw w = jsonw_to(&out);
    wire_json(&w, nodes);
    buf_putc(&out, 0);
    assert_string_equal(out.p, "{\"a\":[18446744073709551615,-5,0.5],\"b\":{},"
                               "\"c\\\"\":[],\"d\":[[null,true]]}");
    buf_fini(&body);
    buf_fini(&out);
}

static void the_deepest_tree_becomes_json(void **state)
{
    (void)state;
    struct buf body = BUF_MAX(4096), out = BUF_MAX(4096);
    struct wire_node nodes[128];
    struct err err;
    for (int i = 1; i < WIRE_DEPTH_MAX; i++)
        wire_put_array(&body, 1);
    wire_put_uint(&body, 7);
    assert_true(wire_decode(buf_str(&body), nodes, 128, &err) > 0);
    struct jsonw w = jsonw_to(&out);
    wire_json(&w, nodes);
    assert_int_equal(out.len, 2 * (WIRE_DEPTH_MAX - 1) + 1);
    assert_int_equal(out.p[WIRE_DEPTH_MAX - 1], '7');
    buf_fini(&body);
    buf_fini(&out);
}

static void an_error_has_a_shape_for_each_protocol(void **state)
{
    (void)state;
    static const struct {
        enum api_proto proto;
        int code, status;
        const char *text;
    } want[] = {
        {PROTO_BERTH, E_QUEUE_FULL, 429,
         "{\"error\":{\"code\":\"queue_full\",\"message\":\"a \\\"b\\\"\"}}"},
        {PROTO_OPENAI, E_MODEL_NOT_FOUND, 404,
         "{\"error\":{\"message\":\"a \\\"b\\\"\",\"type\":\"not_found_error\","
         "\"param\":\"model\",\"code\":\"model_not_found\"}}"},
        {PROTO_OPENAI, E_INPUT_TOO_LONG, 400,
         "{\"error\":{\"message\":\"a \\\"b\\\"\",\"type\":"
         "\"invalid_request_error\",\"param\":\"input\",\"code\":"
         "\"input_too_long\"}}"},
        {PROTO_HF, E_INPUT_TOO_LONG, 422,
         "{\"error\":\"a \\\"b\\\"\",\"error_type\":\"input_too_long\"}"},
        {PROTO_TEI, E_INVALID_REQUEST, 422,
         "{\"error\":\"a \\\"b\\\"\",\"error_type\":\"Validation\"}"},
        {PROTO_TEI, E_WORKER_CRASHED, 424,
         "{\"error\":\"a \\\"b\\\"\",\"error_type\":\"Backend\"}"},
        {PROTO_TEI, E_DRAINING, 503,
         "{\"error\":\"a \\\"b\\\"\",\"error_type\":\"Unhealthy\"}"},
        {PROTO_TEI, E_QUEUE_FULL, 429,
         "{\"error\":\"a \\\"b\\\"\",\"error_type\":\"Overloaded\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct buf out = BUF_MAX(4096);
        struct err err;
        err_set(&err, want[i].code, "a \"b\"");
        api_error_body(&out, want[i].proto, &err);
        buf_putc(&out, 0);
        assert_string_equal(out.p, want[i].text);
        assert_int_equal(api_error_status(want[i].proto, want[i].code),
                         want[i].status);
        buf_fini(&out);
    }
}

static void an_unknown_path_has_a_protocol_too(void **state)
{
    (void)state;
    assert_int_equal(route_proto(str_of("/v1/x")), PROTO_OPENAI);
    assert_int_equal(route_proto(str_of("/models/x")), PROTO_HF);
    assert_int_equal(route_proto(str_of("/v10")), PROTO_BERTH);
    assert_int_equal(route_proto(str_of("/")), PROTO_BERTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_are_texts_and_tokens),
        cmocka_unit_test(sentences_are_cut_into_items),
        cmocka_unit_test(trees_become_json),
        cmocka_unit_test(the_deepest_tree_becomes_json),
        cmocka_unit_test(an_error_has_a_shape_for_each_protocol),
        cmocka_unit_test(an_unknown_path_has_a_protocol_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
