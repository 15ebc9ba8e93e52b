/* kernels/bench.h - how fast the kernels of one level are. */
#ifndef KERNELS_BENCH_H
#define KERNELS_BENCH_H
#include "kernels/kernels.h"
#include <stdint.h>

/* Prints a line for each slot whose name matches the pattern. */
void bench_level(const struct kernels *k, uint32_t isa, const char *pattern);

#endif
