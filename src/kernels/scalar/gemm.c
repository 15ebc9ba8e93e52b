/* kernels/scalar/gemm.c - products with packed weights: what they mean. */
#include "kernels/scalar/scalar.h"

GEMM_F32_FN(gemm_f32_scalar)
{
    for (size_t p = 0; p < panels; p++) {
        const float *panel = w + p * k * PANEL;
        for (size_t r = 0; r < rows; r++) {
            float acc[PANEL] = {0};
            for (size_t i = 0; i < k; i++)
                for (size_t n = 0; n < PANEL; n++)
                    acc[n] += a[r * lda + i] * panel[i * PANEL + n];
            if (bias)
                add_f32_scalar(acc, bias + p * PANEL, PANEL);
            act_f32_scalar(acc, PANEL, act);
            if (residual)
                add_f32_scalar(acc, residual + r * ldr + p * PANEL, PANEL);
            for (size_t n = 0; n < PANEL; n++)
                c[r * ldc + p * PANEL + n] = acc[n];
        }
    }
}
