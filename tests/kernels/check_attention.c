/* kernels/check_attention.c - one head against double precision, and the
 * promise that a query does not depend on the others. */
#include "check.h"
#include <stdlib.h>
#include <string.h>

struct head {
    struct mat q, k, v, out, scratch;
    float scale;
};

static struct head head_new(size_t n_queries, size_t n_keys, size_t d,
                            float scale)
{
    struct head h = {.q = mat_random(n_queries, d, d + check_rand() % 9),
                     .k = mat_random(n_keys, d, d + check_rand() % 9),
                     .v = mat_random(n_keys, d, d + check_rand() % 9),
                     .out = mat_new(n_queries, d, d + check_rand() % 9),
                     .scale = scale};
    const size_t floats = attention_scratch(n_keys, d);
    h.scratch = mat_new(1, floats, floats);
    return h;
}

static void head_run(const struct head *h, float *out, size_t ldo, size_t query,
                     size_t n_queries)
{
    check_new.attention_f32(out, ldo, h->q.p + query * h->q.ld, h->q.ld, h->k.p,
                            h->k.ld, h->v.p, h->v.ld, n_queries, h->k.rows,
                            h->q.cols, h->scale, h->scratch.p);
}

/* Scaled scores of one query, exactly; returns how far a kernel's may be off:
 * d + 1 roundings of the products, and 4 of what is scaled and shifted. */
static double scores(const struct head *h, const float *q, double *s)
{
    double err = 0, largest = 0;
    for (size_t j = 0; j < h->k.rows; j++) {
        double sum = 0, size = 0;
        for (size_t x = 0; x < h->q.cols; x++) {
            double y = (double)q[x] * h->k.p[j * h->k.ld + x];
            sum += y;
            size += fabs(y);
        }
        s[j] = sum * h->scale;
        err = fmax(err, fabs(h->scale) * size * (double)(h->q.cols + 1) * UNIT);
        largest = fmax(largest, fabs(s[j]));
    }
    return err + 4 * UNIT * largest;
}

/* A weight errs by twice what a score does (itself and the sum), by 4 units of
 * exp, and the sums over keys by n roundings each. */
static void check_query(const struct head *h, size_t i)
{
    const size_t n = h->k.rows, d = h->q.cols;
    double *s = malloc(n * sizeof *s), max = -INFINITY, sum = 0;
    if (!s)
        abort();
    double err = scores(h, h->q.p + i * h->q.ld, s);
    for (size_t j = 0; j < n; j++)
        max = fmax(max, s[j]);
    for (size_t j = 0; j < n; j++)
        sum += s[j] = exp(s[j] - max);
    for (size_t x = 0; x < d; x++) {
        double exact = 0, size = 0;
        for (size_t j = 0; j < n; j++) {
            double y = s[j] / sum * h->v.p[j * h->v.ld + x];
            exact += y;
            size += fabs(y);
        }
        double bound = size * (expm1(2 * err) + (2 * (double)n + 12) * UNIT) +
                       1e-37 * (double)n;
        check_close(h->out.p[i * h->out.ld + x], exact, bound,
                    "queries %zu keys %zu d %zu scale %g at [%zu][%zu]",
                    h->q.rows, n, d, (double)h->scale, i, x);
    }
    free(s);
}

static void check_size(size_t n_queries, size_t n_keys, size_t d, float scale)
{
    struct head h = head_new(n_queries, n_keys, d, scale);
    head_run(&h, h.out.p, h.out.ld, 0, n_queries);
    for (size_t i = 0; i < n_queries; i++)
        check_query(&h, i);
    mat_intact(&h.out, "out");
    mat_intact(&h.scratch, "scratch");
    mat_free_all();
}

static void check_alone(size_t n_queries, size_t n_keys, size_t d)
{
    struct head h = head_new(n_queries, n_keys, d, 0.3f);
    struct mat part = mat_new(7, d, d);
    head_run(&h, h.out.p, h.out.ld, 0, n_queries);
    for (size_t i = 0; i < n_queries; i++) {
        const size_t left = n_queries - i,
                     rows = i % 3 && left >= 7 ? 1 + i % 7 : 1;
        head_run(&h, part.p, d, i, rows);
        for (size_t r = 0; r < rows; r++)
            if (memcmp(part.p + r * d, h.out.p + (i + r) * h.out.ld,
                       d * sizeof(float)) != 0)
                check_fail(
                    "query %zu among %zu, d %zu, is not the same among %zu",
                    i + r, n_queries, d, rows);
    }
    mat_free_all();
}

void check_attention(void)
{
    static const size_t queries[] = {1, 2, 5, 11, 12, 13, 30};
    static const size_t keys[] = {1, 2, 3, 15, 16, 17, 33, 100, 130};
    static const size_t dims[] = {1, 3, 4, 8, 15, 16, 20, 32, 33, 64, 80, 128};
    static const float scales[] = {0.17677669f, 1.0f, 60.0f, -60.0f};
    if (!check_func((void (*)(void))check_new.attention_f32, "attention_f32"))
        return;
    for (size_t q = 0; q < 7; q++)
        for (size_t k = 0; k < 9; k++)
            for (size_t d = 0; d < 12; d++)
                check_size(queries[q], keys[k], dims[d],
                           scales[check_rand() % 4]);
    check_size(3, 512, 64, 0.125f);
    check_size(17, 700, 32, 0.17677669f);
    check_alone(200, 40, 32);
    check_alone(50, 129, 20);
    if (attention_scratch(SIZE_MAX / 2, 64) != 0 ||
        attention_scratch(SIZE_MAX, 1) != 0)
        check_fail("attention_scratch does not see an overflow");
}
