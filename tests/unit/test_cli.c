/* tests/unit/test_cli.c - the parts of berth that need neither a daemon nor a
 * terminal. */
#include "cli/event_stream.h"
#include "cli/human.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "unit.h"
#include <stdlib.h>

#define S 1000000000ULL

/* ---- events ------------------------------------------------------------- */

static int note(void *ctx, struct str name, struct str data, struct err *err)
{
    struct buf *seen = ctx;
    buf_addf(seen, "%.*s=%.*s;", STR_FMT(name), STR_FMT(data));
    return str_is(data, "stop") ? err_set(err, E_CANCELLED, "stopped") : 0;
}

static const char stream[] = ": comment\n\nid: 7\ndata: {\"a\":1}\r\n\r\n"
                             "event: done\ndata:x\ndata: y\n\n\n"
                             "event: empty\n\ndata: last\n\n";
static const char events[] = "message={\"a\":1};done=x\ny;message=last;";

static void events_are_cut_at_any_byte(void **state)
{
    (void)state;
    for (size_t cut = 1; cut < sizeof(stream); cut++) {
        struct buf seen = BUF_MAX(1000);
        struct event_stream s;
        event_stream_init(&s, note, &seen);
        for (size_t at = 0; at < sizeof(stream) - 1; at += cut) {
            size_t n = sizeof(stream) - 1 - at;
            assert_int_equal(
                event_stream_feed(&s, str_n(stream + at, n < cut ? n : cut),
                                  NULL),
                0);
        }
        buf_putc(&seen, 0);
        assert_string_equal(seen.p, events);
        event_stream_fini(&s);
        buf_fini(&seen);
    }
}

static void a_callback_ends_the_stream(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf seen = BUF_MAX(1000);
    struct event_stream s;
    event_stream_init(&s, note, &seen);
    assert_int_equal(
        event_stream_feed(&s, str_of("data: stop\n\ndata: b\n\n"), &err),
        -E_CANCELLED);
    assert_true(str_is(buf_str(&seen), "message=stop;"));
    event_stream_fini(&s);
    buf_fini(&seen);
}

static void an_endless_line_is_refused(void **state)
{
    (void)state;
    static char block[1 << 20];
    struct err err = {0};
    struct buf seen = BUF_MAX(1000);
    struct event_stream s;
    int r = 0;
    memset(block, 'x', sizeof(block));
    event_stream_init(&s, note, &seen);
    for (int i = 0; r == 0 && i < 100; i++)
        r = event_stream_feed(&s, str_n(block, sizeof(block)), &err);
    assert_int_equal(r, -E_TOO_LARGE);
    event_stream_fini(&s);
    buf_fini(&seen);
}

/* ---- numbers and text --------------------------------------------------- */

static void numbers_are_readable(void **state)
{
    (void)state;
    char b[HUMAN_TEXT];
    assert_string_equal(human_bytes(b, 0), "0 B");
    assert_string_equal(human_bytes(b, 999), "999 B");
    assert_string_equal(human_bytes(b, 999949), "999.9 kB");
    assert_string_equal(human_bytes(b, 999999), "1.0 MB");
    assert_string_equal(human_bytes(b, 90852864), "90.9 MB");
    assert_string_equal(human_bytes(b, UINT64_MAX), "18446.7 PB");
    assert_string_equal(human_count(b, 0), "0");
    assert_string_equal(human_count(b, 999), "999");
    assert_string_equal(human_count(b, 22713216), "22,713,216");
    assert_string_equal(human_count(b, UINT64_MAX),
                        "18,446,744,073,709,551,615");
    assert_string_equal(human_span(b, 999), "999 ms");
    assert_string_equal(human_span(b, 59999), "59 s");
    assert_string_equal(human_span(b, 200000), "3 min 20 s");
    assert_string_equal(human_span(b, 3660000), "1 h 1 min");
    assert_string_equal(human_span(b, UINT64_MAX), "213503982334 d 14 h");
}

static void nothing_steers_the_terminal(void **state)
{
    (void)state;
    struct buf out = BUF_MAX(1000);
    human_clean(&out, str_of("a\x1b[2J\r\n\tb\x7f\xff \xc2\x9b"
                             "\xe2\x80\xae \xc3\xa9\xe4\xb8\xad"));
    assert_true(str_is(buf_str(&out), "a?[2J???b?? ?? \xc3\xa9\xe4\xb8\xad"));
    buf_fini(&out);
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    struct str text = str_of("\xc3\xa9\xc3\xa9z");
    assert_int_equal(human_width(text), 3);
    assert_int_equal(human_fit(text, 0), 0);
    assert_int_equal(human_fit(text, 1), 2);
    assert_int_equal(human_fit(text, 2), 4);
    assert_int_equal(human_fit(text, 9), 5);
}

