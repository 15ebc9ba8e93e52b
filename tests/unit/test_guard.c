#include "base/buf.h"
#include "http/guard.h"
#include "http/path.h"
#include "unit.h"

enum { SHOWN = 16 };

static const struct guard_rules rules = {
    .headers = 100, .header_bytes = 32768, .body_bytes = 16 << 20};

/* "Name: value" lines, NULL-terminated. */
static int check(const struct guard_rules *g, const char *const *lines,
                 int64_t *body)
{
    struct guard_header h[SHOWN];
    struct err err;
    size_t n = 0;
    for (; lines[n]; n++) {
        const char *colon = strchr(lines[n], ':');
        h[n].name = str_n(lines[n], (size_t)(colon - lines[n]));
        h[n].value = str_of(colon + 1);
    }
    return guard_check(g, h, n, 200, body, &err);
}
#define CHECK(...) \
    check(&rules, (const char *const[]){__VA_ARGS__, NULL}, &body)

static void ambiguous_framing_is_refused(void **state)
{
    (void)state;
    int64_t body = 0;
    assert_int_equal(CHECK("Host: localhost", "Content-Length: 5"), 0);
    assert_int_equal(body, 5);
    assert_int_equal(CHECK("Host: localhost", "Transfer-Encoding: chunked"), 0);
    assert_int_equal(body, GUARD_CHUNKED);
    assert_int_equal(
        CHECK("host: localhost", "Content-Length: 5", "content-length: 5"),
        -E_INVALID_REQUEST);
    assert_int_equal(CHECK("Host: localhost", "Content-Length: 5",
                           "Transfer-Encoding: chunked"),
                     -E_INVALID_REQUEST);
    static const char *const bad[] = {
        "Content-Length: +5",
        "Content-Length: 5, 5",
        "Content-Length: ",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "X\"Y: a",
        ": a",
        "X: a\nb",
        "X: a\x7f",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(CHECK("Host: localhost", bad[i]), -E_INVALID_REQUEST);
}

static void exactly_one_known_host_is_answered(void **state)
{
    (void)state;
    int64_t body;
    assert_int_equal(CHECK("X: y"), -E_INVALID_REQUEST);
    assert_int_equal(CHECK("Host: localhost", "Host: localhost"),
                     -E_INVALID_REQUEST);
    static const char *const good[] = {"localhost",   "LOCALHOST:7337",
                                       "127.0.0.1:1", "[::1]:7337",
                                       "[::1]",       "127.0.0.1"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(guard_host(&rules, str_of(good[i])));
    static const char *const bad[] = {
        "",           "evil.example", "localhost.evil.example",
        "10.0.0.1",   "0.0.0.0",      "localhost:80:80",
        "localhost:", "[::1",         "localhost:x",
        "[::1]x",     "127.0.0.1.",   "localhost:123456"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (strcmp(bad[i], "localhost:")) /* an empty port is the default */
            assert_false(guard_host(&rules, str_of(bad[i])));
    assert_int_equal(CHECK("Host: rebound.example"), -E_MISDIRECTED);
}

static void listed_hosts_and_addresses_are_answered_when_asked(void **state)
{
    (void)state;
    struct guard_rules g = rules;
    g.hosts = (const char *const[]){"berth.lan", NULL};
    assert_true(guard_host(&g, str_of("berth.lan:7337")));
    assert_false(guard_host(&g, str_of("10.0.0.1:7337")));
    g.any_address = true;
    assert_true(guard_host(&g, str_of("10.0.0.1:7337")));
    assert_true(guard_host(&g, str_of("[fe80::1]:7337")));
    assert_false(guard_host(&g, str_of("rebound.example")));
}

static void pages_of_others_are_refused(void **state)
{
    (void)state;
    int64_t body;
    const char *host = "Host: localhost:7337";
    assert_int_equal(CHECK(host, "Origin: http://localhost:7337"), 0);
    static const char *const bad[] = {
        "Origin: null",
        "Origin: http://evil.example",
        "Origin: http://localhost:7338",
        "Origin: http://localhost",
        "Origin: file://localhost:7337",
        "Origin: ",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(CHECK(host, bad[i]), -E_FORBIDDEN);
    struct guard_rules g = rules;
    g.origins = (const char *const[]){"https://ui.example", NULL};
    assert_int_equal(
        check(&g,
              (const char *const[]){host, "Origin: https://ui.example", NULL},
              &body),
        0);
}

static void sizes_have_ends(void **state)
{
    (void)state;
    int64_t body;
    struct guard_rules g = rules;
    const char *const two[] = {"Host: localhost", "Content-Length: 16777216",
                               NULL};
    assert_int_equal(check(&g, two, &body), 0);
    const char *const more[] = {"Host: localhost", "Content-Length: 16777217",
                                NULL};
    assert_int_equal(check(&g, more, &body), -E_TOO_LARGE);
    g.headers = 1;
    assert_int_equal(check(&g, two, &body), -E_HEADER_TOO_LARGE);
    g.headers = 2;
    g.header_bytes = 199;
    assert_int_equal(check(&g, two, &body), -E_HEADER_TOO_LARGE);
    assert_true(guard_is_framing(-E_HEADER_TOO_LARGE));
    assert_false(guard_is_framing(-E_FORBIDDEN));
}

static void json_is_named_as_json(void **state)
{
    (void)state;
    assert_true(guard_is_json(str_of("application/json")));
    assert_true(guard_is_json(str_of("Application/JSON; charset=utf-8")));
    assert_false(guard_is_json(str_of("text/plain")));
    assert_false(guard_is_json(str_of("application/jsonp")));
    assert_false(guard_is_json(str_of("")));
}

static void bytes_are_named_as_what_no_page_sends(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool bytes;
        const char *media;
    } cases[] = {
        {"image/png", true, "image/png"},
        {"Audio/WAV; rate=16000", true, "Audio/WAV"},
        {"video/mp4", true, "video/mp4"},
        {"application/octet-stream", true, ""},
        {"", false, ""},
        {"image/", false, ""},
        {"image/a b", false, ""},
        {"image/\xC3\xA9", false, ""},
        {"images/png", false, ""},
        {"text/plain", false, ""},
        {"multipart/form-data; boundary=b", false, ""},
        {"application/x-www-form-urlencoded", false, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str media;
        assert_int_equal(guard_is_bytes(str_of(cases[i].type), &media),
                         cases[i].bytes);
        assert_true(str_is(media, cases[i].media));
    }
    assert_true(guard_is_form(str_of("multipart/form-data; boundary=b")));
    assert_true(guard_is_form(str_of("Multipart/Form-Data")));
    assert_false(guard_is_form(str_of("multipart/mixed; boundary=b")));
}

static int decode(const char *raw, struct str *ret)
{
    static char copy[256];
    struct err err;
    size_t n = strlen(raw);
    memcpy(copy, raw, n + 1);
    return path_decode(copy, n, ret, &err);
}

static void paths_are_decoded_once(void **state)
{
    (void)state;
    struct str p;
    assert_int_equal(decode("/v1/models/a%2Fb", &p), 0);
    assert_true(str_is(p, "/v1/models/a/b"));
    assert_int_equal(decode("/%2541", &p), 0);
    assert_true(str_is(p, "/%41"));
    assert_int_equal(decode("/caf%C3%A9", &p), 0);
    static const char *const bad[] = {
        "",        "models", "*",         "/%",      "/%4",
        "/%zz",    "/%00",   "/a%0d%0ab", "/%ff",    "/..",
        "/a/../b", "/a/.",   "/%2e%2e/b", "/a%2f..", "http://x/"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(decode(bad[i], &p), -E_INVALID_REQUEST);
    assert_int_equal(decode("/a..b/...", &p), 0);
}

static void queries_are_searched_by_key(void **state)
{
    (void)state;
    char out[16];
    struct str q = str_of("model=a%2Fb&follow=1&empty=&flag&x=a+b%2B");
    assert_true(path_query(q, "model", out, sizeof(out)));
    assert_string_equal(out, "a/b");
    assert_true(path_query(q, "x", out, sizeof(out)));
    assert_string_equal(out, "a b+");
    assert_true(path_query(q, "empty", out, sizeof(out)));
    assert_string_equal(out, "");
    assert_true(path_query(q, "flag", out, sizeof(out)));
    assert_false(path_query(q, "mode", out, sizeof(out)));
    assert_false(path_query(q, "model", out, 3));
    assert_false(path_query(str_of("a=%zz"), "a", out, sizeof(out)));
    assert_false(path_query(str_of("a=%ff"), "a", out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(exactly_one_known_host_is_answered),
        cmocka_unit_test(listed_hosts_and_addresses_are_answered_when_asked),
        cmocka_unit_test(pages_of_others_are_refused),
        cmocka_unit_test(sizes_have_ends),
        cmocka_unit_test(json_is_named_as_json),
        cmocka_unit_test(bytes_are_named_as_what_no_page_sends),
        cmocka_unit_test(paths_are_decoded_once),
        cmocka_unit_test(queries_are_searched_by_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
