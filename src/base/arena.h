/* base/arena.h - many small allocations with one end of life.
 *
 * Blocks double up to 1 MiB. The total never exceeds max. Owner: whoever holds
 * the struct; one thread.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/attr.h"
#include "base/str.h"

struct arena_block;
struct arena {
    struct arena_block *head;
    size_t used, max; /* bytes handed out; the ceiling */
};
#define ARENA_MAX(n) {.max = (n)}

/* Zeroed and aligned to 16; NULL past the ceiling or when memory is out. */
void *arena_alloc(struct arena *a, size_t n, size_t size) MUST_CHECK;
/* A terminated copy. */
char *arena_str(struct arena *a, struct str s) MUST_CHECK;
void arena_fini(struct arena *a);

#endif
