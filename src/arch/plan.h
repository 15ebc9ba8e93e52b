/* arch/plan.h - a model as a flat list of fused operations.
 *
 * Compiled from config.json and the headers of the weights alone; the engine
 * then loads what `loads` says into one block of floats and runs `ops` over it.
 * Rows are tokens, of all sequences of a batch one after the other. Weights are
 * named by their offset in that block, in floats, a multiple of 16.
 */
#ifndef ARCH_PLAN_H
#define ARCH_PLAN_H
#include "arch/family.h"
#include "model/pack.h"

enum {
    PLAN_BATCH_TOKENS = 256, /* of several sequences that run together */
    PLAN_UNUSED_MAX = 16,
};

/* Working memory, [rows][plan.stride]. Two for q|k|v: layers take turns, so
 * that threads which share one sequence meet once a layer. */
enum plan_buffer {
    PLAN_X,     /* [rows][hidden] the residual stream */
    PLAN_QKV_A, /* [rows][q|k|v], each part plan.part wide */
    PLAN_QKV_B,
    PLAN_CTX, /* [rows][hidden] what attention gives; the head's own rows */
    PLAN_FFN, /* [block_rows][ffn] */
    PLAN_BUFFERS
};

enum op_kind {
    OP_EMBED,  /* x = word + type + position */
    OP_LINEAR, /* out = act(in . w + bias) [+ x] */
    OP_NORM,   /* out = layer norm of in */
    OP_ATTEND, /* ctx = attention over q|k|v of each sequence */
    OP_SELECT, /* x keeps the wanted rows; from here on rows are those */
    OP_STORE,  /* x to the callers that asked for hidden states */
    OP_DECODE, /* ctx . w + bias to the callers that asked for logits */
};

struct op {
    enum op_kind kind;
    int layer; /* -1 before the first */
    bool head; /* only the rows that want logits */
    bool residual;
    enum plan_buffer in, out;
    enum act act;
    size_t out_col;   /* OP_LINEAR: the first column written */
    size_t k, panels; /* OP_LINEAR, OP_DECODE */
    size_t w, bias;   /* OP_NORM: gain and bias */
    size_t n;         /* OP_NORM: columns; OP_DECODE: vocabulary */
};

enum load_kind {
    LOAD_MATRIX, /* [n][k] to panels */
    LOAD_ROWS,   /* [n][k] as it is */
};

struct load {
    enum load_kind kind;
    const struct tensor *tensor;
    size_t at, n, k;
};

struct plan {
    size_t hidden, layers, heads, head_dim, ffn;
    size_t vocab, positions, types; /* rows of the embeddings */
    size_t head_vocab;              /* 0: no language-model head */
    float eps, scale;               /* of the norms; of attention's scores */
    enum act act;
    size_t part; /* columns of q, k and v each: hidden in whole panels */
    size_t stride[PLAN_BUFFERS]; /* floats; never a multiple of 4 KiB */
    size_t block_rows; /* rows that go through a chain of operations at once */
    size_t rows;       /* capacity of the buffers */
    /* OP_EMBED; words_packed: in panels, shared with the decoder. */
    size_t words, position, type;
    bool words_packed;
    struct op *ops;
    size_t n_ops;
    struct load *loads;
    size_t n_loads;
    size_t weights;   /* floats */
    enum dtype dtype; /* of the word embeddings in the file */
    const char *unused[PLAN_UNUSED_MAX]; /* tensors that nothing reads */
    size_t n_unused;                     /* all of them, listed or not */
};

/* What compiling reads, and what it can say about a model that it refuses. */
struct plan_source {
    const struct config *config;
    const struct tensors *tensors;
    bool mlm_head; /* compile the language-model head */
};

/* E_DAMAGED_FILE: a key or tensor that is missing or does not fit, by name.
 * Things that are not supported are added to problems and are no failure; then
 * the plan is empty. p need not be initialised; on failure there is nothing to
 * end. Its tensors point into source. */
int plan_compile(struct plan *p, const struct family *f,
                 const struct plan_source *source, struct problems *problems,
                 struct err *err) MUST_CHECK;
void plan_fini(struct plan *p);

/* Floats that pass through pack.h as scratch while loading. */
size_t plan_load_scratch(const struct plan *p);
/* Working memory of one compute thread, in floats: all buffers and
 * plan_scratch(). One buffer for q|k|v: the second is another thread's. */
size_t plan_work(const struct plan *p);
/* Of these: the scratch of attention. */
size_t plan_scratch(const struct plan *p);

#endif
