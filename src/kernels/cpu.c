/* kernels/cpu.c - asks the processor once what it can do. */
#include "kernels/cpu.h"
#include <string.h>

uint32_t cpu_detect(void)
{
    uint32_t isa = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    /* These also ask whether the system saves the wide registers. */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        isa |= CPU_AVX2;
    if ((isa & CPU_AVX2) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        isa |= CPU_AVX512;
#endif
    return isa;
}

int64_t cpu_cap(uint32_t isa, const char *name)
{
    if (!name[0])
        return isa;
    if (!strcmp(name, "scalar"))
        return 0;
    if (!strcmp(name, "avx2"))
        return isa & CPU_AVX2;
    if (!strcmp(name, "avx512"))
        return isa & (CPU_AVX2 | CPU_AVX512);
    return -1;
}

void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}
