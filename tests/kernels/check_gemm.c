/* kernels/check_gemm.c - products against double precision, and the promise
 * that a row does not depend on its neighbours. */
#include "check.h"
#include <string.h>

struct shape {
    size_t rows, k, panels;
    enum act act;
    bool bias, residual, in_place;
};

/* gelu is the steepest: its slope reaches 1.13. */
static const double steepest = 1.13;

static void check_cell(const struct shape *s, const float *a, const float *w,
                       const float *bias, const float *residual, float got,
                       size_t r, size_t n)
{
    double sum = 0, size = 0;
    for (size_t i = 0; i < s->k; i++) {
        double x = (double)a[i] * w[i * PANEL];
        sum += x;
        size += fabs(x);
    }
    if (bias) {
        sum += *bias;
        size += fabs((double)*bias);
    }
    /* one rounding a product, one a sum, one for the bias */
    double bound = (double)(s->k + 2) * UNIT * size;
    double exact = act_exact(sum, s->act);
    if (s->act != ACT_NONE)
        bound = steepest * bound + act_bound(sum, s->act);
    if (residual) {
        exact += *residual;
        bound += UNIT * (fabs(exact) + bound);
    }
    check_close(got, exact, bound,
                "rows %zu k %zu panels %zu act %d at [%zu][%zu]", s->rows, s->k,
                s->panels, (int)s->act, r, n);
}

static void check_shape(const struct shape *s)
{
    const size_t cols = s->panels * PANEL;
    struct mat a = mat_random(s->rows, s->k, s->k + check_rand() % 5);
    struct mat w = mat_random(s->panels * s->k, PANEL, PANEL);
    struct mat bias = mat_random(1, cols, cols);
    struct mat residual =
        mat_random(s->rows, cols, cols + 5 + check_rand() % 5);
    struct mat c = mat_new(s->rows, cols, cols + check_rand() % 5);
    if (s->in_place)
        for (size_t r = 0; r < s->rows; r++)
            memcpy(c.p + r * c.ld, residual.p + r * residual.ld,
                   cols * sizeof(float));
    check_new.gemm_f32.run(c.p, c.ld, a.p, a.ld, w.p, s->rows, s->k, s->panels,
                           s->bias ? bias.p : NULL,
                           !s->residual  ? NULL
                           : s->in_place ? c.p
                                         : residual.p,
                           s->in_place ? c.ld : residual.ld, s->act);
    for (size_t r = 0; r < s->rows; r++)
        for (size_t n = 0; n < cols; n++)
            check_cell(s, a.p + r * a.ld,
                       w.p + n / PANEL * s->k * PANEL + n % PANEL,
                       s->bias ? bias.p + n : NULL,
                       s->residual ? residual.p + r * residual.ld + n : NULL,
                       c.p[r * c.ld + n], r, n);
    mat_intact(&c, "c");
    mat_free_all();
}

/* Every height of a tile, every remainder of panels, every end of a row. */
static void check_small_shapes(void)
{
    static const size_t ks[] = {1, 2, 3, 8, 17, 33};
    for (size_t rows = 1; rows <= 30; rows++)
        for (size_t panels = 1; panels <= 9; panels++) {
            unsigned x = check_rand();
            struct shape s = {.rows = rows,
                              .k = ks[x % 6],
                              .panels = panels,
                              .act = (enum act)(x / 8 % 7),
                              .bias = x & 64,
                              .residual = x & 128,
                              .in_place = (x & 384) == 384};
            check_shape(&s);
            s.act = ACT_NONE;
            check_shape(&s);
        }
}

static void check_model_shapes(void)
{
    static const struct shape shapes[] = {
        {7, 384, 72, ACT_NONE, true, false, false},
        {13, 384, 24, ACT_NONE, true, true, true},
        {9, 384, 96, ACT_GELU, true, false, false},
        {101, 1536, 4, ACT_NONE, true, true, false},
        {5, 768, 192, ACT_GELU, true, false, false},
        {2, 3072, 48, ACT_GELU_TANH, true, true, false},
        {1, 768, 1908, ACT_NONE, true, false, false},
        {200, 768, 2, ACT_SILU, false, false, false},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        check_shape(&shapes[i]);
}

/* Some rows and some panels of a product again: not a bit may differ. */
static void check_part(const struct mat *a, const struct mat *w,
                       const struct mat *bias, const struct mat *all,
                       size_t row, size_t rows, size_t panel, size_t panels,
                       enum act act)
{
    const size_t cols = panels * PANEL;
    struct mat c = mat_new(rows, cols, cols + 3);
    check_new.gemm_f32.run(c.p, c.ld, a->p + row * a->ld, a->ld,
                           w->p + panel * a->cols * PANEL, rows, a->cols,
                           panels, bias->p + panel * PANEL, NULL, 0, act);
    for (size_t r = 0; r < rows; r++)
        if (memcmp(c.p + r * c.ld, all->p + (row + r) * all->ld + panel * PANEL,
                   cols * sizeof(float)) != 0)
            check_fail(
                "row %zu alone in %zu rows and %zu panels is not the same row",
                row + r, rows, panels);
}

static void check_independence(size_t k, enum act act)
{
    enum { ROWS = 200, PANELS = 9 };
    struct mat a = mat_random(ROWS, k, k + 1),
               w = mat_random(PANELS * k, PANEL, PANEL);
    struct mat bias = mat_random(1, PANELS * PANEL, PANELS * PANEL);
    struct mat all = mat_new(ROWS, PANELS * PANEL, PANELS * PANEL);
    check_new.gemm_f32.run(all.p, all.ld, a.p, a.ld, w.p, ROWS, k, PANELS,
                           bias.p, NULL, 0, act);
    for (size_t rows = 1; rows <= 28; rows++) {
        size_t panels = 1 + check_rand() % PANELS;
        check_part(&a, &w, &bias, &all, check_rand() % (ROWS - rows), rows,
                   check_rand() % (PANELS - panels + 1), panels, act);
    }
    for (size_t row = 0; row < ROWS; row += 1 + check_rand() % 16)
        check_part(&a, &w, &bias, &all, row, 1, 0, PANELS, act);
    mat_free_all();
}

/* An infinity or a NaN in one row reaches that row alone. */
static void check_special(void)
{
    enum { ROWS = 14, K = 20, COLS = 2 * PANEL };
    struct mat a = mat_random(ROWS, K, K), w = mat_random(2 * K, PANEL, PANEL);
    struct mat c = mat_new(ROWS, COLS, COLS);
    a.p[3 * K + 7] = INFINITY;
    a.p[5 * K + 7] = NAN;
    a.p[6 * K + 2] = 1e-42f; /* subnormal */
    check_new.gemm_f32.run(c.p, COLS, a.p, K, w.p, ROWS, K, 2, NULL, NULL, 0,
                           ACT_GELU);
    for (size_t i = 0; i < (size_t)ROWS * COLS; i++) {
        size_t r = i / COLS;
        if (r == 3   ? isfinite(c.p[i]) && fabsf(c.p[i]) > 1e-8f
            : r == 5 ? !isnan(c.p[i])
                     : !isfinite(c.p[i]))
            check_fail("special values: row %zu holds %g", r, (double)c.p[i]);
    }
    mat_free_all();
}

void check_gemm(void)
{
    if (!check_func((void (*)(void))check_new.gemm_f32.run, "gemm_f32"))
        return;
    check_small_shapes();
    check_model_shapes();
    check_independence(384, ACT_NONE);
    check_independence(45, ACT_GELU);
    check_special();
}
