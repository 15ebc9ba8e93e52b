/* kernels/vec_attention.h - one head of one sequence as two products with a
 * softmax between them; for every level that has a vec.h.
 *
 * Keys are packed as [n_keys / PANEL][d][PANEL] and values as
 * [d / PANEL][n_keys][PANEL], which are weight panels, so that both products are
 * the level's own gemm. Queries go in blocks, so that a block of scores stays
 * in the first cache. */
#ifndef KERNELS_VEC_ATTENTION_H
#define KERNELS_VEC_ATTENTION_H
#include "kernels/vec_row.h"
#include <stdint.h>

enum { QUERY_BLOCK = 12 };

static inline size_t round_panel(size_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static inline void transpose_4x4(float *to, const float *from, size_t ld)
{
    __m128 a = _mm_loadu_ps(from), b = _mm_loadu_ps(from + ld);
    __m128 c = _mm_loadu_ps(from + 2 * ld), d = _mm_loadu_ps(from + 3 * ld);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + PANEL, b);
    _mm_storeu_ps(to + 2 * PANEL, c);
    _mm_storeu_ps(to + 3 * PANEL, d);
}

/* One panel of up to PANEL keys: to[d][PANEL] = k[n][d] transposed. */
static inline void pack_keys_panel(float *to, const float *k, size_t ldk, size_t n, size_t d)
{
    size_t j = 0;
    for (; j + 4 <= n; j += 4) {
        size_t x = 0;
        for (; x + 4 <= d; x += 4)
            transpose_4x4(to + x * PANEL + j, k + j * ldk + x, ldk);
        for (; x < d; x++)
            for (size_t i = j; i < j + 4; i++)
                to[x * PANEL + i] = k[i * ldk + x];
    }
    for (; j < PANEL; j++)
        for (size_t x = 0; x < d; x++)
            to[x * PANEL + j] = j < n ? k[j * ldk + x] : 0.0f;
}

static inline void pack_keys(float *to, const float *k, size_t ldk, size_t n, size_t d)
{
    for (size_t j = 0; j < n; j += PANEL)
        pack_keys_panel(to + j * d, k + j * ldk, ldk, n - j < PANEL ? n - j : PANEL, d);
}

static inline void pack_values(float *to, const float *v, size_t ldv, size_t n, size_t d)
{
    for (size_t x = 0; x < d; x += PANEL)
        for (size_t j = 0; j < n; j++, to += PANEL)
            for (size_t y = 0; y < PANEL; y += VEC) {
                size_t left = x + y < d ? d - x - y : 0;
                const float *from = v + j * ldv + x + y;
                v_store(to + y, left >= VEC ? v_load(from)
                                : left      ? v_load_n(from, left)
                                            : v_set(0));
            }
}

/* 2^(c s - max): what would be subnormal stays 2^-126, which no sum notices. The
 * fused step leaves only the rounding of max, which all weights share. */
static inline vec score_exp(vec s, vec c, vec minus_max)
{
    return exp2_any(v_max(v_set(-126.0f), v_fma(s, c, minus_max)));
}

/* s[i] = 2^(c s[i] - max); returns their sum. s has room for whole vectors. */
static inline float scores_exp(float *s, size_t n, float c)
{
    const vec by = v_set(c), minus_max = v_set(-c * (c < 0 ? row_min(s, n) : row_max(s, n)));
    vec sum = v_set(0);
    size_t i = 0;
    for (; i + VEC <= n; i += VEC) {
        vec e = score_exp(v_load(s + i), by, minus_max);
        v_store(s + i, e);
        sum = v_add(sum, e);
    }
    if (i < n) {
        vec e = v_head(score_exp(v_load(s + i), by, minus_max), v_set(0), n - i);
        v_store(s + i, e);
        sum = v_add(sum, e);
    }
    return v_sum(sum);
}

/* out[i] = from[i] * s */
static inline void scaled_copy(float *out, const float *from, float s, size_t n)
{
    size_t i = 0;
    for (; i + VEC <= n; i += VEC)
        v_store(out + i, v_mul(v_load(from + i), v_set(s)));
    if (i < n)
        v_store_n(out + i, v_mul(v_load_n(from + i, n - i), v_set(s)), n - i);
}

static inline void attention_head(GEMM_NEAR_FN((*gemm)), float *out, size_t ldo, const float *q,
                                  size_t ldq, const float *k, size_t ldk, const float *v,
                                  size_t ldv, size_t n_queries, size_t n_keys, size_t d,
                                  float scale, float *scratch)
{
    const size_t keys = round_panel(n_keys), width = round_panel(d);
    const size_t lds = keys + PANEL; /* one line more, or rows would share cache sets */
    float *keys_packed = (float *)(((uintptr_t)scratch + 63) / 64 * 64);
    float *values = keys_packed + keys * d;
    float *s = values + n_keys * width;
    float *o = s + ATTENTION_ROWS * lds;
    pack_keys(keys_packed, k, ldk, n_keys, d);
    pack_values(values, v, ldv, n_keys, d);
    size_t blocks = (n_queries + QUERY_BLOCK - 1) / QUERY_BLOCK;
    for (size_t i = 0, rows; blocks > 0; i += rows, blocks--) {
        float sum[ATTENTION_ROWS];
        rows = (n_queries - i + blocks - 1) / blocks;
        gemm(s, lds, q + i * ldq, ldq, keys_packed, rows, d, keys / PANEL);
        for (size_t r = 0; r < rows; r++)
            sum[r] = scores_exp(s + r * lds, n_keys, scale * 1.44269504f);
        gemm(o, width, s, lds, values, rows, n_keys, width / PANEL);
        for (size_t r = 0; r < rows; r++)
            scaled_copy(out + (i + r) * ldo, o + r * width, 1.0f / sum[r], d);
    }
}

#endif
