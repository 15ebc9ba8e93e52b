#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/crew.h"
#include "base/err.h"
#include "base/json.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "fault.h"
#include "unit.h"
#include <errno.h>
#include <math.h>

static void buf_refuses_past_its_limit(void **state)
{
    (void)state;
    struct buf b = BUF_MAX(4);
    assert_int_equal(buf_add(&b, "abcde", 5), -E2BIG);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.failed, -E2BIG);
    buf_reset(&b);
    assert_int_equal(buf_add(&b, "abcd", 4), 0);
    buf_fini(&b);
}

static void buf_survives_every_allocation_failure(void **state)
{
    (void)state;
    int runs = 0;
    FAULT_EACH({
        struct buf b = BUF_MAX(1 << 20);
        for (int i = 0; i < 100 && buf_add(&b, "0123456789", 10) == 0; i++)
            ;
        assert_int_equal(b.len % 10, 0);
        buf_fini(&b);
        runs++;
    });
    assert_int_equal(runs,
                     6); /* 64 ... 1024 fail once each; then a clean run */
}

static void arena_keeps_to_its_ceiling(void **state)
{
    (void)state;
    struct arena a = ARENA_MAX(1 << 16);
    assert_non_null(arena_alloc(&a, 1 << 15, 1));
    assert_null(arena_alloc(&a, 1 << 16, 1));
    assert_null(arena_alloc(&a, SIZE_MAX / 2, 3));
    assert_non_null(arena_alloc(&a, 1 << 15, 1));
    arena_fini(&a);
}

static void errors_have_names_and_clean_sentences(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(err_set(&e, E_QUEUE_FULL, "a\nb%s", "\xC3\xA9"),
                     -E_QUEUE_FULL);
    assert_string_equal(e.msg, "a?b\xC3\xA9");
    assert_string_equal(err_name(-E_QUEUE_FULL), "queue_full");
    assert_int_equal(err_http_status(E_QUEUE_FULL), 429);
    assert_int_equal(err_http_status(-ENOSPC), 507);
    assert_int_equal(err_http_status(-EIO), 500);
    assert_int_equal(err_from_name("deadline", 8), E_DEADLINE);
    char longest[2000];
    memset(longest, 'x', sizeof(longest));
    memcpy(longest + 497, "\xE2\x82\xAC", 4);
    err_set(&e, EIO, "%s", longest);
    assert_true(utf8_valid(str_of(e.msg)));
}

static void utf8_is_strict(void **state)
{
    (void)state;
    assert_true(utf8_valid(str_of("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80")));
    static const char *const bad[] = {
        "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xE2\x82", "\x80",         "\xF8\x88\x80\x80\x80"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(str_of(bad[i])));
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp += cp == 0xD7FF ? 0x801 : 1) {
        char p[4];
        uint32_t back = 0;
        size_t n = utf8_encode(cp, p);
        assert_int_equal(utf8_decode(p, n, &back), n);
        assert_int_equal(back, cp);
    }
}

static void json_reads_what_it_should(void **state)
{
    (void)state;
    struct err err;
    struct str text = str_of("{\"a\":[1,2.5,\"x\\u0000y\",true,null],\"n\":-3,"
                             "\"big\":18446744073709551615,\"o\":{}}");
    struct json_doc *d = json_parse(text, 1000, 8, &err);
    assert_non_null(d);
    struct json root = json_root(d), a = json_get(root, "a");
    assert_int_equal(json_count(root), 4);
    assert_int_equal(json_count(a), 5);
    enum json_type want[] = {JSON_INT, JSON_DOUBLE, JSON_STRING, JSON_BOOL,
                             JSON_NULL};
    int i = 0;
    for (struct json_iter it = json_iter(a); json_next(&it); i++)
        assert_int_equal(json_type(it.value), want[i]);
    assert_int_equal(i, 5);
    int64_t n = 0;
    assert_true(json_to_int(json_get(root, "n"), -5, 5, &n));
    assert_int_equal(n, -3);
    assert_false(json_to_int(json_get(root, "n"), 0, 5, &n));
    assert_int_equal(json_type(json_get(root, "big")), JSON_UINT);
    assert_int_equal(json_type(json_get(root, "none")), JSON_NONE);
    assert_int_equal(json_type(json_get(a, "a")), JSON_NONE);
    struct json_iter it = json_iter(root);
    assert_true(json_next(&it));
    assert_true(str_is(it.key, "a"));
    json_free(d);
}

