/* kernels/avx512/avx512.h - what the avx512 kernels share. */
#ifndef KERNELS_AVX512_H
#define KERNELS_AVX512_H
#include "kernels/kernels.h"

GEMM_F32_FN(gemm_f32_avx512);
GEMM_NEAR_FN(gemm_f32_near_avx512);
ATTENTION_F32_FN(attention_f32_avx512);
LAYERNORM_F32_FN(layernorm_f32_avx512);
SOFTMAX_F32_FN(softmax_f32_avx512);
ACT_F32_FN(act_f32_avx512);
ADD_F32_FN(add_f32_avx512);
SCALE_F32_FN(scale_f32_avx512);
DOT_F32_FN(dot_f32_avx512);

#endif
