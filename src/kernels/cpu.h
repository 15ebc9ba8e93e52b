/* kernels/cpu.h - which kernel levels this machine can run. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H
#include <stdint.h>

/* One bit per level, lowest first. A level is a promise: a fixed bundle of
 * instruction sets, all of them there. */
enum cpu_isa {
    CPU_AVX2 = 1 << 0,   /* AVX2, FMA, F16C */
    CPU_AVX512 = 1 << 1, /* F, BW, DQ, VL, VNNI; AVX2 too */
};

/* What this machine can run. Call once, before any thread starts. */
uint32_t cpu_detect(void);

/* The levels up to the one named "scalar", "avx2" or "avx512" ("" = all), out
 * of those in isa: a cap lowers, it never raises. -1 for an unknown name. */
int64_t cpu_cap(uint32_t isa, const char *name);

/* One short rest in a loop that spins on memory. */
void cpu_relax(void);

#endif
