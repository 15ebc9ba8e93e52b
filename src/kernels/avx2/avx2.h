/* kernels/avx2/avx2.h - what the avx2 kernels share. */
#ifndef KERNELS_AVX2_H
#define KERNELS_AVX2_H
#include "kernels/kernels.h"

GEMM_F32_FN(gemm_f32_avx2);
GEMM_NEAR_FN(gemm_f32_near_avx2);
ATTENTION_F32_FN(attention_f32_avx2);
LAYERNORM_F32_FN(layernorm_f32_avx2);
SOFTMAX_F32_FN(softmax_f32_avx2);
ACT_F32_FN(act_f32_avx2);
ADD_F32_FN(add_f32_avx2);
SCALE_F32_FN(scale_f32_avx2);
DOT_F32_FN(dot_f32_avx2);

#endif
