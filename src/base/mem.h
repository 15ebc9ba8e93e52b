/* base/mem.h - allocation: small fixed things never fail, sizes from outside
 * may. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include "base/attr.h"
#include "base/str.h"
#include <stdlib.h>

/* Zeroed; aborts when memory is out. For small things of fixed size. */
#define mem_new(T) ((T *)mem_zero(1, sizeof(T)))
void *mem_zero(size_t n, size_t size);
/* Zeroed; NULL when n*size overflows or memory is out. For outside sizes. */
void *mem_try(size_t n, size_t size) MUST_CHECK;
/* Terminated copies; abort when memory is out. */
char *mem_strdup(const char *z);
char *mem_strndup(struct str s);

#endif
