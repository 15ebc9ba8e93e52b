/* model/dtype.h - the number types that a weights file may hold. */
#ifndef MODEL_DTYPE_H
#define MODEL_DTYPE_H
#include "base/str.h"
#include <stddef.h>

/* DTYPE(name in the file, bytes of one element). */
/* clang-format off */
#define DTYPE_TABLE(DTYPE) \
    DTYPE(F32, 4)          \
    DTYPE(F16, 2)          \
    DTYPE(BF16, 2)         \
    DTYPE(F64, 8)          \
    DTYPE(I64, 8)          \
    DTYPE(I32, 4)          \
    DTYPE(I16, 2)          \
    DTYPE(I8, 1)           \
    DTYPE(U64, 8)          \
    DTYPE(U32, 4)          \
    DTYPE(U16, 2)          \
    DTYPE(U8, 1)           \
    DTYPE(BOOL, 1)         \
    DTYPE(F8_E4M3, 1)      \
    DTYPE(F8_E5M2, 1)      \
    DTYPE(F8_E8M0, 1)
/* clang-format on */

enum dtype {
#define DTYPE_ENUM(name, bytes) DTYPE_##name,
    DTYPE_TABLE(DTYPE_ENUM)
#undef DTYPE_ENUM
        DTYPE_COUNT
};

/* False for a name that is not in the table. */
bool dtype_from_name(struct str name, enum dtype *ret);
const char *dtype_name(enum dtype t);
size_t dtype_bytes(enum dtype t);
/* Whether the engine computes with it: F32, F16, BF16. */
bool dtype_is_weight(enum dtype t);
/* n elements of a weight type, at any alignment, to f32. Exact. out may not
 * overlap in. */
void dtype_to_f32(enum dtype t, const void *in, size_t n, float *out);

#endif