static void json_refuses_what_it_should(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "{",
                                      "[1,]",
                                      "{\"a\":1,\"a\":2}",
                                      "[1] 2",
                                      "[[[[[]]]]]",
                                      "\"\xff\"",
                                      "[NaN]",
                                      "[1e999]",
                                      "nul",
                                      "[{\"b\":0,\"c\":{\"d\":1,\"d\":1}}]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        assert_null(json_parse(str_of(bad[i]), 1000, 4, &err));
        assert_int_equal(err.code, E_INVALID_REQUEST);
    }
    struct err err = {0};
    assert_null(json_parse(str_of("[1,2,3,4]"), 5, 4, &err));
    assert_int_equal(err.code, E_TOO_LARGE);
}

static void json_written_is_json(void **state)
{
    (void)state;
    struct buf b = BUF_MAX(1000);
    struct jsonw w = jsonw_to(&b);
    jsonw_object(&w);
    jsonw_kz(&w, "a\"", "x\n\x01\xff\xC3\xA9");
    jsonw_key(&w, "f");
    float f[] = {0.1f, 1e-30f, NAN};
    jsonw_floats(&w, f, 3);
    jsonw_kint(&w, "i", -1);
    jsonw_kz(&w, "z", NULL);
    jsonw_end_object(&w);
    buf_putc(&b, 0);
    assert_string_equal(b.p, "{\"a\\\"\":\"x\\n\\u0001\xEF\xBF\xBD\xC3\xA9\","
                             "\"f\":[0.1,1e-30,null],\"i\":-1,\"z\":null}");
    buf_fini(&b);
}

static void base64_reads_what_it_wrote(void **state)
{
    (void)state;
    char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (char)(255 - i);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        struct buf text = BUF_MAX(1024), back = BUF_MAX(1024);
        assert_int_equal(base64_encode(&text, bytes, n), 0);
        assert_int_equal(base64_decode(&back, buf_str(&text)), 0);
        assert_true(str_eq(buf_str(&back), str_n(bytes, n)));
        buf_fini(&text);
        buf_fini(&back);
    }
}

static void base64_refuses_what_is_none(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "A",    "AAAAA", "A===", "====",  "=",
        "AA=A", "AA-_",  "AA A", "AAA\n", "AA==="};
    struct buf b = BUF_MAX(64);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(base64_decode(&b, str_of(bad[i])), -EINVAL);
    assert_int_equal(b.len, 0);
    assert_int_equal(base64_decode(&b, str_of("Zm9vYg")), 0); /* unpadded */
    assert_true(str_is(buf_str(&b), "foob"));
    buf_fini(&b);
    struct buf small = BUF_MAX(3);
    assert_int_equal(base64_decode(&small, str_of("Zm9vYmFy")), -E2BIG);
    buf_fini(&small);
}

static void base64_pads(void **state)
{
    (void)state;
    static const char *const want[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="};
    for (size_t n = 0; n < ARRAY_LEN(want); n++) {
        struct buf b = BUF_MAX(100);
        assert_int_equal(base64_encode(&b, "foob", n), 0);
        buf_putc(&b, 0);
        assert_string_equal(b.p, want[n]);
        buf_fini(&b);
    }
}

static void count_in(void *ctx, int i)
{
    __atomic_fetch_add((int *)ctx + i, 1, __ATOMIC_RELAXED);
}

static void a_crew_works_each_time_in_every_thread(void **state)
{
    (void)state;
    struct err err;
    struct crew *c;
    int counts[3] = {0};
    assert_int_equal(crew_open(&c, 3, &err), 0);
    assert_int_equal(crew_size(c), 3);
    for (int turn = 1; turn <= 100; turn++) {
        crew_work(c, count_in, counts);
        crew_wait(c);
        for (int i = 0; i < 3; i++)
            assert_int_equal(counts[i], turn);
    }
    crew_close(c);
    crew_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_refuses_past_its_limit),
        cmocka_unit_test(buf_survives_every_allocation_failure),
        cmocka_unit_test(arena_keeps_to_its_ceiling),
        cmocka_unit_test(errors_have_names_and_clean_sentences),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(json_reads_what_it_should),
        cmocka_unit_test(json_refuses_what_it_should),
        cmocka_unit_test(json_written_is_json),
        cmocka_unit_test(base64_pads),
        cmocka_unit_test(base64_reads_what_it_wrote),
        cmocka_unit_test(base64_refuses_what_is_none),
        cmocka_unit_test(a_crew_works_each_time_in_every_thread),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
