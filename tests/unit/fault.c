/* tests/unit/fault.c - allocations that fail on demand (linked by --wrap). */
#include "fault.h"
#include <stdbool.h>
#include <stddef.h>

long fault_countdown, fault_hits;

/* The linker's names for the wrapped functions. */
void *__real_malloc(size_t);
void *__real_realloc(void *, size_t);
void *__real_calloc(size_t, size_t);
void *__wrap_malloc(size_t);
void *__wrap_realloc(void *, size_t);
void *__wrap_calloc(size_t, size_t);

static bool fails(void)
{
    if (fault_countdown == 0 || --fault_countdown > 0)
        return false;
    fault_hits++;
    return true;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}
