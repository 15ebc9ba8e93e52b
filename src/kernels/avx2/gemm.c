/* kernels/avx2/gemm.c - products with packed weights.
 *
 * A tile of up to 6 rows and one panel keeps its sums in registers over the
 * whole of k: 12 chains hide the latency of the multiply-add and fit, with what
 * feeds them, into 16 registers. Fewer rows take more panels, for the same
 * reason. Panels are the outer loop: each weight comes from memory once per
 * block of rows. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    TILE_ROWS = 6,
    FEW_ROWS = 3,             /* up to here a tile is 2 panels wide */
    TILE_PANELS = 4,          /* the widest tile, of one row */
    HALVES = PANEL / VEC,     /* vectors of a panel */
    BLOCK_FLOATS = 96 * 1024, /* of a: stays in the second cache beside the weights */
};

struct job {
    float *c;
    size_t ldc;
    const float *a;
    size_t lda;
    const float *w; /* the first of the tile's panels */
    size_t k;
    const float *bias, *residual; /* as c: at the tile's first column, or NULL */
    size_t ldr;
    enum act act;
    bool near;         /* the weights are in a cache: nothing is fetched ahead */
    uintptr_t ahead;   /* the first byte to fetch for the panel that comes next */
    size_t ahead_step; /* bytes a step of k */
};

/* c[mr][np * PANEL] = act(acc) + residual, by way of memory. */
static void finish(const struct job *j, float *acc, size_t mr, size_t np)
{
    const size_t width = np * PANEL;
    act_f32_avx2(acc, mr * width, j->act);
    for (size_t r = 0; r < mr; r++, acc += width)
        for (size_t n = 0; n < width; n += VEC) {
            vec x = v_load(acc + n);
            if (j->residual)
                x = v_add(x, v_load(j->residual + r * j->ldr + n));
            v_store(j->c + r * j->ldc + n, x);
        }
}

static inline __attribute__((always_inline)) void tile(const struct job *j, const size_t mr,
                                                       const size_t np)
{
    const size_t k = j->k, lda = j->lda, nv = np * HALVES;
    const float *a = j->a, *w = j->w;
    uintptr_t ahead = j->ahead;
    vec acc[TILE_ROWS][TILE_PANELS * HALVES], b[TILE_PANELS * HALVES];
#pragma GCC unroll 6
    for (size_t r = 0; r < mr; r++)
#pragma GCC unroll 8
        for (size_t v = 0; v < nv; v++)
            acc[r][v] = v_set(0);
    for (size_t i = 0; i < k; i++) {
#pragma GCC unroll 8
        for (size_t v = 0; v < nv; v++)
            b[v] = v_load(w + v / HALVES * k * PANEL + i * PANEL + v % HALVES * VEC);
        if (mr > FEW_ROWS)
            _mm_prefetch((const char *)ahead, _MM_HINT_T1);
        ahead += j->ahead_step;
#pragma GCC unroll 6
        for (size_t r = 0; r < mr; r++) {
            vec x = v_set(a[r * lda + i]);
#pragma GCC unroll 8
            for (size_t v = 0; v < nv; v++)
                acc[r][v] = v_fma(x, b[v], acc[r][v]);
        }
    }
    float sums[TILE_ROWS * TILE_PANELS * PANEL];
    const int direct = j->act == ACT_NONE && !j->residual;
    float *to = direct ? j->c : sums;
    const size_t ld = direct ? j->ldc : np * PANEL;
#pragma GCC unroll 8
    for (size_t v = 0; v < nv; v++) {
        vec bias = j->bias ? v_load(j->bias + v * VEC) : v_set(0);
#pragma GCC unroll 6
        for (size_t r = 0; r < mr; r++)
            v_store(to + r * ld + v * VEC, v_add(acc[r][v], bias));
    }
    if (!direct)
        finish(j, sums, mr, np);
}

/* How many panels a tile of mr rows takes, of those that are left. */
static size_t tile_width(size_t mr, size_t left)
{
    size_t widest = mr == 1 ? 4 : mr <= FEW_ROWS ? 2 : 1;
    while (widest > left)
        widest /= 2;
    return widest;
}

/* A tile is compiled once for each of its sizes. */
#define TILE(mr, np)       \
    case (np) * 16 + (mr): \
        tile(j, mr, np);   \
        break

static void tile_any(const struct job *j, size_t mr, size_t np)
{
    switch (np * 16 + mr) {
        TILE(1, 1);
        TILE(2, 1);
        TILE(3, 1);
        TILE(4, 1);
        TILE(5, 1);
        TILE(6, 1);
        TILE(1, 2);
        TILE(2, 2);
        TILE(3, 2);
        TILE(1, 4);
    }
}

/* All rows of j, over the next np panels: tiles of nearly equal height, so that
 * none is so low that it would wait for its own sums.
 *
 * The panels that come next are fetched into the second cache meanwhile, each tile
 * its share. (With few rows the processor sees the streams itself.) Behind the last
 * panel lie, most often, the next weights; an address without memory does no harm. */
static void rows_of_panels(struct job j, size_t rows, size_t np)
{
    size_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const uintptr_t next = (uintptr_t)(j.w + np * j.k * PANEL);
    j.ahead = j.near ? (uintptr_t)j.w : next;
    j.ahead_step = j.near ? 0 : (64 + tiles - 1) / tiles;
    for (; tiles > 0; tiles--) {
        size_t mr = (rows + tiles - 1) / tiles;
        tile_any(&j, mr, np);
        rows -= mr;
        j.ahead += j.k * j.ahead_step;
        j.a += mr * j.lda;
        j.c += mr * j.ldc;
        if (j.residual)
            j.residual += mr * j.ldr;
    }
}

static void gemm_block(struct job j, size_t rows, size_t panels)
{
    const size_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    for (size_t p = 0, np; p < panels; p += np) {
        np = tile_width((rows + tiles - 1) / tiles, panels - p);
        rows_of_panels(j, rows, np);
        j.w += np * j.k * PANEL;
        j.c += np * PANEL;
        if (j.bias)
            j.bias += np * PANEL;
        if (j.residual)
            j.residual += np * PANEL;
    }
}

/* Rows whose inputs fit beside the weights: blocks of nearly equal size, each a
 * whole number of tiles. */
static size_t block_rows(size_t rows, size_t k)
{
    const size_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    const size_t fit = BLOCK_FLOATS / (k + 1) / TILE_ROWS;
    const size_t most = fit < 4 ? 4 : fit;
    const size_t blocks = (tiles + most - 1) / most;
    return blocks > 0 ? (tiles + blocks - 1) / blocks * TILE_ROWS : 0;
}

static void gemm(struct job j, size_t rows, size_t panels)
{
    const size_t block = block_rows(rows, j.k);
    for (size_t n; rows > 0; rows -= n) {
        n = rows < block ? rows : block;
        gemm_block(j, n, panels);
        j.a += n * j.lda;
        j.c += n * j.ldc;
        if (j.residual)
            j.residual += n * j.ldr;
    }
}

GEMM_F32_FN(gemm_f32_avx2)
{
    const struct job j = {.c = c,
                          .ldc = ldc,
                          .a = a,
                          .lda = lda,
                          .w = w,
                          .k = k,
                          .bias = bias,
                          .residual = residual,
                          .ldr = ldr,
                          .act = act};
    gemm(j, rows, panels);
}

GEMM_NEAR_FN(gemm_f32_near_avx2)
{
    const struct job j = {.c = c, .ldc = ldc, .a = a, .lda = lda, .w = w, .k = k, .near = true};
    gemm(j, rows, panels);
}
