/* kernels/check_row.c - layer norm and softmax. */
#include "check.h"
#include <float.h>
#include <string.h>

/* In double precision, with what each step of a kernel may err: the mean by
 * n + 1 roundings of its terms, the variance likewise, and by that of the
 * mean. */
static void check_layernorm_row(const float *out, const float *x, size_t n,
                                const float *gain, const float *bias,
                                double eps)
{
    double mean = 0, size = 0, var = 0, spread = 0;
    for (size_t i = 0; i < n; i++) {
        mean += x[i] / (double)n;
        size += fabs((double)x[i]) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
        spread += fabs(x[i] - mean) / (double)n;
    }
    double inv = 1 / sqrt(var + eps), steps = (double)n + 2;
    double mean_err = steps * UNIT * size;
    double var_err =
        (steps + 2) * UNIT * var + 2 * mean_err * spread + mean_err * mean_err;
    double inv_err = 0.5 * var_err * inv * inv + 4 * UNIT; /* of 1 */
    for (size_t i = 0; i < n; i++) {
        double d = x[i] - mean, y = d * inv;
        double err =
            (mean_err + UNIT * fabs(d)) * inv + fabs(y) * (inv_err + 2 * UNIT);
        double exact = y * gain[i] + bias[i];
        double bound = err * fabs((double)gain[i]) +
                       2 * UNIT * (fabs(y * gain[i]) + fabs((double)bias[i]));
        check_close(out[i], exact, bound * 1.01, "layernorm, n %zu at %zu", n,
                    i);
    }
}

static void check_layernorm_size(size_t n, size_t rows, bool in_place)
{
    struct mat x = mat_random(rows, n, n + check_rand() % 4),
               gain = mat_random(1, n, n);
    struct mat bias = mat_random(1, n, n), one = mat_new(1, n, n);
    struct mat out = mat_random(rows, n, n + check_rand() % 4);
    for (size_t r = 0; r < rows; r++) {
        /* far from zero, and so small that eps counts */
        float shift = r % 3 == 2 ? 30.0f : 0.0f, size = r % 3 == 1 ? 1e-6f : 1;
        for (size_t i = 0; i < n; i++)
            x.p[r * x.ld + i] = x.p[r * x.ld + i] * size + shift;
        memcpy(out.p + r * out.ld, x.p + r * x.ld, n * sizeof(float));
    }
    const struct mat *in = in_place ? &out : &x;
    check_new.layernorm_f32(out.p, out.ld, in->p, in->ld, rows, n, gain.p,
                            bias.p, 1e-12f);
    for (size_t r = 0; r < rows; r++) {
        check_layernorm_row(out.p + r * out.ld, x.p + r * x.ld, n, gain.p,
                            bias.p, 1e-12);
        check_new.layernorm_f32(one.p, n, x.p + r * x.ld, x.ld, 1, n, gain.p,
                                bias.p, 1e-12f);
        if (memcmp(one.p, out.p + r * out.ld, n * sizeof(float)) != 0)
            check_fail("layernorm, n %zu: row %zu is not the same alone", n, r);
    }
    mat_intact(&out, "out");
    mat_free_all();
}

static void check_layernorm(void)
{
    static const size_t real[] = {384, 768, 1024, 1536, 3072};
    for (size_t n = 2; n <= 140; n++)
        check_layernorm_size(n, 1 + n % 4, n % 2);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++)
        check_layernorm_size(real[i], 5, i % 2);
}

/* x - max errs by one rounding, exp by 2 units, the sum by n, the quotient by
 * 3; what would be subnormal may be zero. */
static void check_softmax_size(size_t n, float spread)
{
    struct mat x = mat_random(1, n, n), was = mat_new(1, n, n);
    double max = -INFINITY, sum = 0, far = 0;
    for (size_t i = 0; i < n; i++) {
        x.p[i] *= spread;
        if (n > 4 && i % 5 == 1)
            x.p[i] = -INFINITY;
        was.p[i] = x.p[i];
        max = fmax(max, x.p[i]);
    }
    for (size_t i = 0; i < n; i++) {
        sum += exp(was.p[i] - max);
        if (isfinite(was.p[i]))
            far = fmax(far, max - was.p[i]);
    }
    check_new.softmax_f32(x.p, n);
    for (size_t i = 0; i < n; i++) {
        double exact = exp(was.p[i] - max) / sum;
        double bound = ((double)n + 8 + fmin(far, 90)) * UNIT * exact + FLT_MIN;
        check_close(x.p[i], exact, bound, "softmax, n %zu spread %g at %zu", n,
                    (double)spread, i);
        if (isinf(was.p[i]) && x.p[i] != 0)
            check_fail("softmax, n %zu: minus infinity has weight %g", n,
                       (double)x.p[i]);
    }
    mat_intact(&x, "x");
    mat_free_all();
}

static void check_softmax(void)
{
    static const size_t real[] = {384, 512, 4097, 30522};
    static const float spreads[] = {1, 10, 200};
    for (size_t s = 0; s < 3; s++) {
        for (size_t n = 1; n <= 70; n++)
            check_softmax_size(n, spreads[s]);
        for (size_t i = 0; i < sizeof real / sizeof *real; i++)
            check_softmax_size(real[i], spreads[s]);
    }
    float x[20] = {0};
    x[17] = NAN;
    check_new.softmax_f32(x, 20);
    for (size_t i = 0; i < 20; i++)
        if (!isnan(x[i]))
            check_fail("softmax hides a NaN: [%zu] is %g", i, (double)x[i]);
}

void check_row(void)
{
    if (check_func((void (*)(void))check_new.layernorm_f32, "layernorm_f32"))
        check_layernorm();
    if (check_func((void (*)(void))check_new.softmax_f32, "softmax_f32"))
        check_softmax();
}
