#include "model/config.h"
#include "models.h"

static void open_text(struct config *c, struct snapshot *s, const char *text)
{
    struct err err;
    *s = (struct snapshot){0};
    put_text(s, "config.json", text);
    assert_int_equal(config_open(c, s, "config.json", false, &err), 0);
}

static void takes_the_first_key_that_is_there(void **state)
{
    (void)state;
    struct snapshot s;
    struct config c;
    struct err err;
    int64_t n = 5;
    double d = 0.5;
    bool b = false;
    char text[16];
    open_text(
        &c, &s,
        "{\"x\":null,\"b\":3,\"e\":1e-5,\"t\":true,\"s\":\"abc\",\"f\":4.0}");
    assert_int_equal(config_int(&c, "x|b", true, 1, 3, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(config_int(&c, "x|y", false, 1, 3, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(config_int(&c, "f", true, 4, 4, &n, &err), 0);
    assert_int_equal(config_number(&c, "e", true, 0, 1, &d, &err), 0);
    assert_true(d == 1e-5);
    assert_int_equal(config_bool(&c, "t", &b, &err), 0);
    assert_true(b);
    assert_int_equal(config_text(&c, "s", true, text, sizeof(text), &err), 0);
    assert_string_equal(text, "abc");
    config_fini(&c);
    snapshot_fini(&s);
}

static void every_error_names_file_key_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *text, *key, *says;
    } cases[] = {
        {"{}", "a|b", "config.json: a is missing"},
        {"{\"a\":0}", "a",
         "config.json: a is 0; it must be a whole number from "
         "1 to 8"},
        {"{\"a\":9}", "a", "a is 9;"},
        {"{\"b\":9}", "a|b", "b is 9;"},
        {"{\"a\":1.5}", "a", "a is 1.5;"},
        {"{\"a\":\"7\"}", "a", "a is '7';"},
        {"{\"a\":true}", "a", "a is true;"},
        {"{\"a\":[1]}", "a", "a is an array;"},
        {"{\"a\":{}}", "a", "a is an object;"},
        {"{\"a\":-9223372036854775808}", "a", "a is -9223372036854775808;"},
        {"{\"a\":18446744073709551615}", "a", "a is 1.84467e+19;"},
        {"{\"a\":1e300}", "a", "a is 1e+300;"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct snapshot s;
        struct config c;
        struct err err = {0};
        int64_t n = -1;
        open_text(&c, &s, cases[i].text);
        assert_int_equal(config_int(&c, cases[i].key, true, 1, 8, &n, &err),
                         -E_DAMAGED_FILE);
        assert_int_equal(n, -1);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s: %s", cases[i].text, err.msg);
        config_fini(&c);
        snapshot_fini(&s);
    }
}

static void other_kinds_are_ranged_too(void **state)
{
    (void)state;
    struct snapshot s;
    struct config c;
    struct err err;
    double d;
    bool b;
    char text[4];
    open_text(&c, &s,
              "{\"zero\":0,\"two\":2,\"s\":\"abcd\",\"nul\":\"a\\u0000\"}");
    assert_int_equal(config_number(&c, "zero", true, 0, 1, &d, &err),
                     -E_DAMAGED_FILE);
    assert_int_equal(config_number(&c, "two", true, 0, 1, &d, &err),
                     -E_DAMAGED_FILE);
    assert_int_equal(config_bool(&c, "two", &b, &err), -E_DAMAGED_FILE);
    assert_int_equal(config_text(&c, "s", true, text, sizeof(text), &err),
                     -E_DAMAGED_FILE);
    assert_int_equal(config_text(&c, "nul", true, text, sizeof(text), &err),
                     -E_DAMAGED_FILE);
    config_fini(&c);
    snapshot_fini(&s);
}

static void refuses_files_that_are_no_object(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",           "[]",          "1",           "{\"a\":1,\"a\":2}",
        "{\"a\":1}}", "{\"a\":NaN}", "{\"a\":'1'}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct snapshot s = {0};
        struct config c;
        struct err err = {0};
        put_text(&s, "config.json", texts[i]);
        assert_int_equal(config_open(&c, &s, "config.json", false, &err),
                         -E_DAMAGED_FILE);
        assert_non_null(strstr(err.msg, "config.json"));
        snapshot_fini(&s);
    }
}

static void a_missing_file_is_named_unless_optional(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct config c;
    struct err err;
    assert_int_equal(config_open(&c, &s, "x.json", false, &err),
                     -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "x.json is missing"));
    assert_int_equal(config_open(&c, &s, "x.json", true, &err), 0);
    assert_int_equal(json_type(config_get(&c, "a")), JSON_NONE);
    config_fini(&c);
}

static void snapshots_refuse_twins_and_short_files(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct err err;
    struct buf out = BUF_MAX(100);
    put_text(&s, "a", "1");
    assert_int_equal(snapshot_add(&s, str_of("a"), -1, 1, &err),
                     -E_DAMAGED_FILE);
    assert_int_equal(snapshot_add(&s, str_of(""), -1, 1, &err),
                     -E_DAMAGED_FILE);
    put_part(&s, "b", "12", 2, 3);
    assert_int_equal(snapshot_read(&s, "b", 10, false, &out, &err),
                     -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "b holds 2 bytes where 3"));
    assert_int_equal(snapshot_read(&s, "b", 2, false, &out, &err),
                     -E_TOO_LARGE);
    buf_fini(&out);
    snapshot_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_first_key_that_is_there),
        cmocka_unit_test(every_error_names_file_key_and_value),
        cmocka_unit_test(other_kinds_are_ranged_too),
        cmocka_unit_test(refuses_files_that_are_no_object),
        cmocka_unit_test(a_missing_file_is_named_unless_optional),
        cmocka_unit_test(snapshots_refuse_twins_and_short_files),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
