/* model/pack.c - weights in the layout that the kernels read. */
#include "model/pack.h"

void pack_panel(float *panel, const float *src, size_t n, size_t k)
{
    for (size_t i = 0; i < k; i++) {
        for (size_t c = 0; c < n; c++)
            panel[i * PANEL + c] = src[c * k + i];
        for (size_t c = n; c < PANEL; c++)
            panel[i * PANEL + c] = 0;
    }
}

int pack_matrix(float *out, const struct tensor *t, size_t n, size_t k,
                float *scratch, struct err *err)
{
    for (size_t row = 0; row < n; row += PANEL) {
        size_t some = n - row < PANEL ? n - row : PANEL;
        int r = tensor_read(t, row * k, some * k, scratch, scratch + PANEL * k,
                            err);
        if (r < 0)
            return r;
        pack_panel(out + row * k, scratch, some, k);
    }
    return 0;
}

int pack_rows(float *out, const struct tensor *t, size_t n, size_t k,
              float *scratch, struct err *err)
{
    for (size_t row = 0; row < n; row += PANEL) {
        size_t some = n - row < PANEL ? n - row : PANEL;
        int r = tensor_read(t, row * k, some * k, out + row * k, scratch, err);
        if (r < 0)
            return r;
    }
    return 0;
}
