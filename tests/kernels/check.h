/* kernels/check.h - what the checks of the kernel families share. */
#ifndef KERNELS_CHECK_H
#define KERNELS_CHECK_H
#include "kernels/kernels.h"
#include <math.h>
#include <stdbool.h>

#define UNIT (1.0 / (1 << 24)) /* the most that one f32 rounding errs, of 1 */

/* One per family; each runs the slots that check_func lets through. */
void check_gemm(void);
void check_attention(void);
void check_row(void);
void check_act(void);

extern struct kernels check_new; /* table of the level under test */

/* True when this level brings its own version of the slot, not yet checked. */
bool check_func(void (*fn)(void), const char *name);
/* Reports a failure; how is one line that says what differs where. */
void check_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same, when |got - exact| > bound or one of them is NaN and not both. */
bool check_close(double got, double exact, double bound, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

unsigned check_rand(void);
/* In [-1, 1), with few zeros and a wide spread of small values. */
float check_float(void);

/* A matrix that ends at an unmapped page and starts behind canaries. What
 * belongs to no row holds a canary too, which is a NaN: a kernel that reads it
 * shows it in its results. Freed by mat_free_all. */
struct mat {
    float *p; /* [rows][ld], the last row only cols long */
    size_t rows, cols, ld;
    char *map; /* the mapping, without its last page */
    size_t map_bytes;
};

struct mat mat_new(size_t rows, size_t cols, size_t ld);
struct mat mat_random(size_t rows, size_t cols, size_t ld);
/* False, and a failure, when a byte that belongs to no row has changed. */
bool mat_intact(const struct mat *m, const char *what);
void mat_free_all(void);

/* act in double precision, and how far a kernel's may be from it. */
double act_exact(double x, enum act act);
double act_bound(double x, enum act act);

#endif
