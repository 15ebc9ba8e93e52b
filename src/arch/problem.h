/* arch/problem.h - what a model asks for that is not supported, as a list. */
#ifndef ARCH_PROBLEM_H
#define ARCH_PROBLEM_H
#include "base/attr.h"
#include <stddef.h>

enum { PROBLEMS_MAX = 16, PROBLEM_WHAT = 96, PROBLEM_WHY = 300 };

struct problems {
    struct problem {
        char what[PROBLEM_WHAT]; /* a key, a class, a file */
        char why[PROBLEM_WHY];   /* one sentence */
    } all[PROBLEMS_MAX];
    size_t n;
};

/* Past PROBLEMS_MAX the rest is dropped: sixteen are reason enough. */
void problem_add(struct problems *p, const char *what, const char *fmt, ...)
    PRINTF(3, 4);

#endif
