/* model/dtype.c - the number types that a weights file may hold. */
#include "model/dtype.h"
#include "base/attr.h"
#include <assert.h>
#include <stdint.h>
#include <string.h>

static const struct {
    const char *name;
    size_t bits;
} table[DTYPE_COUNT] = {
#define DTYPE_ROW(name, bits) {#name, bits},
    DTYPE_TABLE(DTYPE_ROW)
#undef DTYPE_ROW
};

bool dtype_from_name(struct str name, enum dtype *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_is(name, table[i].name)) {
            *ret = (enum dtype)i;
            return true;
        }
    return false;
}

const char *dtype_name(enum dtype t)
{
    return table[t].name;
}

size_t dtype_bits(enum dtype t)
{
    return table[t].bits;
}

bool dtype_is_weight(enum dtype t)
{
    return t == DTYPE_F32 || t == DTYPE_F16 || t == DTYPE_BF16;
}

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* IEEE half to single: exponents move from bias 15 to bias 127. */
static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = h >> 10 & 0x1F, fraction = h & 0x3FF;
    if (exponent == 0x1F)
        return from_bits(sign | 0x7F800000 | fraction << 13);
    if (exponent)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f;
    return sign ? -tiny : tiny;
}

void dtype_to_f32(enum dtype t, const void *in, size_t n, float *out)
{
    const unsigned char *p = in;
    assert(dtype_is_weight(t));
    if (t == DTYPE_F32) {
        memcpy(out, p, n * sizeof(*out));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof(h));
        out[i] = t == DTYPE_F16 ? from_half(h) : from_bits((uint32_t)h << 16);
    }
}
