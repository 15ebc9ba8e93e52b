/* kernels/avx2/math.c - activations and plain vector arithmetic. */
#include "kernels/avx2/avx2.h"
#include "kernels/avx2/vec.h"
#include "kernels/vec_row.h"

ACT_F32_FN(act_f32_avx2)
{
    act_row(x, n, act);
}

ADD_F32_FN(add_f32_avx2)
{
    row_add(y, x, n);
}

SCALE_F32_FN(scale_f32_avx2)
{
    row_scale(y, s, n);
}

DOT_F32_FN(dot_f32_avx2)
{
    return row_dot(a, b, n);
}
