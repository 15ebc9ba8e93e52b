/* fuzz/fuzz_http.c - any bytes as a request's target and headers.
 *
 * The first line is the target; each other line is a header. What comes out of
 * the guard and of the path must hold what they promise.
 */
#include "base/utf8.h"
#include "fuzz.h"
#include "http/guard.h"
#include "http/path.h"
#include <stdlib.h>

enum { LINES_MAX = 64 };

static struct str next_line(struct str *rest)
{
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct str line = str_n(rest->p, end ? (size_t)(end - rest->p) : rest->n);
    size_t used = line.n + (end != NULL);
    *rest = str_n(rest->p + used, rest->n - used);
    return line;
}

static void check_target(struct str raw)
{
    struct err err;
    struct str path;
    char value[64], *copy = malloc(raw.n + 1);
    if (!copy)
        abort();
    if (raw.n)
        memcpy(copy, raw.p, raw.n);
    if (path_decode(copy, raw.n, &path, &err) == 0 &&
        (path.n > raw.n || path.p[0] != '/' || !utf8_valid(path) ||
         memchr(path.p, 0, path.n)))
        abort();
    if (path_query(raw, "a", value, sizeof(value)) &&
        !utf8_valid(str_of(value)))
        abort();
    free(copy);
}

static void check_headers(struct str rest, size_t size)
{
    static const struct guard_rules rules = {
        .headers = 32, .header_bytes = 4096, .body_bytes = 1000};
    struct guard_header h[LINES_MAX];
    struct err err;
    int64_t body = -2;
    size_t n = 0;
    while (rest.n && n < LINES_MAX) {
        struct str line = next_line(&rest);
        const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
        size_t name = colon ? (size_t)(colon - line.p) : line.n;
        h[n].name = str_n(line.p, name);
        h[n++].value = str_n(line.p + name + (colon != NULL),
                             line.n - name - (colon != NULL));
    }
    if (guard_check(&rules, h, n, size, &body, &err) == 0 &&
        (body < GUARD_CHUNKED || body > 1000 || n > 32))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n(data, size);
    check_target(next_line(&rest));
    check_headers(rest, size);
    return 0;
}
