/* kernels/scalar/attention.c - one head, one query at a time. */
#include "kernels/scalar/scalar.h"

ATTENTION_F32_FN(attention_f32_scalar)
{
    float *weight = scratch; /* [n_keys] */
    for (size_t i = 0; i < n_queries; i++) {
        for (size_t j = 0; j < n_keys; j++)
            weight[j] = scale * dot_f32_scalar(q + i * ldq, k + j * ldk, d);
        softmax_f32_scalar(weight, n_keys);
        float *o = out + i * ldo;
        for (size_t x = 0; x < d; x++)
            o[x] = 0;
        for (size_t j = 0; j < n_keys; j++)
            for (size_t x = 0; x < d; x++)
                o[x] += weight[j] * v[j * ldv + x];
    }
}
