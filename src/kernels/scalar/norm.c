/* kernels/scalar/norm.c - what looks at a whole row: layer norm, softmax. */
#include "kernels/scalar/scalar.h"
#include <math.h>

static void layernorm_row(float *out, const float *x, size_t n, const float *gain,
                          const float *bias, float eps)
{
    float sum = 0, sum_sq = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    float mean = sum / (float)n;
    for (size_t i = 0; i < n; i++)
        sum_sq += (x[i] - mean) * (x[i] - mean);
    float inv = 1.0f / sqrtf(sum_sq / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        out[i] = (x[i] - mean) * inv * gain[i] + bias[i];
}

LAYERNORM_F32_FN(layernorm_f32_scalar)
{
    for (size_t r = 0; r < rows; r++)
        layernorm_row(out + r * ldo, x + r * ldx, n, gain, bias, eps);
}

SOFTMAX_F32_FN(softmax_f32_scalar)
{
    float max = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    scale_f32_scalar(x, 1.0f / sum, n);
}
