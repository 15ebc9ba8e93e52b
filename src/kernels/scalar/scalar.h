/* kernels/scalar/scalar.h - what the scalar kernels share. */
#ifndef KERNELS_SCALAR_H
#define KERNELS_SCALAR_H
#include "kernels/kernels.h"

GEMM_F32_FN(gemm_f32_scalar);
ATTENTION_F32_FN(attention_f32_scalar);
LAYERNORM_F32_FN(layernorm_f32_scalar);
SOFTMAX_F32_FN(softmax_f32_scalar);
ACT_F32_FN(act_f32_scalar);
ADD_F32_FN(add_f32_scalar);
SCALE_F32_FN(scale_f32_scalar);
DOT_F32_FN(dot_f32_scalar);

#endif
