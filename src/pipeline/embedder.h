/* pipeline/embedder.h - what sentence-transformers does with token vectors:
 * the modules of modules.json after the transformer, and the prompts before it.
 */
#ifndef PIPELINE_EMBEDDER_H
#define PIPELINE_EMBEDDER_H
#include "base/arena.h"
#include "base/buf.h"
#include "model/snapshot.h"

enum pooling_mode {
    POOL_CLS,
    POOL_MAX,
    POOL_MEAN,
    POOL_MEAN_SQRT,
    POOL_WEIGHTED_MEAN,
    POOL_LAST,
    POOL_MODES,
};
enum { POOL_LIST_MAX = 8, LAYERS_MAX = 8, PROMPTS_MAX = 64 };

enum layer_kind { LAYER_DENSE, LAYER_NORM, LAYER_NORMALIZE };

/* One module after the pooling. */
struct layer {
    enum layer_kind kind;
    int n_in, n_out;
    float *weight;              /* [n_out][n_in]; LAYER_NORM: [n_out] */
    float *bias;                /* [n_out]; NULL = none */
    float (*activation)(float); /* NULL = identity */
};

struct prompt {
    struct str name, text;
    uint32_t tokens; /* how many the pooling leaves out, when it does */
};

/* Owner: whoever holds the struct. Immutable once open. */
struct embedder {
    bool check_only;   /* opened with hidden 0: no weights are read */
    bool from_modules; /* modules.json is there */
    enum pooling_mode modes[POOL_LIST_MAX];
    int n_modes;
    bool skip_prompt; /* include_prompt is false */
    struct layer layers[LAYERS_MAX];
    int n_layers;
    bool normalizes; /* the last layer is LAYER_NORMALIZE */
    bool lower_case; /* asks for text in lower case */
    int hidden, pooled, dim;
    uint32_t max_tokens; /* max_seq_length; 0 = not said */
    struct prompt prompts[PROMPTS_MAX];
    int n_prompts, default_prompt; /* -1 = none */
    struct arena arena;
};

/* Without modules.json: the mean of the tokens and nothing after it. An unknown
 * module, pooling mode or activation is E_UNSUPPORTED_OPTION with its name.
 * hidden: the width of the model's vectors; 0: only check the files, of which
 * those with weights may hold no more than their headers. */
int embedder_open(struct embedder *e, const struct snapshot *s, int hidden,
                  struct err *err) MUST_CHECK;
void embedder_fini(struct embedder *e);
const char *pooling_mode_name(enum pooling_mode mode);
/* "mean", or "cls+mean" for several, into buf[size]; returns buf. */
char *embedder_pooling(const struct embedder *e, char *buf, size_t size);

/* The rows of n tokens that the pooling reads: 0 = all, 1 = *row alone. */
int embedder_rows(const struct embedder *e, uint32_t n, uint32_t skip,
                  uint32_t *row);
/* rows [n_rows][hidden] of a sequence of n tokens, the first skip of which do
 * not count, through pooling and layers to out [dim].. */
int embedder_run(const struct embedder *e, const float *rows, uint32_t n_rows,
                 uint32_t skip, float *out, struct err *err) MUST_CHECK;
/* To length 1; a vector shorter than 1e-12 is divided by 1e-12, as torch does.
 */
void normalize_l2(float *v, int n);

#endif
