/* http/guard.c - what a request must look like before anyone reads it. */
#include "http/guard.h"
#include <arpa/inet.h>
#include <strings.h>

static bool same(struct str a, const char *z)
{
    return a.n == strlen(z) && (a.n == 0 || !strncasecmp(a.p, z, a.n));
}

static struct str trim(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static bool listed(const char *const *list, struct str s)
{
    for (; list && *list; list++)
        if (same(s, *list))
            return true;
    return false;
}

/* "name:80" to "name", "[::1]:80" to "[::1]"; false when it is neither. */
static bool strip_port(struct str *host)
{
    struct str s = *host;
    size_t end = 0;
    if (s.n && s.p[0] == '[') {
        const char *close = memchr(s.p, ']', s.n);
        if (!close)
            return false;
        end = (size_t)(close - s.p) + 1;
    } else {
        while (end < s.n && s.p[end] != ':')
            end++;
    }
    host->n = end;
    if (end == s.n)
        return end > 0;
    if (s.p[end] != ':' || s.n - end > 6)
        return false;
    for (size_t i = end + 1; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return end > 0;
}

static bool is_address(struct str s)
{
    char z[64];
    unsigned char bytes[16];
    if (s.n > 2 && s.p[0] == '[')
        return str_to_z(str_n(s.p + 1, s.n - 2), z, sizeof(z)) &&
               inet_pton(AF_INET6, z, bytes) == 1;
    return str_to_z(s, z, sizeof(z)) && inet_pton(AF_INET, z, bytes) == 1;
}

bool guard_host(const struct guard_rules *rules, struct str host)
{
    static const char *const own[] = {"localhost", "127.0.0.1", "[::1]", NULL};
    host = trim(host);
    if (!strip_port(&host))
        return false;
    return listed(own, host) || listed(rules->hosts, host) ||
           (rules->any_address && is_address(host));
}

/* The page came from us: its origin is the host that it asks. */
static bool own_origin(struct str origin, struct str host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        if (str_starts(origin, schemes[i]) && origin.n - n == host.n &&
            !strncasecmp(origin.p + n, host.p, host.n))
            return true;
    }
    return false;
}

/* "a/b; c=d" to "a/b". */
static struct str bare(struct str type)
{
    const char *semicolon = type.n ? memchr(type.p, ';', type.n) : NULL;
    if (semicolon)
        type.n = (size_t)(semicolon - type.p);
    return trim(type);
}

bool guard_is_json(struct str type)
{
    return same(bare(type), "application/json");
}

bool guard_is_form(struct str type)
{
    return same(bare(type), "multipart/form-data");
}

/* RFC 9110's token; a space in a name could hide a Content-Length. */
static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                      (c >= 'A' && c <= 'Z');
        if (!letter && (!c || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.n > 0;
}

/* RFC 9110's token and a slash, of no more than a media type's length. */
static bool is_media(struct str s)
{
    enum { MEDIA_MAX = 127 };
    const char *slash = s.n ? memchr(s.p, '/', s.n) : NULL;
    if (!slash || s.n > MEDIA_MAX)
        return false;
    size_t n = (size_t)(slash - s.p);
    return is_name(str_n(s.p, n)) && is_name(str_n(slash + 1, s.n - n - 1));
}

bool guard_is_bytes(struct str type, struct str *ret_media)
{
    static const char *const kinds[] = {"image/", "audio/", "video/"};
    struct str media = bare(type), none = {0};
    bool known = false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        size_t n = strlen(kinds[i]);
        known |= media.n > n && !strncasecmp(media.p, kinds[i], n);
    }
    known = known && is_media(media);
    if (ret_media)
        *ret_media = known ? media : none;
    return known || same(media, "application/octet-stream");
}

/* What guard_check() collects in one pass. */
struct seen {
    struct str host, origin, length, encoding;
    size_t hosts, origins, lengths, encodings;
};

static int look(struct seen *s, const struct guard_header *h, struct err *err)
{
    if (!is_name(h->name))
        return err_set(err, E_INVALID_REQUEST,
                       "a header's name holds a character that names have not");
    for (size_t i = 0; i < h->value.n; i++) {
        unsigned char c = (unsigned char)h->value.p[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return err_set(err, E_INVALID_REQUEST,
                           "a header holds a control character");
    }
    if (same(h->name, "host"))
        s->host = trim(h->value), s->hosts++;
    else if (same(h->name, "origin"))
        s->origin = trim(h->value), s->origins++;
    else if (same(h->name, "content-length"))
        s->length = trim(h->value), s->lengths++;
    else if (same(h->name, "transfer-encoding"))
        s->encoding = trim(h->value), s->encodings++;
    return 0;
}

static int read_length(struct str s, int64_t *ret, struct err *err)
{
    int64_t v = 0;
    for (size_t i = 0; i < s.n && s.n <= 18; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return err_set(err, E_INVALID_REQUEST,
                           "Content-Length is not a number");
        v = v * 10 + (s.p[i] - '0');
    }
    if (s.n == 0 || s.n > 18)
        return err_set(err, E_INVALID_REQUEST,
                       "Content-Length is not a length");
    *ret = v;
    return 0;
}

static int check_framing(const struct seen *s, int64_t *ret_body,
                         struct err *err)
{
    if (s->lengths > 1 || s->encodings > 1)
        return err_set(err, E_INVALID_REQUEST,
                       "Content-Length or Transfer-Encoding comes twice");
    if (s->lengths && s->encodings)
        return err_set(err, E_INVALID_REQUEST,
                       "Content-Length and Transfer-Encoding come together");
    *ret_body = 0;
    if (s->lengths)
        return read_length(s->length, ret_body, err);
    if (!s->encodings)
        return 0;
    if (!same(s->encoding, "chunked"))
        return err_set(err, E_INVALID_REQUEST,
                       "the only Transfer-Encoding understood is chunked");
    *ret_body = GUARD_CHUNKED;
    return 0;
}

bool guard_is_framing(int code)
{
    return code == -E_INVALID_REQUEST || code == -E_HEADER_TOO_LARGE;
}

int guard_check(const struct guard_rules *rules, const struct guard_header *h,
                size_t n, size_t bytes, int64_t *ret_body, struct err *err)
{
    struct seen s = {0};
    int64_t body;
    if (n > rules->headers || bytes > rules->header_bytes)
        return err_set(err, E_HEADER_TOO_LARGE,
                       "at most %zu headers of %zu bytes together are read",
                       rules->headers, rules->header_bytes);
    for (size_t i = 0; i < n; i++) {
        int r = look(&s, &h[i], err);
        if (r < 0)
            return r;
    }
    int r = check_framing(&s, &body, err);
    if (r < 0)
        return r;
    *ret_body = body;
    if (s.hosts != 1)
        return err_set(err, E_INVALID_REQUEST,
                       "a request has exactly one Host header");
    if (!guard_host(rules, s.host))
        return err_set(err, E_MISDIRECTED,
                       "this server does not answer for the host '%.*s'; "
                       "add it to hosts in the configuration",
                       (int)(s.host.n < 100 ? s.host.n : 100), s.host.p);
    if (s.origins > 1 || (s.origins && !own_origin(s.origin, s.host) &&
                          !listed(rules->origins, s.origin)))
        return err_set(err, E_FORBIDDEN,
                       "pages of another origin may not ask this server; add "
                       "theirs to origins in the configuration");
    if (body > (int64_t)rules->body_bytes)
        return err_set(err, E_TOO_LARGE,
                       "the body has %lld bytes, at most %zu are taken",
                       (long long)body, rules->body_bytes);
    return 0;
}
