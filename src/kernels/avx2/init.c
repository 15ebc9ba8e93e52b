/* kernels/avx2/init.c - puts the avx2 kernels into the table. */
#include "kernels/avx2/avx2.h"

void kernels_init_avx2(struct kernels *k)
{
    *k = (struct kernels){
        .level = "avx2",
        .gemm_f32 = {.run = gemm_f32_avx2, .tile_rows = 6},
        .attention_f32 = attention_f32_avx2,
        .layernorm_f32 = layernorm_f32_avx2,
        .softmax_f32 = softmax_f32_avx2,
        .act_f32 = act_f32_avx2,
        .add_f32 = add_f32_avx2,
        .scale_f32 = scale_f32_avx2,
        .dot_f32 = dot_f32_avx2,
    };
}
