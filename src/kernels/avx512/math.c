/* kernels/avx512/math.c - activations and plain vector arithmetic. */
#include "kernels/avx512/avx512.h"
#include "kernels/avx512/vec.h"
#include "kernels/vec_row.h"

ACT_F32_FN(act_f32_avx512)
{
    act_row(x, n, act);
}

ADD_F32_FN(add_f32_avx512)
{
    row_add(y, x, n);
}

SCALE_F32_FN(scale_f32_avx512)
{
    row_scale(y, s, n);
}

DOT_F32_FN(dot_f32_avx512)
{
    return row_dot(a, b, n);
}
