/* base/mem.c - allocation. */
#include "base/mem.h"
#include "base/size.h"

void *mem_try(size_t n, size_t size)
{
    return calloc(n ? n : 1, size ? size : 1);
}

void *mem_zero(size_t n, size_t size)
{
    void *p = mem_try(n, size);
    if (!p)
        abort();
    return p;
}

char *mem_strdup(const char *z)
{
    return mem_strndup(str_of(z));
}

char *mem_strndup(struct str s)
{
    char *p = mem_zero(s.n + 1, 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}