/* ---- tables ------------------------------------------------------------- */

static char *printed(const struct table *t, size_t width)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    table_print(t, f, width);
    fclose(f);
    return text;
}

static void columns_line_up(void **state)
{
    (void)state;
    static const char *const heads[] = {"NAME", ">N", "LAST", NULL};
    struct table t;
    table_init(&t, heads);
    table_text(&t, "\xc3\xa9\xc3\xa9");
    table_cellf(&t, "%d", 1234);
    table_text(&t, "end\nof line");
    table_text(&t, "longer");
    table_text(&t, NULL);
    table_text(&t, "");
    char *all = printed(&t, 0), *cut = printed(&t, 18);
    assert_string_equal(all, "NAME       N  LAST\n"
                             "\xc3\xa9\xc3\xa9      1234  end?of line\n"
                             "longer        \n");
    assert_string_equal(cut, "NAME       N  LAST\n"
                             "\xc3\xa9\xc3\xa9      1234  end?\n"
                             "longer        \n");
    free(all);
    free(cut);
    table_fini(&t);
}

/* ---- progress ----------------------------------------------------------- */

static void a_line_fits_any_width(void **state)
{
    (void)state;
    struct progress p = {.label = "model.safetensors",
                         .done = 45000000,
                         .total = 90000000,
                         .speed = 9e6};
    char line[PROGRESS_LINE];
    for (size_t width = 0; width < PROGRESS_LINE / 2; width++) {
        size_t n = progress_line(&p, width, line);
        assert_true(n <= width && strlen(line) == n);
        if (width >= 4)
            assert_non_null(strstr(line, "50 %"));
    }
    progress_line(&p, 79, line);
    assert_string_equal(line, "model.safetensors  [########........]   50 %  "
                              "45.0/90.0 MB  9.0 MB/s  0:05 left");
    p.done = 45000;
    p.speed = 7000;
    progress_line(&p, 79, line);
    assert_string_equal(line, "model.safetensors  [..........]    0 %  45.0 "
                              "kB/90.0 MB  7.0 kB/s  3:34:10 left");
}

/* One megabyte a second, ten a second from then on: the speed follows within a
 * few times three seconds, and what was there before does not count. */
static void the_speed_is_smooth_and_forgets_what_was_there(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    struct progress p;
    progress_init(&p, f);
    uint64_t done = 500000000, now = 100 * S;
    progress_update(&p, str_of("a"), done, 1 << 30, now);
    assert_true(p.speed == 0);
    for (int i = 0; i < 10; i++)
        progress_update(&p, str_of("a"), done += 1000000, 1 << 30, now += S);
    assert_true(p.speed > 0.99e6 && p.speed < 1.01e6);
    progress_update(&p, str_of("a"), done += 10000000, 1 << 30, now += S);
    assert_true(p.speed > 2e6 && p.speed < 5e6);
    for (int i = 0; i < 20; i++)
        progress_update(&p, str_of("a"), done += 10000000, 1 << 30, now += S);
    assert_true(p.speed > 9.9e6 && p.speed < 10.1e6);
    /* A file that begins anew is no negative speed. */
    progress_update(&p, str_of("b"), 0, 1 << 30, now += S);
    assert_true(p.speed > 9.9e6 && p.speed < 10.1e6);
    fclose(f);
    free(text);
}

static void where_there_is_no_terminal_a_line_comes_every_five_seconds(void **s)
{
    (void)s;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    struct progress p;
    progress_init(&p, f);
    for (uint64_t i = 0; i <= 120; i++) /* 12 seconds, ten a second */
        progress_update(&p, str_of(i < 60 ? "one" : "two"), i * 100000,
                        12000000, S + i * S / 10);
    progress_end(&p);
    fclose(f);
    assert_string_equal(text, "one: 0 %  0 B/12.0 MB\n"
                              "one: 41 %  5.0/12.0 MB  1.0 MB/s  0:07 left\n"
                              "two: 83 %  10.0/12.0 MB  1.0 MB/s  0:02 left\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_cut_at_any_byte),
        cmocka_unit_test(a_callback_ends_the_stream),
        cmocka_unit_test(an_endless_line_is_refused),
        cmocka_unit_test(numbers_are_readable),
        cmocka_unit_test(nothing_steers_the_terminal),
        cmocka_unit_test(a_cut_never_splits_a_character),
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(a_line_fits_any_width),
        cmocka_unit_test(the_speed_is_smooth_and_forgets_what_was_there),
        cmocka_unit_test(
            where_there_is_no_terminal_a_line_comes_every_five_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
