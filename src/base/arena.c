/* base/arena.c - many small allocations with one end of life. */
#include "base/arena.h"
#include "base/size.h"
#include <stdint.h>
#include <stdlib.h>

enum { BLOCK_FIRST = 4096, BLOCK_LAST = 1 << 20, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t len, cap;
    _Alignas(ALIGN) char bytes[];
};

static struct arena_block *grow(struct arena *a, size_t n)
{
    size_t cap = a->head ? a->head->cap * 2 : BLOCK_FIRST;
    if (cap > BLOCK_LAST)
        cap = BLOCK_LAST;
    if (cap < n)
        cap = n;
    struct arena_block *b = malloc(sizeof(*b) + cap);
    if (!b)
        return NULL;
    *b = (struct arena_block){.next = a->head, .cap = cap};
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (!size_mul(n, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = size_round(bytes ? bytes : 1, ALIGN);
    if (bytes > a->max - a->used)
        return NULL;
    struct arena_block *b = a->head;
    if (!b || b->cap - b->len < bytes)
        b = grow(a, bytes);
    if (!b)
        return NULL;
    void *p = b->bytes + b->len;
    b->len += bytes;
    a->used += bytes;
    return memset(p, 0, bytes);
}

char *arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1, 1);
    if (p && s.n)
        memcpy(p, s.p, s.n);
    return p;
}

void arena_fini(struct arena *a)
{
    while (a->head) {
        struct arena_block *next = a->head->next;
        free(a->head);
        a->head = next;
    }
    a->used = 0;
}
