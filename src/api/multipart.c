/* api/multipart.c - a form with files, read out of a whole body.
 *
 *     --boundary CRLF headers CRLF CRLF data CRLF --boundary ... CRLF
 *     --boundary--
 *
 * What stands before the first boundary and after the last is skipped, as RFC
 * 2046 says.
 */
#include "api/multipart.h"
#include "base/attr.h"
#include <strings.h>

#define invalid(err, ...) err_set((err), E_INVALID_REQUEST, __VA_ARGS__)

static bool same(struct str a, const char *z)
{
    return a.n == strlen(z) && !strncasecmp(a.p, z, a.n);
}

static struct str trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

/* Cuts what comes before the first c off *s, c too; all of it without one. A c
 * within quotes does not count. */
static struct str cut(struct str *s, char c)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < s->n && (quoted || s->p[i] != c); i++)
        quoted ^= s->p[i] == '"';
    struct str head = str_n(s->p, i);
    i += i < s->n;
    *s = str_n(s->p + i, s->n - i);
    return head;
}

/* The value of "; key=value" or "; key="value"" among a header's parameters. */
static bool parameter(struct str header, const char *key, struct str *ret)
{
    cut(&header, ';');
    while (header.n) {
        struct str one = cut(&header, ';');
        struct str name = trim(cut(&one, '='));
        struct str value = trim(one);
        if (!same(name, key))
            continue;
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = str_n(value.p + 1, value.n - 2);
        *ret = value;
        return true;
    }
    return false;
}

/* The next line that ends in CRLF; false when there is none. */
static bool next_line(struct str *s, struct str *ret)
{
    for (size_t i = 0; i + 1 < s->n; i++)
        if (s->p[i] == '\r' && s->p[i + 1] == '\n') {
            *ret = str_n(s->p, i);
            *s = str_n(s->p + i + 2, s->n - i - 2);
            return true;
        }
    return false;
}

/* Where "CRLF--boundary" begins in s; s.n when it does not. */
static size_t find_end(struct str s, struct str boundary)
{
    size_t n = boundary.n + 4, i = 0;
    while (i + n <= s.n) {
        const char *p = memchr(s.p + i, '\r', s.n - i - n + 1);
        if (!p)
            break;
        if (p[1] == '\n' && p[2] == '-' && p[3] == '-' &&
            !memcmp(p + 4, boundary.p, boundary.n))
            return (size_t)(p - s.p);
        i = (size_t)(p - s.p) + 1;
    }
    return s.n;
}

static int read_name(struct multipart_part *part, struct str value,
                     struct err *err)
{
    struct str rest = value;
    if (!same(trim(cut(&rest, ';')), "form-data") ||
        !parameter(value, "name", &part->name))
        return invalid(err, "a part of the form has no name");
    if (part->name.n == 0 || part->name.n > MULTIPART_NAME_MAX ||
        memchr(part->name.p, '\\', part->name.n))
        return invalid(err,
                       "the name of a part of the form is empty, longer than "
                       "%d bytes, or holds a backslash",
                       MULTIPART_NAME_MAX);
    return 0;
}

/* The headers up to the empty line; *s becomes what follows. */
static int read_headers(struct multipart_part *part, struct str *s,
                        struct err *err)
{
    struct str line, top = *s;
    if (top.n > MULTIPART_HEADERS_MAX)
        top.n = MULTIPART_HEADERS_MAX;
    while (next_line(&top, &line)) {
        if (line.n == 0) {
            size_t used = (size_t)(top.p - s->p);
            *s = str_n(top.p, s->n - used);
            return part->name.n
                       ? 0
                       : invalid(err, "a part of the form has no name");
        }
        struct str value = line;
        struct str name = trim(cut(&value, ':'));
        int r = 0;
        if (same(name, "content-disposition"))
            r = read_name(part, value, err);
        else if (same(name, "content-type"))
            part->type = trim(value);
        if (r < 0)
            return r;
    }
    return invalid(err,
                   "the headers of a part of the form have no end within %d "
                   "bytes",
                   MULTIPART_HEADERS_MAX);
}

static bool may_repeat(struct str name)
{
    return str_ends(name, "[]");
}

static int add(struct multipart *m, const struct multipart_part *part,
               struct err *err)
{
    if (m->n == MULTIPART_PARTS_MAX)
        return invalid(err, "a form has at most %d parts", MULTIPART_PARTS_MAX);
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->parts[i].name, part->name) && !may_repeat(part->name))
            return invalid(err, "the form has '%.*s' twice",
                           STR_FMT(part->name));
    m->parts[m->n++] = *part;
    return 0;
}

/* s begins behind a boundary. 1: another part was read; 0: that was the last
 * boundary. */
static int read_part(struct multipart *m, struct str boundary, struct str *s,
                     struct err *err)
{
    struct multipart_part part = {0};
    struct str line;
    if (str_starts(*s, "--"))
        return 0;
    if (!next_line(s, &line) || trim(line).n)
        return invalid(err, "the form does not end, or a boundary does not");
    int r = read_headers(&part, s, err);
    if (r < 0)
        return r;
    size_t end = find_end(*s, boundary);
    if (end == s->n)
        return invalid(err, "the part '%.*s' of the form does not end",
                       STR_FMT(part.name));
    part.data = str_n(s->p, end);
    end += boundary.n + 4;
    *s = str_n(s->p + end, s->n - end);
    r = add(m, &part, err);
    return r < 0 ? r : 1;
}

int multipart_read(struct multipart *m, struct str content_type,
                   struct str body, struct err *err)
{
    struct str boundary, s = body;
    *m = (struct multipart){0};
    if (!parameter(content_type, "boundary", &boundary) || !boundary.n ||
        boundary.n > MULTIPART_BOUNDARY_MAX)
        return invalid(err,
                       "the Content-Type of a form names its boundary, of 1 to "
                       "%d bytes",
                       MULTIPART_BOUNDARY_MAX);
    bool first = str_starts(s, "--") && s.n >= boundary.n + 2 &&
                 !memcmp(s.p + 2, boundary.p, boundary.n);
    size_t skip = first ? boundary.n + 2 : find_end(s, boundary);
    if (skip == s.n && !first)
        return invalid(err, "the form does not hold its boundary");
    skip += first ? 0 : boundary.n + 4;
    s = str_n(s.p + skip, s.n - skip);
    int r = 1;
    while (r == 1)
        r = read_part(m, boundary, &s, err);
    return r;
}

const struct multipart_part *multipart_find(const struct multipart *m,
                                            const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_is(m->parts[i].name, name))
            return &m->parts[i];
    return NULL;
}
