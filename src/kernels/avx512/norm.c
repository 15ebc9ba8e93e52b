/* kernels/avx512/norm.c - what looks at a whole row: layer norm, softmax. */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/vec_row.h"

LAYERNORM_F32_FN(layernorm_f32_avx512)
{
    for (size_t r = 0; r < rows; r++)
        row_layernorm(out + r * ldo, x + r * ldx, n, gain, bias, eps);
}

SOFTMAX_F32_FN(softmax_f32_avx512)
{
    row_softmax(x, n);
}
