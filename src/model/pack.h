/* model/pack.h - weights in the layout that the kernels read.
 *
 * A matrix [n][k] (out, in) becomes panels of 16 outputs, each [k][16]; the
 * last panel is filled up with zeros (kernels/kernels.h).
 */
#ifndef MODEL_PACK_H
#define MODEL_PACK_H
#include "kernels/kernels.h"
#include "model/safetensors.h"

/* Outputs n in whole panels. */
static inline size_t pack_width(size_t n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

/* Floats of scratch that the functions below need for rows of k. */
static inline size_t pack_scratch(size_t k)
{
    return 2 * PANEL * k;
}

/* src: rows [n][k], n <= PANEL, to one panel [k][PANEL]. */
void pack_panel(float *panel, const float *src, size_t n, size_t k);

/* Reads the matrix t [n][k] and packs it into panels at out, which holds
 * pack_width(n) * k floats. scratch: pack_scratch(k) floats. */
int pack_matrix(float *out, const struct tensor *t, size_t n, size_t k,
                float *scratch, struct err *err) MUST_CHECK;

/* Reads n rows of k as they are. scratch: pack_scratch(k) floats, or k when n
 * is 1. */
int pack_rows(float *out, const struct tensor *t, size_t n, size_t k,
              float *scratch, struct err *err) MUST_CHECK;

#endif
