/* kernels/kernels.h - every numeric inner loop, one pointer each.
 *
 * A slot's signature is written once, as a macro, and used for the table and
 * for each ISA's definition. The scalar kernels fill the table first and define
 * what a slot means; each level that the processor has overrides the slots that
 * it does better. Slots are fat (rows, a tile, a head), never an element.
 *
 * Rules that every level keeps, and tests/kernels proves:
 * - no byte is read or written outside the stated extents;
 * - a row of the result depends only on that row's inputs: not on how many rows
 *   there are, nor on their order, nor on the panels computed with it (so no
 *   batch changes a bit of a result). Each output of a product is one chain of
 *   multiply-adds over k, in order, fused where the level has that instruction;
 * - no alignment is required beyond that of the element type; strides are in
 *   elements and at least as long as the row.
 */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H
#include <stddef.h>
#include <stdint.h>

enum { PANEL = 16 };          /* output columns of a packed weight panel */
enum { ATTENTION_ROWS = 16 }; /* queries that attention takes at once, at most */

/* How far a kernel may be from the exact value, beside half a unit in the last
 * place. NaN stays NaN; what would be subnormal may be 0. */
enum act {
    ACT_NONE,
    ACT_GELU,      /* x * Phi(x), erf form; 1e-7 */
    ACT_GELU_TANH, /* gelu_new, gelu_pytorch_tanh; 3e-7 */
    ACT_RELU,
    ACT_SILU, /* 2^-22 of the value, as the next two */
    ACT_TANH,
    ACT_SIGMOID,
};

/* c[rows][PANEL*panels] = act(a[rows][k] . w + bias) + residual.
 * w: panel after panel, each [k][PANEL]. bias: [PANEL*panels] or NULL.
 * residual: [rows][PANEL*panels] with stride ldr, or NULL; it may be c itself.
 * c must not overlap a. Whole panels are written: c has room for them. */
#define GEMM_F32_FN(name)                                                                    \
    void name(float *c, size_t ldc, const float *a, size_t lda, const float *w, size_t rows, \
              size_t k, size_t panels, const float *bias, const float *residual, size_t ldr, \
              enum act act)

/* No slot, but what attention_f32 is made of: c[rows][PANEL*panels] = a . w, for
 * panels that have just been written, so that none need be fetched. */
#define GEMM_NEAR_FN(name)                                                                   \
    void name(float *c, size_t ldc, const float *a, size_t lda, const float *w, size_t rows, \
              size_t k, size_t panels)

/* One head of one sequence: out[i] = sum_j softmax_j(scale * q_i . k_j) v_j.
 * q [n_queries][d], k and v [n_keys][d], out [n_queries][d], each with its own
 * stride; n_keys >= 1. scratch: attention_scratch(n_keys, d) floats. */
#define ATTENTION_F32_FN(name)                                                                    \
    void name(float *out, size_t ldo, const float *q, size_t ldq, const float *k, size_t ldk,     \
              const float *v, size_t ldv, size_t n_queries, size_t n_keys, size_t d, float scale, \
              float *scratch)

/* out[i] = (x[i] - mean) / sqrt(var + eps) * gain + bias, rows of n. out may be
 * x. */
#define LAYERNORM_F32_FN(name)                                                           \
    void name(float *out, size_t ldo, const float *x, size_t ldx, size_t rows, size_t n, \
              const float *gain, const float *bias, float eps)

/* In place: exp(x - max) / sum, exp to 2^-23 of the value. n >= 1. Minus
 * infinity gets the weight 0; at least one x is finite. */
#define SOFTMAX_F32_FN(name) void name(float *x, size_t n)
/* In place. */
#define ACT_F32_FN(name) void name(float *x, size_t n, enum act act)
/* y += x. */
#define ADD_F32_FN(name) void name(float *y, const float *x, size_t n)
/* y *= s. */
#define SCALE_F32_FN(name) void name(float *y, float s, size_t n)
#define DOT_F32_FN(name)   float name(const float *a, const float *b, size_t n)

struct gemm_f32 {
    GEMM_F32_FN((*run));
    int tile_rows; /* best called with a multiple of this many rows */
};

struct kernels {
    const char *level; /* "scalar", "avx2", "avx512": what filled it last */
    struct gemm_f32 gemm_f32;
    ATTENTION_F32_FN((*attention_f32));
    LAYERNORM_F32_FN((*layernorm_f32));
    SOFTMAX_F32_FN((*softmax_f32));
    ACT_F32_FN((*act_f32));
    ADD_F32_FN((*add_f32));
    SCALE_F32_FN((*scale_f32));
    DOT_F32_FN((*dot_f32));
};

/* Floats of scratch that attention_f32 needs at any level; 0 on overflow. */
size_t attention_scratch(size_t n_keys, size_t d);

/* Fills *k with the best kernel for each slot that the isa bits allow. */
void kernels_init(struct kernels *k, uint32_t isa);

/* One per ISA folder: overrides the slots which that folder implements. */
void kernels_init_scalar(struct kernels *k);
void kernels_init_avx2(struct kernels *k);
void kernels_init_avx512(struct kernels *k);

#endif
