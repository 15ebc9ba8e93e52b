/* kernels/kernels.c - fills the table: scalar first, then every level that the
 * processor has, each over the one below it. */
#include "kernels/kernels.h"
#include "kernels/cpu.h"

size_t attention_scratch(size_t n_keys, size_t d)
{
    /* Keys and values in panels, a block of scores, a block of results, and
     * room to align each: see attention.c of the level. */
    size_t keys, width, packed, blocks, all;
    if (__builtin_add_overflow(n_keys, 2 * PANEL, &keys) ||
        __builtin_add_overflow(d, 2 * PANEL, &width) ||
        __builtin_mul_overflow(keys, width, &packed) ||
        __builtin_mul_overflow(packed, 2, &packed) ||
        __builtin_add_overflow(keys, width, &blocks) ||
        __builtin_mul_overflow(blocks, ATTENTION_ROWS, &blocks) ||
        __builtin_add_overflow(packed, blocks, &all))
        return 0;
    return all;
}

void kernels_init(struct kernels *k, uint32_t isa)
{
    kernels_init_scalar(k);
#if defined(__x86_64__)
    if (!(isa & CPU_AVX2))
        return;
    kernels_init_avx2(k);
    if (!(isa & CPU_AVX512))
        return;
    kernels_init_avx512(k);
#else
    (void)isa;
#endif
}
