/* tests/unit/fault.h - allocations that fail on demand. Listed with fault.c in
 * src/<folder>/meson.build (the third word of a unit test). */
#ifndef FAULT_H
#define FAULT_H

/* The nth malloc, calloc or realloc from now on fails; 0 = none. */
extern long fault_countdown, fault_hits;

/* Runs body with allocation 1 failing, then 2, ... until a run meets none. */
#define FAULT_EACH(body)                         \
    for (long n_ = 1, done_ = 0; !done_; n_++) { \
        fault_countdown = n_;                    \
        fault_hits = 0;                          \
        body;                                    \
        fault_countdown = 0;                     \
        done_ = !fault_hits;                     \
    }

#endif
