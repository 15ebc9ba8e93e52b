/* kernels/scalar/init.c - the kernels that every machine has. */
#include "kernels/scalar/scalar.h"

void kernels_init_scalar(struct kernels *k)
{
    *k = (struct kernels){
        .level = "scalar",
        .gemm_f32 = {.run = gemm_f32_scalar, .tile_rows = 1},
        .attention_f32 = attention_f32_scalar,
        .layernorm_f32 = layernorm_f32_scalar,
        .softmax_f32 = softmax_f32_scalar,
        .act_f32 = act_f32_scalar,
        .add_f32 = add_f32_scalar,
        .scale_f32 = scale_f32_scalar,
        .dot_f32 = dot_f32_scalar,
    };
}
