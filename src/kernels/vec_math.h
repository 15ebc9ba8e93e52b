/* kernels/vec_math.h - exp and the activations on vectors, for every level that
 * has a vec.h; that header is included first. NaN stays NaN. */
#ifndef KERNELS_VEC_MATH_H
#define KERNELS_VEC_MATH_H
#include "kernels/kernels.h"

/* x = n ln 2 + r, |r| <= ln 2 / 2; r comes out of two steps because n ln 2 has
 * more bits than a float. */
static inline vec exp_reduce(vec x, vec *n)
{
    *n = v_round(v_mul(x, v_set(1.44269504f)));
    vec r = v_nfma(*n, v_set(0.693145752f), x);
    return v_nfma(*n, v_set(1.42860677e-6f), r);
}

/* exp(r) - 1; the error is at most 7.0e-8 of exp(r). */
static inline vec expm1_reduced(vec r)
{
    vec p = v_fma(v_set(0.0013814599f), r, v_set(0.00836871743f));
    p = v_fma(p, r, v_set(0.0416683881f));
    p = v_fma(p, r, v_set(0.166665206f));
    p = v_fma(p, r, v_set(0.499999934f));
    return v_fma(v_mul(r, r), p, r);
}

/* exp(x) for x <= 0; zero where it would be subnormal. */
static inline vec exp_negative(vec x)
{
    const vec least = v_set(-87.33654f);
    vec n, r = exp_reduce(v_max(least, x), &n);
    vec e = v_scale_pow2(v_add(v_set(1.0f), expm1_reduced(r)), n);
    return v_if_less(x, least, v_set(0.0f), e);
}

/* 2^x, x = n + f, |f| <= 1/2, for n >= -126; the error is at most 9.2e-8 of it. */
static inline vec exp2_any(vec x)
{
    vec n = v_round(x);
    vec f = v_sub(x, n);
    vec p = v_fma(v_set(0.00132647279f), f, v_set(0.00967151358f));
    p = v_fma(p, f, v_set(0.0555073375f));
    p = v_fma(p, f, v_set(0.240222421f));
    p = v_fma(p, f, v_set(0.693146978f));
    return v_scale_pow2(v_fma(p, f, v_set(1.0f)), n);
}

/* x Phi(x) = max(x, 0) - a 2^g(a), a = |x|, with g fitted to log2 Phi(-a) by
 * tools/fit_gelu.py; beyond 6, a Phi(-a) is below 1e-8 and a stays 6. */
static inline vec v_gelu(vec x)
{
    vec a = v_min(v_set(6.0f), v_abs(x));
    vec g = v_fma(v_set(3.15203206e-6f), a, v_set(2.93248016e-7f));
    g = v_fma(g, a, v_set(-6.35927858e-4f));
    g = v_fma(g, a, v_set(0.00781070406f));
    g = v_fma(g, a, v_set(-0.0531238036f));
    g = v_fma(g, a, v_set(-0.458928352f));
    g = v_fma(g, a, v_set(-1.15116291f));
    g = v_fma(g, a, v_set(-0.999996126f));
    return v_nfma(a, exp2_any(g), v_max(v_set(0.0f), x));
}

/* From exp(-|x|), so that nothing overflows. */
static inline vec v_sigmoid(vec x)
{
    vec e = exp_negative(v_sub(v_set(0.0f), v_abs(x)));
    vec top = v_if_less(x, v_set(0.0f), e, v_set(1.0f));
    return v_div(top, v_add(v_set(1.0f), e));
}

/* From expm1(-2|x|), so that nothing cancels near zero. */
static inline vec v_tanh(vec x)
{
    vec y = v_max(v_set(-40.0f), v_mul(v_set(-2.0f), v_abs(x)));
    vec n, r = exp_reduce(y, &n);
    vec s = v_pow2(n);
    vec m = v_fma(s, expm1_reduced(r), v_sub(s, v_set(1.0f)));
    vec t = v_div(v_sub(v_set(0.0f), m), v_add(m, v_set(2.0f)));
    return v_with_sign(v_max(v_set(0.0f), t), x);
}

/* (1 + tanh u) / 2 = sigmoid(2u) */
static inline vec v_gelu_tanh(vec x)
{
    vec x2 = v_mul(x, x);
    vec two_u = v_mul(v_mul(v_set(1.5957691216f), x), v_fma(v_set(0.044715f), x2, v_set(1.0f)));
    return v_mul(x, v_sigmoid(two_u));
}

static inline __attribute__((always_inline)) vec v_act(vec x, enum act act)
{
    switch (act) {
    case ACT_NONE:
        break;
    case ACT_GELU:
        return v_gelu(x);
    case ACT_GELU_TANH:
        return v_gelu_tanh(x);
    case ACT_RELU:
        return v_max(v_set(0.0f), x);
    case ACT_SILU:
        return v_mul(x, v_sigmoid(x));
    case ACT_TANH:
        return v_tanh(x);
    case ACT_SIGMOID:
        return v_sigmoid(x);
    }
    return x;
}

static inline __attribute__((always_inline)) void act_each(float *x, size_t n, enum act act)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        v_store(x + i, v_act(v_load(x + i), act));
    if (i < n)
        v_store_n(x + i, v_act(v_load_n(x + i, n - i), act), n - i);
}

/* The choice is made once per row, not per vector. */
static inline void act_row(float *x, size_t n, enum act act)
{
    switch (act) {
    case ACT_NONE:
        break;
    case ACT_GELU:
        act_each(x, n, ACT_GELU);
        break;
    case ACT_GELU_TANH:
        act_each(x, n, ACT_GELU_TANH);
        break;
    case ACT_RELU:
        act_each(x, n, ACT_RELU);
        break;
    case ACT_SILU:
        act_each(x, n, ACT_SILU);
        break;
    case ACT_TANH:
        act_each(x, n, ACT_TANH);
        break;
    case ACT_SIGMOID:
        act_each(x, n, ACT_SIGMOID);
        break;
    }
}

#endif
