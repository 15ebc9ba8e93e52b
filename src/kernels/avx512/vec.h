/* kernels/avx512/vec.h - vectors of 16 floats: the words that vec_math.h and
 * vec_row.h are written in. */
#ifndef KERNELS_AVX512_VEC_H
#define KERNELS_AVX512_VEC_H
#include <immintrin.h>
#include <stddef.h>

typedef __m512 vec;
enum { VEC = 16 };

static inline vec v_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vec v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void v_store(float *p, vec x)
{
    _mm512_storeu_ps(p, x);
}

/* The first n lanes, n <= VEC; no byte behind them is touched. The others load
 * as zero. */
static inline vec v_load_n(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

static inline void v_store_n(float *p, vec x, size_t n)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}

/* x in the first n lanes, y in the others. */
static inline vec v_head(vec x, vec y, size_t n)
{
    return _mm512_mask_mov_ps(y, (__mmask16)((1u << n) - 1), x);
}

static inline vec v_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

static inline vec v_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec v_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec v_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

/* a * b + c */
static inline vec v_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* c - a * b */
static inline vec v_nfma(vec a, vec b, vec c)
{
    return _mm512_fnmadd_ps(a, b, c);
}

/* b where either is NaN */
static inline vec v_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

/* b where either is NaN */
static inline vec v_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec v_abs(vec x)
{
    return _mm512_abs_ps(x);
}

/* |x| with the sign of s; x must not be negative. */
static inline vec v_with_sign(vec x, vec s)
{
    return _mm512_or_ps(x, _mm512_and_ps(s, _mm512_set1_ps(-0.0f)));
}

/* To the nearest integer, ties to even. */
static inline vec v_round(vec x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n for whole n, -126 <= n <= 127 */
static inline vec v_pow2(vec n)
{
    return _mm512_scalef_ps(_mm512_set1_ps(1.0f), n);
}

/* x * 2^n for whole n, -126 <= n <= 127 */
static inline vec v_scale_pow2(vec x, vec n)
{
    return _mm512_scalef_ps(x, n);
}

/* a where x < limit, else b (also where x is NaN) */
static inline vec v_if_less(vec x, vec limit, vec a, vec b)
{
    return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, limit, _CMP_LT_OQ), a);
}

static inline float v_sum(vec x)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

/* The largest lane; with a NaN in x, any value. */
static inline float v_largest(vec x)
{
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

#endif
