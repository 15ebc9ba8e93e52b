/* base/buf.h - bytes that grow up to a ceiling which they never exceed. */
#ifndef BASE_BUF_H
#define BASE_BUF_H
#include "base/attr.h"
#include "base/str.h"
#include <stdint.h>

/* Owner: whoever holds the struct. Start it with BUF_MAX(n), end it with
 * buf_fini(). A failed call leaves the contents as they were and sets failed,
 * so a writer may add many times and look once at the end. */
struct buf {
    char *p;
    size_t len, cap, max;
    int failed; /* 0, -E2BIG or -ENOMEM: the first failure since buf_reset */
};
#define BUF_MAX(n) {.max = (n)}

int buf_add(struct buf *b, const void *p, size_t n);
int buf_puts(struct buf *b, const char *z);
int buf_putc(struct buf *b, char c);
int buf_addf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Makes room for n more bytes and returns where they go (NULL on failure); the
 * caller writes them and adds what it wrote to len. */
void *buf_room(struct buf *b, size_t n);
/* Drops the first n bytes. */
void buf_shift(struct buf *b, size_t n);
/* Keeps the memory, drops the contents and the failure. */
void buf_reset(struct buf *b);
/* Hands the bytes to the caller, to be freed with free(). */
char *buf_detach(struct buf *b);
void buf_fini(struct buf *b);

static inline struct str buf_str(const struct buf *b)
{
    return str_n(b->p, b->len);
}

#endif
