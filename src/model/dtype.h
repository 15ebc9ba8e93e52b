/* model/dtype.h - the number types that a weights file may hold. */
#ifndef MODEL_DTYPE_H
#define MODEL_DTYPE_H
#include "base/str.h"
#include <stddef.h>

/* DTYPE(name in the file, bits of one element): the format's own list. */
/* clang-format off */
#define DTYPE_TABLE(DTYPE) \
    DTYPE(F32, 32)          \
    DTYPE(F16, 16)          \
    DTYPE(BF16, 16)         \
    DTYPE(F64, 64)          \
    DTYPE(I64, 64)          \
    DTYPE(I32, 32)          \
    DTYPE(I16, 16)          \
    DTYPE(I8, 8)           \
    DTYPE(U64, 64)          \
    DTYPE(U32, 32)          \
    DTYPE(U16, 16)          \
    DTYPE(U8, 8)           \
    DTYPE(BOOL, 8)         \
    DTYPE(F8_E4M3, 8)      \
    DTYPE(F8_E5M2, 8)      \
    DTYPE(F8_E8M0, 8)      \
    DTYPE(F8_E4M3FNUZ, 8)  \
    DTYPE(F8_E5M2FNUZ, 8)  \
    DTYPE(F6_E2M3, 6)      \
    DTYPE(F6_E3M2, 6)      \
    DTYPE(F4, 4)           \
    DTYPE(C64, 64)
/* clang-format on */

enum dtype {
#define DTYPE_ENUM(name, bits) DTYPE_##name,
    DTYPE_TABLE(DTYPE_ENUM)
#undef DTYPE_ENUM
        DTYPE_COUNT
};

/* False for a name that is not in the table. */
bool dtype_from_name(struct str name, enum dtype *ret);
const char *dtype_name(enum dtype t);
size_t dtype_bits(enum dtype t);
/* Whether the engine computes with it: F32, F16, BF16. */
bool dtype_is_weight(enum dtype t);
/* n elements of a weight type, at any alignment, to f32. Exact. out may not
 * overlap in. */
void dtype_to_f32(enum dtype t, const void *in, size_t n, float *out);

#endif
