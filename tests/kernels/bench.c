/* kernels/bench.c - how fast the kernels of one level are: products as a share
 * of what the multiply-add units can do, measured in the same moment. */
#include "bench.h"
#include "kernels/cpu.h"
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROUNDS = 9 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined(__x86_64__)
/* 16 chains: more than any such unit is deep. The empty asm keeps the compiler
 * from seeing that they are alike. */
__attribute__((target("avx512f"))) static double fma_rate_avx512(long n)
{
    __m512 acc[16], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(1e-6f);
#pragma GCC unroll 16
    for (int j = 0; j < 16; j++)
        acc[j] = _mm512_set1_ps((float)j);
    double t = now_s();
    for (long i = 0; i < n; i++)
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++) {
            acc[j] = _mm512_fmadd_ps(acc[j], a, b);
            __asm__ volatile("" : "+v"(acc[j]));
        }
    return (double)n * 16 * 16 / (now_s() - t);
}

__attribute__((target("avx2,fma"))) static double fma_rate_avx2(long n)
{
    __m256 acc[12], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(1e-6f);
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++)
        acc[j] = _mm256_set1_ps((float)j);
    double t = now_s();
    for (long i = 0; i < n; i++)
#pragma GCC unroll 12
        for (int j = 0; j < 12; j++) {
            acc[j] = _mm256_fmadd_ps(acc[j], a, b);
            __asm__ volatile("" : "+x"(acc[j]));
        }
    return (double)n * 12 * 8 / (now_s() - t);
}
#endif

/* Multiply-adds a second that the level's registers allow; 0 if unknown. */
static double fma_rate(uint32_t isa)
{
#if defined(__x86_64__)
    if (isa & CPU_AVX512)
        return fma_rate_avx512(1000000);
    if (isa & CPU_AVX2)
        return fma_rate_avx2(1000000);
#endif
    (void)isa;
    return 0;
}

static float *floats(size_t n)
{
    float *p = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
    if (!p)
        abort();
    for (size_t i = 0; i < n; i++)
        p[i] = (float)(i * 7919 % 1000) * 1e-3f - 0.5f;
    return p;
}

/* copies > 1: as many sets of weights take turns, so that they come from memory
 * when they do not fit into a cache. */
struct gemm {
    size_t rows, k, n, copies;
    float *a, *w, *c, *bias;
    enum act act;
};

static double gemm_time(const struct kernels *t, const struct gemm *g,
                        size_t runs)
{
    double start = now_s();
    for (size_t i = 0; i < runs; i++)
        t->gemm_f32.run(g->c, g->n + 16, g->a, g->k + 16,
                        g->w + i % g->copies * g->k * g->n, g->rows, g->k,
                        g->n / PANEL, g->bias, NULL, 0, g->act);
    return (now_s() - start) / (double)runs;
}

/* The peak is measured between the rounds: what else runs on the machine slows
 * both, and the best of each is compared. */
static void bench_gemm_shape(const struct kernels *t, uint32_t isa,
                             struct gemm g)
{
    const double macs = (double)g.rows * (double)g.k * (double)g.n;
    const size_t runs = g.copies > 1 ? g.copies : 1 + (size_t)(2e8 / macs);
    double best = 1e9, peak = 0;
    g.a = floats(g.rows * (g.k + 16));
    g.w = floats(g.k * g.n * g.copies);
    g.c = floats(g.rows * (g.n + 16));
    g.bias = floats(g.n);
    for (int i = 0; i < ROUNDS; i++) {
        double rate = fma_rate(isa), s = gemm_time(t, &g, runs);
        peak = rate > peak ? rate : peak;
        best = s < best ? s : best;
    }
    printf("%-6s gemm_f32 %3zu x %4zu x %4zu act %d  %6.1f GFLOP/s  %5.1f %% "
           "of %.1f  weights %5.1f GB/s\n",
           t->level, g.rows, g.k, g.n, (int)g.act, 2e-9 * macs / best,
           peak > 0 ? 100 * macs / best / peak : 0, 2e-9 * peak,
           4e-9 * (double)(g.k * g.n) / best);
    free(g.a);
    free(g.w);
    free(g.c);
    free(g.bias);
}

