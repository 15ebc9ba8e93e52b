/* kernels/scalar/math.c - activations and plain vector arithmetic. */
#include "kernels/scalar/scalar.h"
#include <math.h>

/* x Phi(x) = max(x, 0) - a Phi(-a), a = |x|: both parts keep all their digits.
 * Beyond 40 the second is zero. */
static float gelu(float x)
{
    float a = fabsf(x) < 40.0f ? fabsf(x) : 40.0f;
    return (x < 0 ? 0 : x) - 0.5f * a * erfcf(0.70710678118f * a);
}

static float gelu_tanh(float x)
{
    return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

ACT_F32_FN(act_f32_scalar)
{
    if (act == ACT_NONE)
        return;
    for (size_t i = 0; i < n; i++) {
        switch (act) {
        case ACT_NONE:
            break;
        case ACT_GELU:
            x[i] = gelu(x[i]);
            break;
        case ACT_GELU_TANH:
            x[i] = gelu_tanh(x[i]);
            break;
        case ACT_RELU:
            x[i] = x[i] < 0 ? 0 : x[i]; /* NaN stays */
            break;
        case ACT_SILU:
            x[i] = x[i] * sigmoid(x[i]);
            break;
        case ACT_TANH:
            x[i] = tanhf(x[i]);
            break;
        case ACT_SIGMOID:
            x[i] = sigmoid(x[i]);
            break;
        }
    }
}

ADD_F32_FN(add_f32_scalar)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

SCALE_F32_FN(scale_f32_scalar)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= s;
}

DOT_F32_FN(dot_f32_scalar)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}
