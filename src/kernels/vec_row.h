/* kernels/vec_row.h - whole rows: sums, layer norm, softmax; for every level
 * that has a vec.h. The order of a sum depends on the length alone. */
#ifndef KERNELS_VEC_ROW_H
#define KERNELS_VEC_ROW_H
#include "kernels/vec_math.h"

/* Four chains, or a sum would wait for each addition. */
struct sum {
    vec lane[4];
};

static inline float sum_all(const struct sum *s)
{
    return v_sum(v_add(v_add(s->lane[0], s->lane[1]), v_add(s->lane[2], s->lane[3])));
}

static inline float row_dot(const float *a, const float *b, size_t n)
{
    struct sum s = {{v_set(0), v_set(0), v_set(0), v_set(0)}};
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC)
        for (size_t j = 0; j < 4; j++)
            s.lane[j] = v_fma(v_load(a + i + j * VEC), v_load(b + i + j * VEC), s.lane[j]);
    for (; i + VEC <= n; i += VEC)
        s.lane[0] = v_fma(v_load(a + i), v_load(b + i), s.lane[0]);
    if (i < n)
        s.lane[1] = v_fma(v_load_n(a + i, n - i), v_load_n(b + i, n - i), s.lane[1]);
    return sum_all(&s);
}

static inline float row_sum(const float *x, size_t n)
{
    struct sum s = {{v_set(0), v_set(0), v_set(0), v_set(0)}};
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC)
        for (size_t j = 0; j < 4; j++)
            s.lane[j] = v_add(v_load(x + i + j * VEC), s.lane[j]);
    for (; i + VEC <= n; i += VEC)
        s.lane[0] = v_add(v_load(x + i), s.lane[0]);
    if (i < n)
        s.lane[1] = v_add(v_load_n(x + i, n - i), s.lane[1]);
    return sum_all(&s);
}

/* sum of (x - mean)^2 */
static inline float row_spread(const float *x, size_t n, float mean)
{
    const vec m = v_set(mean);
    struct sum s = {{v_set(0), v_set(0), v_set(0), v_set(0)}};
    size_t i = 0;
    for (; i + 4 * VEC <= n; i += 4 * VEC)
        for (size_t j = 0; j < 4; j++) {
            vec d = v_sub(v_load(x + i + j * VEC), m);
            s.lane[j] = v_fma(d, d, s.lane[j]);
        }
    for (; i + VEC <= n; i += VEC) {
        vec d = v_sub(v_load(x + i), m);
        s.lane[0] = v_fma(d, d, s.lane[0]);
    }
    if (i < n) {
        vec d = v_head(v_sub(v_load_n(x + i, n - i), m), v_set(0), n - i);
        s.lane[1] = v_fma(d, d, s.lane[1]);
    }
    return sum_all(&s);
}

static inline void row_layernorm(float *out, const float *x, size_t n, const float *gain,
                                 const float *bias, float eps)
{
    float mean = row_sum(x, n) / (float)n;
    float var = row_spread(x, n, mean) / (float)n;
    const vec m = v_set(mean),
              inv = v_set(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(var + eps))));
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        vec y = v_mul(v_sub(v_load(x + i), m), inv);
        v_store(out + i, v_fma(y, v_load(gain + i), v_load(bias + i)));
    }
    if (i < n) {
        vec y = v_mul(v_sub(v_load_n(x + i, n - i), m), inv);
        v_store_n(out + i, v_fma(y, v_load_n(gain + i, n - i), v_load_n(bias + i, n - i)), n - i);
    }
}

/* With a NaN in x, any value. */
static inline float row_max(const float *x, size_t n)
{
    vec m = v_set(x[0]);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        m = v_max(m, v_load(x + i));
    if (i < n)
        m = v_max(m, v_head(v_load_n(x + i, n - i), m, n - i));
    return v_largest(m);
}

/* With a NaN in x, any value. */
static inline float row_min(const float *x, size_t n)
{
    const vec zero = v_set(0);
    vec m = v_set(-x[0]);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        m = v_max(m, v_sub(zero, v_load(x + i)));
    if (i < n)
        m = v_max(m, v_head(v_sub(zero, v_load_n(x + i, n - i)), m, n - i));
    return -v_largest(m);
}

static inline void row_scale(float *y, float s, size_t n)
{
    const vec v = v_set(s);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        v_store(y + i, v_mul(v_load(y + i), v));
    if (i < n)
        v_store_n(y + i, v_mul(v_load_n(y + i, n - i), v), n - i);
}

static inline void row_add(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        v_store(y + i, v_add(v_load(y + i), v_load(x + i)));
    if (i < n)
        v_store_n(y + i, v_add(v_load_n(y + i, n - i), v_load_n(x + i, n - i)), n - i);
}

static inline void row_softmax(float *x, size_t n)
{
    const vec max = v_set(row_max(x, n));
    vec sum = v_set(0);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        vec e = exp_negative(v_sub(v_load(x + i), max));
        v_store(x + i, e);
        sum = v_add(sum, e);
    }
    if (i < n) {
        vec e = exp_negative(v_sub(v_load_n(x + i, n - i), max));
        v_store_n(x + i, e, n - i);
        sum = v_add(sum, v_head(e, v_set(0), n - i));
    }
    row_scale(x, 1.0f / v_sum(sum), n);
}

#endif
