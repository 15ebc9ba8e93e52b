/* kernels/avx2/vec.h - vectors of 8 floats: the words that vec_math.h and
 * vec_row.h are written in. */
#ifndef KERNELS_AVX2_VEC_H
#define KERNELS_AVX2_VEC_H
#include <immintrin.h>
#include <stddef.h>

typedef __m256 vec;
enum { VEC = 8 };

static inline vec v_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vec v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void v_store(float *p, vec x)
{
    _mm256_storeu_ps(p, x);
}

/* All bits set in the first n lanes, n <= VEC. */
static inline __m256i v_mask(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/* n <= 4. In parts, not by a masked load or store: those are slow on some
 * processors, and an emulator may let a masked lane fault. */
static inline __m128 load_quarter(const float *p, size_t n)
{
    const __m128 none = _mm_setzero_ps();
    switch (n) {
    case 0:
        return none;
    case 1:
        return _mm_load_ss(p);
    case 2:
        return _mm_loadl_pi(none, (const __m64 *)p);
    case 3:
        return _mm_movelh_ps(_mm_loadl_pi(none, (const __m64 *)p), _mm_load_ss(p + 2));
    default:
        return _mm_loadu_ps(p);
    }
}

static inline void store_quarter(float *p, __m128 x, size_t n)
{
    switch (n) {
    case 0:
        break;
    case 1:
        _mm_store_ss(p, x);
        break;
    case 2:
        _mm_storel_pi((__m64 *)p, x);
        break;
    case 3:
        _mm_storel_pi((__m64 *)p, x);
        _mm_store_ss(p + 2, _mm_movehl_ps(x, x));
        break;
    default:
        _mm_storeu_ps(p, x);
        break;
    }
}

/* The first n lanes, n <= VEC; no byte behind them is touched. The others load
 * as zero. */
static inline vec v_load_n(const float *p, size_t n)
{
    if (n <= 4)
        return _mm256_zextps128_ps256(load_quarter(p, n));
    return _mm256_set_m128(load_quarter(p + 4, n - 4), _mm_loadu_ps(p));
}

static inline void v_store_n(float *p, vec x, size_t n)
{
    store_quarter(p, _mm256_castps256_ps128(x), n);
    if (n > 4)
        store_quarter(p + 4, _mm256_extractf128_ps(x, 1), n - 4);
}

/* x in the first n lanes, y in the others. */
static inline vec v_head(vec x, vec y, size_t n)
{
    return _mm256_blendv_ps(y, x, _mm256_castsi256_ps(v_mask(n)));
}

static inline vec v_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

static inline vec v_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

static inline vec v_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

static inline vec v_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

/* a * b + c */
static inline vec v_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* c - a * b */
static inline vec v_nfma(vec a, vec b, vec c)
{
    return _mm256_fnmadd_ps(a, b, c);
}

/* b where either is NaN */
static inline vec v_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

/* b where either is NaN */
static inline vec v_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

static inline vec v_abs(vec x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* x with the sign of s; x must not be negative. */
static inline vec v_with_sign(vec x, vec s)
{
    return _mm256_or_ps(x, _mm256_and_ps(s, _mm256_set1_ps(-0.0f)));
}

/* To the nearest integer, ties to even. */
static inline vec v_round(vec x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n for whole n, -126 <= n <= 127 */
static inline vec v_pow2(vec n)
{
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}

/* x * 2^n for whole n, -126 <= n <= 127 */
static inline vec v_scale_pow2(vec x, vec n)
{
    return _mm256_mul_ps(x, v_pow2(n));
}

/* a where x < limit, else b (also where x is NaN) */
static inline vec v_if_less(vec x, vec limit, vec a, vec b)
{
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, limit, _CMP_LT_OQ));
}

static inline float v_sum(vec x)
{
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
}

/* The largest lane; with a NaN in x, any value. */
static inline float v_largest(vec x)
{
    __m128 q = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    q = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}

#endif
