/* manager/log_ring.c - the last bytes that a model's children wrote. */
#include "manager/log_ring.h"
#include "base/mem.h"

/* Drops whole lines from the front until n more bytes fit. */
static void make_room(struct log_ring *r, size_t n)
{
    if (r->len + n <= LOG_RING_MAX)
        return;
    size_t drop = r->len + n - LOG_RING_MAX;
    const char *end = memchr(r->p + drop - 1, '\n', r->len - drop + 1);
    drop = end ? (size_t)(end - r->p) + 1 : r->len;
    memmove(r->p, r->p + drop, r->len - drop);
    r->len -= drop;
}

void log_ring_add(struct log_ring *r, struct str line)
{
    size_t n = line.n < LOG_LINE_MAX ? line.n : LOG_LINE_MAX;
    if (!r->p)
        r->p = mem_zero(LOG_RING_MAX, 1);
    make_room(r, n + 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        r->p[r->len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    r->p[r->len++] = '\n';
}

struct str log_ring_text(const struct log_ring *r)
{
    return str_n(r->p ? r->p : "", r->len);
}

void log_ring_fini(struct log_ring *r)
{
    free(r->p);
    *r = (struct log_ring){0};
}