static void bench_gemm(const struct kernels *t, uint32_t isa,
                       size_t weight_bytes)
{
    static const size_t rows[] = {1, 2, 4, 8, 12, 16, 24, 32, 64, 128, 256};
    static const struct gemm of[] = {{.k = 384, .n = 384},
                                     {.k = 384, .n = 1152},
                                     {.k = 384, .n = 1536},
                                     {.k = 384, .n = 1536, .act = ACT_GELU},
                                     {.k = 1536, .n = 384}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
            struct gemm g = of[i];
            g.rows = rows[r];
            g.copies = 1 + weight_bytes / (g.k * g.n * sizeof(float));
            bench_gemm_shape(t, isa, g);
        }
}

static void bench_attention(const struct kernels *t, uint32_t isa)
{
    static const size_t sizes[][2] = {
        {16, 32}, {128, 32}, {512, 32}, {128, 64}, {512, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n = sizes[i][0], d = sizes[i][1], ld = 3 * 12 * d;
        float *qkv = floats(n * ld), *out = floats(n * d),
              *scratch = floats(attention_scratch(n, d));
        const double macs = 2.0 * (double)(n * n * d);
        const long runs = 1 + (long)(1e8 / macs);
        double best = 1e9, peak = 0;
        for (int r = 0; r < ROUNDS; r++) {
            double rate = fma_rate(isa), start = now_s();
            for (long j = 0; j < runs; j++)
                t->attention_f32(out, d, qkv, ld, qkv + d, ld, qkv + 2 * d, ld,
                                 n, n, d, 0.17f, scratch);
            double s = (now_s() - start) / (double)runs;
            best = s < best ? s : best;
            peak = rate > peak ? rate : peak;
        }
        printf("%-8s attention_f32 n %3zu d %2zu  %8.2f us  %5.1f %% of peak\n",
               t->level, n, d, 1e6 * best,
               peak > 0 ? 100 * macs / best / peak : 0);
        free(qkv);
        free(out);
        free(scratch);
    }
}

/* One slot over a row of n floats that stays in the first cache. */
static double row_time(const struct kernels *t, int slot, float *x,
                       const float *y, size_t n)
{
    const long runs = 20000;
    volatile float sink = 0;
    double start = now_s();
    for (long i = 0; i < runs; i++) {
        if (slot <= ACT_SIGMOID)
            t->act_f32(x, n, (enum act)slot);
        else if (slot == ACT_SIGMOID + 1)
            t->layernorm_f32(x, n, x, n, 1, n, y, y, 1e-12f);
        else if (slot == ACT_SIGMOID + 2)
            t->softmax_f32(x, n);
        else
            sink = t->dot_f32(x, y, n);
    }
    (void)sink;
    return (now_s() - start) / (double)runs;
}

static void bench_rows(const struct kernels *t)
{
    static const char *const names[] = {
        "none", "gelu",    "gelu_tanh", "relu",    "silu",
        "tanh", "sigmoid", "layernorm", "softmax", "dot"};
    enum { N = 1536 };
    float *x = floats(N), *y = floats(N);
    for (int slot = 1; slot < (int)(sizeof names / sizeof *names); slot++) {
        double best = 1e9;
        for (int r = 0; r < ROUNDS; r++) {
            double s = row_time(t, slot, x, y, N);
            best = s < best ? s : best;
        }
        printf("%-8s %-10s %6.3f ns a float\n", t->level, names[slot],
               1e9 * best / N);
    }
    free(x);
    free(y);
}

void bench_level(const struct kernels *k, uint32_t isa, const char *pattern)
{
    if (!fnmatch(pattern, "gemm_f32", 0))
        bench_gemm(k, isa, 0);
    if (!fnmatch(pattern, "gemm_cold", 0))
        bench_gemm(k, isa, 96 << 20);
    if (!fnmatch(pattern, "attention_f32", 0))
        bench_attention(k, isa);
    if (!fnmatch(pattern, "rows", 0))
        bench_rows(k);
}
