#include "api/multipart.h"
#include "base/buf.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

#define TYPE "multipart/form-data; boundary=b"
#define PART(name, data)                                                    \
    "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" data \
    "\r\n"
#define FILE_PART(data)                                      \
    "--b\r\nContent-Disposition: form-data; name=\"file\"; " \
    "filename=\"a;b=c.wav\"\r\nContent-Type: audio/wav\r\n\r\n" data "\r\n"
#define END "--b--\r\n"

static int read_n(struct multipart *m, const char *type, const char *body,
                  size_t n, struct err *err)
{
    /* At its end the sanitizers see what is read beyond. */
    char *copy = malloc(n ? n : 1);
    memcpy(copy, body, n);
    int r = multipart_read(m, str_of(type), str_n(copy, n), err);
    for (size_t i = 0; r == 0 && i < m->n; i++) {
        const struct multipart_part *p = &m->parts[i];
        assert_true(p->data.p >= copy && p->data.p + p->data.n <= copy + n);
        m->parts[i].data.p = body + (p->data.p - copy);
        m->parts[i].name.p = body + (p->name.p - copy);
        if (p->type.n)
            m->parts[i].type.p = body + (p->type.p - copy);
    }
    free(copy);
    return r;
}

static int read_z(struct multipart *m, const char *body, struct err *err)
{
    return read_n(m, TYPE, body, strlen(body), err);
}

static void is(const struct multipart *m, const char *name, const char *data)
{
    const struct multipart_part *p = multipart_find(m, name);
    assert_non_null(p);
    assert_true(str_is(p->data, data));
}

static void a_form_is_its_parts(void **state)
{
    (void)state;
    struct multipart m;
    struct err err;
    assert_int_equal(
        read_z(&m, PART("model", "whisper") FILE_PART("RIFF\r\n--\r\n--c") END,
               &err),
        0);
    assert_int_equal(m.n, 2);
    is(&m, "model", "whisper");
    is(&m, "file", "RIFF\r\n--\r\n--c");
    assert_true(str_is(multipart_find(&m, "file")->type, "audio/wav"));
    assert_int_equal(multipart_find(&m, "model")->type.n, 0);
    assert_null(multipart_find(&m, "prompt"));
}

