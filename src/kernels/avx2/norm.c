/* kernels/avx2/norm.c - what looks at a whole row: layer norm, softmax. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/vec_row.h"

LAYERNORM_F32_FN(layernorm_f32_avx2)
{
    for (size_t r = 0; r < rows; r++)
        row_layernorm(out + r * ldo, x + r * ldx, n, gain, bias, eps);
}

SOFTMAX_F32_FN(softmax_f32_avx2)
{
    row_softmax(x, n);
}
