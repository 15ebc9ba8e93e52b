/* fetch/reply.c - reads header lines. */
#include "fetch/reply.h"
#include <strings.h>

void reply_begin(struct reply *r)
{
    *r = (struct reply){.content_length = REPLY_UNKNOWN,
                        .range_first = REPLY_UNKNOWN,
                        .range_end = REPLY_UNKNOWN,
                        .range_size = REPLY_UNKNOWN,
                        .retry_after_s = REPLY_UNKNOWN};
}

static struct str trim(struct str s)
{
    while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]))
        s.n--;
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_n(s.p + 1, s.n - 1);
    return s;
}

static bool is(struct str s, const char *name)
{
    return s.n == strlen(name) && !strncasecmp(s.p, name, s.n);
}

/* Digits at the start of *s, at most 18 of them. */
static bool take_number(struct str *s, uint64_t *ret)
{
    uint64_t v = 0;
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        v = n < 18 ? v * 10 + (uint64_t)(s->p[n] - '0') : v, n++;
    if (n == 0 || n > 18)
        return false;
    *s = str_n(s->p + n, s->n - n);
    *ret = v;
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_n(s->p + 1, s->n - 1);
    return true;
}

static uint64_t whole_number(struct str s)
{
    uint64_t v;
    return take_number(&s, &v) && s.n == 0 ? v : REPLY_UNKNOWN;
}

/* "bytes 10-19/100" */
static void read_range(struct reply *r, struct str s)
{
    uint64_t first, last, size;
    if (!str_starts(s, "bytes "))
        return;
    s = str_n(s.p + 6, s.n - 6);
    if (!take_number(&s, &first) || !take_char(&s, '-') ||
        !take_number(&s, &last) || !take_char(&s, '/') ||
        !take_number(&s, &size) || s.n || last < first || last >= size)
        return;
    r->range_first = first;
    r->range_end = last + 1;
    r->range_size = size;
}

static void read_etag(struct reply *r, struct str value, bool linked)
{
    struct hub_hash hash;
    bool ok = hub_etag_parse(value, &hash);
    if (ok && (linked || !r->linked_etag))
        r->linked = hash;
    r->linked_etag |= ok && linked;
    if (!linked && value.n > 2 && value.p[0] == '"')
        str_to_z(value, r->etag, sizeof(r->etag));
}

static void read_field(struct reply *r, struct str name, struct str value)
{
    if (is(name, "content-length"))
        r->content_length = whole_number(value);
    else if (is(name, "content-range"))
        read_range(r, value);
    else if (is(name, "retry-after"))
        r->retry_after_s = whole_number(value);
    else if (is(name, "content-encoding"))
        r->encoded = value.n > 0 && !is(value, "identity");
    else if (is(name, "x-linked-etag"))
        read_etag(r, value, true);
    else if (is(name, "etag"))
        read_etag(r, value, false);
    else if (is(name, "location"))
        str_to_z(value, r->location, sizeof(r->location));
    else if (is(name, "x-error-code"))
        str_to_z(value, r->error_code, sizeof(r->error_code));
}

/* "HTTP/1.1 200 OK" */
static void read_status(struct reply *r, struct str line)
{
    size_t bytes = r->header_bytes;
    uint64_t status = 0;
    const char *space = memchr(line.p, ' ', line.n);
    reply_begin(r);
    r->header_bytes = bytes;
    if (!space)
        return;
    struct str rest = trim(str_n(space, line.n - (size_t)(space - line.p)));
    if (take_number(&rest, &status) && status < 1000)
        r->status = (int)status;
}

int reply_header(struct reply *r, struct str line, struct err *err)
{
    r->header_bytes += line.n;
    if (r->header_bytes > REPLY_HEADERS_MAX)
        return err_set(err, E_TOO_LARGE,
                       "the hub's answer has more than %d bytes of headers",
                       REPLY_HEADERS_MAX);
    if (str_starts(line, "HTTP/")) {
        read_status(r, line);
        return 0;
    }
    const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    if (!colon)
        return 0;
    size_t n = (size_t)(colon - line.p);
    read_field(r, str_n(line.p, n), trim(str_n(colon + 1, line.n - n - 1)));
    return 0;
}
