/* fuzz/fuzz.h - what every fuzz target has. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H
#include <stddef.h>
#include <stdint.h>

/* One input; 0. Must neither crash nor keep anything. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#endif
