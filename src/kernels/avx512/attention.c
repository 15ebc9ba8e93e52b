/* kernels/avx512/attention.c - one head, a block of queries at a time. */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/vec_attention.h"

ATTENTION_F32_FN(attention_f32_avx512)
{
    attention_head(gemm_f32_near_avx512, out, ldo, q, ldq, k, ldk, v, ldv, n_queries, n_keys, d,
                   scale, scratch);
}