static void what_is_allowed_is_read(void **state)
{
    (void)state;
    struct multipart m;
    struct err err;
    static const struct {
        const char *body, *data;
    } cases[] = {
        {PART("a", "") END, ""},
        {PART("a", "\r\n") END, "\r\n"},
        {PART("a", "x") "--b--", "x"},
        {"a preamble\r\n" PART("a", "x") END "an epilogue", "x"},
        {"\r\n" PART("a", "x") END, "x"},
        {"--b  \r\ncontent-disposition:form-data;name=a\r\n\r\nx\r\n" END, "x"},
        {"--b\r\nX-Other: 1\r\nContent-Disposition: form-data; filename=\"f\"; "
         "NAME=\"a\"\r\n\r\nx\r\n" END,
         "x"},
        {PART("t[]", "1") PART("t[]", "2") PART("a", "x") END, "x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (read_z(&m, cases[i].body, &err) < 0)
            fail_msg("%s: %s", cases[i].body, err.msg);
        is(&m, "a", cases[i].data);
    }
    static const char *const types[] = {
        "multipart/form-data;boundary=b", "multipart/form-data; boundary=\"b\"",
        "multipart/form-data; charset=utf-8; Boundary=b"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const char *body = PART("a", "x") END;
        assert_int_equal(read_n(&m, types[i], body, strlen(body), &err), 0);
    }
}

static void what_is_not_is_refused_by_name(void **state)
{
    (void)state;
    struct multipart m;
    struct err err;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "does not hold its boundary"},
        {"x", "does not hold its boundary"},
        {"--b", "does not end"},
        {"--b\r\n", "headers"},
        {"--bb\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n" END,
         "boundary"},
        {PART("a", "x"), "does not end"},
        {PART("a", "x") "--c--\r\n", "'a' of the form does not end"},
        {"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n", "headers"},
        {"--b\r\n\r\nx\r\n" END, "no name"},
        {"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" END, "no name"},
        {"--b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx\r\n" END,
         "no name"},
        {PART("", "x") END, "empty"},
        {PART("a\\", "x") END, "backslash"},
        {PART("a", "x") PART("a", "y") END, "'a' twice"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int r = read_z(&m, cases[i].body, &err);
        if (r != -E_INVALID_REQUEST || !strstr(err.msg, cases[i].says))
            fail_msg("%s: %d %s", cases[i].body, r, err.msg);
    }
    static const char *const types[] = {
        "multipart/form-data", "multipart/form-data; boundary=",
        "multipart/form-data; boundary=0123456789012345678901234567890123456789"
        "0123456789012345678901234567890"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        assert_int_equal(read_n(&m, types[i], END, strlen(END), &err),
                         -E_INVALID_REQUEST);
}

static void there_are_limits(void **state)
{
    (void)state;
    struct multipart m;
    struct err err;
    struct buf b = BUF_MAX(1 << 16);
    for (int i = 0; i <= MULTIPART_PARTS_MAX; i++)
        buf_puts(&b, PART("t[]", "x"));
    buf_puts(&b, END);
    assert_int_equal(read_n(&m, TYPE, b.p, b.len, &err), -E_INVALID_REQUEST);
    assert_non_null(strstr(err.msg, "at most 32 parts"));
    buf_reset(&b);
    buf_puts(&b, "--b\r\nX: ");
    for (int i = 0; i < MULTIPART_HEADERS_MAX; i++)
        buf_putc(&b, 'x');
    buf_puts(&b,
             "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n" END);
    assert_int_equal(read_n(&m, TYPE, b.p, b.len, &err), -E_INVALID_REQUEST);
    assert_non_null(strstr(err.msg, "4096"));
    buf_fini(&b);
}

/* Cut anywhere it is refused, and never read beyond. */
static void a_form_that_is_cut_is_refused(void **state)
{
    (void)state;
    struct multipart m;
    struct err err;
    static const char body[] =
        PART("model", "whisper") FILE_PART("RIFF\r\n--\r\n--c") "--b--";
    for (size_t n = 0; n < sizeof(body) - 1; n++)
        assert_int_equal(read_n(&m, TYPE, body, n, &err), -E_INVALID_REQUEST);
    assert_int_equal(read_n(&m, TYPE, body, sizeof(body) - 1, &err), 0);
}

/* Data may hold any beginning of the boundary, at any place. */
static void data_may_look_like_a_boundary(void **state)
{
    (void)state;
    static const char delimiter[] = "\r\n--boundary";
    for (size_t n = 0; n < sizeof(delimiter) - 1; n++) {
        struct multipart m;
        struct err err;
        struct buf b = BUF_MAX(4096);
        buf_puts(&b, "--boundary\r\nContent-Disposition: form-data; "
                     "name=\"a\"\r\n\r\n");
        size_t from = b.len;
        buf_add(&b, delimiter, n);
        buf_add(&b, delimiter, n);
        size_t data = b.len - from;
        buf_puts(&b, "\r\n--boundary--\r\n");
        assert_int_equal(read_n(&m, "multipart/form-data; boundary=boundary",
                                b.p, b.len, &err),
                         0);
        assert_int_equal(m.parts[0].data.n, data);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_form_is_its_parts),
        cmocka_unit_test(what_is_allowed_is_read),
        cmocka_unit_test(what_is_not_is_refused_by_name),
        cmocka_unit_test(there_are_limits),
        cmocka_unit_test(a_form_that_is_cut_is_refused),
        cmocka_unit_test(data_may_look_like_a_boundary),
    };
    return cmocka_run_group_tests_name("multipart", tests, NULL, NULL);
}
