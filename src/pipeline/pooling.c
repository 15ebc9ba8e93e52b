/* pipeline/pooling.c - token vectors to one vector. Sums are taken in double,
 * in the order of the tokens: the result has one value, on any machine and in
 * any batch, and is nearer to the exact one than the reference's f32 sums. */
#include "base/mem.h"
#include "pipeline/embedder.h"
#include <errno.h>
#include <math.h>
#include <string.h>

int embedder_rows(const struct embedder *e, uint32_t n, uint32_t skip,
                  uint32_t *row)
{
    if (e->n_modes != 1 || (skip > 0 && e->skip_prompt))
        return 0;
    if (e->modes[0] != POOL_CLS && e->modes[0] != POOL_LAST)
        return 0;
    *row = e->modes[0] == POOL_CLS ? 0 : n - 1;
    return 1;
}

static double weight_of(enum pooling_mode mode, uint32_t i)
{
    return mode == POOL_WEIGHTED_MEAN ? (double)i + 1.0 : 1.0;
}

/* rows first .. n-1, weighted; sum: [hidden]. */
static void pool_mean(enum pooling_mode mode, const float *rows, uint32_t first,
                      uint32_t n, int hidden, double *sum, float *out)
{
    double weights = 0.0;
    memset(sum, 0, (size_t)hidden * sizeof(*sum));
    for (uint32_t i = first; i < n; i++) {
        const float *row = rows + (size_t)i * (size_t)hidden;
        double w = weight_of(mode, i);
        weights += w;
        for (int j = 0; j < hidden; j++)
            sum[j] += w * (double)row[j];
    }
    weights = fmax(weights, 1e-9);
    if (mode == POOL_MEAN_SQRT)
        weights = sqrt(weights);
    for (int j = 0; j < hidden; j++)
        out[j] = (float)(sum[j] / weights);
}

static void pool_max(const float *rows, uint32_t first, uint32_t n, int hidden,
                     float *out)
{
    for (int j = 0; j < hidden; j++)
        out[j] = -INFINITY;
    for (uint32_t i = first; i < n; i++) {
        const float *row = rows + (size_t)i * (size_t)hidden;
        for (int j = 0; j < hidden; j++)
            out[j] = row[j] > out[j] ? row[j] : out[j];
    }
}

/* The first and the last token that count; with none, the reference takes row 0
 * for the first and zeros for the last. */
static void pool_one(enum pooling_mode mode, const float *rows, uint32_t first,
                     uint32_t n, int hidden, float *out)
{
    size_t bytes = (size_t)hidden * sizeof(*out);
    uint32_t at = mode == POOL_LAST ? n - 1 : first < n ? first : 0;
    if (mode == POOL_LAST && first >= n)
        memset(out, 0, bytes);
    else
        memcpy(out, rows + (size_t)at * (size_t)hidden, bytes);
}

static void pool(const struct embedder *e, const float *rows, uint32_t n,
                 uint32_t first, double *sum, float *out)
{
    for (int m = 0; m < e->n_modes; m++, out += e->hidden) {
        enum pooling_mode mode = e->modes[m];
        if (mode == POOL_CLS || mode == POOL_LAST)
            pool_one(mode, rows, first, n, e->hidden, out);
        else if (mode == POOL_MAX)
            pool_max(rows, first, n, e->hidden, out);
        else
            pool_mean(mode, rows, first, n, e->hidden, sum, out);
    }
}

void normalize_l2(float *v, int n)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    double length = fmax(sqrt(sum), 1e-12);
    for (int i = 0; i < n; i++)
        v[i] = (float)((double)v[i] / length);
}

/* torch.nn.LayerNorm: biased variance, eps 1e-5. */
static void layer_norm(const struct layer *l, const float *in, float *out)
{
    double mean = 0.0, var = 0.0;
    for (int i = 0; i < l->n_in; i++)
        mean += (double)in[i];
    mean /= l->n_in;
    for (int i = 0; i < l->n_in; i++)
        var += ((double)in[i] - mean) * ((double)in[i] - mean);
    double scale = 1.0 / sqrt(var / l->n_in + 1e-5);
    for (int i = 0; i < l->n_in; i++) {
        double b = l->bias ? (double)l->bias[i] : 0.0;
        out[i] =
            (float)(((double)in[i] - mean) * scale * (double)l->weight[i] + b);
    }
}

static void dense(const struct layer *l, const float *in, float *out)
{
    for (int o = 0; o < l->n_out; o++) {
        const float *w = l->weight + (size_t)o * (size_t)l->n_in;
        double sum = l->bias ? (double)l->bias[o] : 0.0;
        for (int i = 0; i < l->n_in; i++)
            sum += (double)w[i] * (double)in[i];
        out[o] = l->activation ? l->activation((float)sum) : (float)sum;
    }
}

static int widest(const struct embedder *e)
{
    int n = e->pooled;
    for (int i = 0; i < e->n_layers; i++)
        n = e->layers[i].n_out > n ? e->layers[i].n_out : n;
    return n;
}

int embedder_run(const struct embedder *e, const float *rows, uint32_t n_rows,
                 uint32_t skip, float *out, struct err *err)
{
    size_t wide = (size_t)widest(e);
    double *sum = mem_try((size_t)e->hidden + wide, sizeof(*sum));
    if (!sum)
        return err_set(err, ENOMEM, "out of memory while pooling");
    float *a = (float *)(sum + e->hidden), *b = a + wide;
    pool(e, rows, n_rows, e->skip_prompt ? skip : 0, sum, a);
    for (int i = 0; i < e->n_layers; i++) {
        const struct layer *l = &e->layers[i];
        if (l->kind == LAYER_NORMALIZE) {
            normalize_l2(a, l->n_in);
            continue;
        }
        if (l->kind == LAYER_DENSE)
            dense(l, a, b);
        else
            layer_norm(l, a, b);
        float *swap = a;
        a = b;
        b = swap;
    }
    memcpy(out, a, (size_t)e->dim * sizeof(*out));
    free(sum);
    return 0;
}
