/* kernels/avx512/init.c - puts the avx512 kernels into the table. */
#include "kernels/avx512/avx512.h"

void kernels_init_avx512(struct kernels *k)
{
    *k = (struct kernels){
        .level = "avx512",
        .gemm_f32 = {.run = gemm_f32_avx512, .tile_rows = 12},
        .attention_f32 = attention_f32_avx512,
        .layernorm_f32 = layernorm_f32_avx512,
        .softmax_f32 = softmax_f32_avx512,
        .act_f32 = act_f32_avx512,
        .add_f32 = add_f32_avx512,
        .scale_f32 = scale_f32_avx512,
        .dot_f32 = dot_f32_avx512,
    };
}
