/* arch/problem.c - what a model asks for that is not supported, as a list. */
#include "arch/problem.h"
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>

void problem_add(struct problems *p, const char *what, const char *fmt, ...)
{
    if (p->n == PROBLEMS_MAX)
        return;
    struct problem *it = &p->all[p->n++];
    struct err clean; /* takes out what breaks a line */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(it->why, sizeof(it->why), fmt, ap);
    va_end(ap);
    err_set(&clean, E_UNSUPPORTED_ARCHITECTURE, "%s", it->why);
    snprintf(it->why, sizeof(it->why), "%.*s", PROBLEM_WHY - 1, clean.msg);
    err_set(&clean, E_UNSUPPORTED_ARCHITECTURE, "%.*s", PROBLEM_WHAT - 1, what);
    snprintf(it->what, sizeof(it->what), "%.*s", PROBLEM_WHAT - 1, clean.msg);
}
