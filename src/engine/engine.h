/* engine/engine.h - runs a loaded model on batches of token sequences.
 *
 * Owns the packed weights, the working memory and the compute threads. A caller
 * submits sequences; each is answered once, by its done() on a compute thread,
 * in any order. Sequences that wait are run together, concatenated, without
 * padding; what else is in a batch never changes a bit of a result. Nothing is
 * allocated between submit and done. Any thread may submit and cancel.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H
#include "base/err.h"
#include "model/snapshot.h"
#include <stdint.h>

struct crew;
struct engine;

struct engine_options {
    int threads;       /* compute threads, >= 1 */
    struct crew *crew; /* base/crew.h: the compute threads, started before the
                          sandbox closed clone(); idle, as many as threads. The
                          engine puts them to work and waits for them when it
                          closes; the caller still owns them. NULL: the engine
                          starts its own */
    uint32_t isa;      /* kernel levels allowed (kernels/cpu.h) */
    bool mlm_head; /* false: skip the language-model head even if it is there */
};

/* phase: "reading", "packing", "warming". From the thread that opens. */
typedef void engine_progress_fn(void *ctx, const char *phase, uint64_t done,
                                uint64_t all);

/* Reads config.json and the weights, packs them, starts the threads. */
int engine_open(struct engine **ret, const struct snapshot *s,
                const struct engine_options *options,
                engine_progress_fn *progress, void *ctx,
                struct err *err) MUST_CHECK;
/* Sequences not yet run are answered with -E_CANCELLED first. */
void engine_close(struct engine *e);

struct engine_info {
    const char *model_type, *dtype, *level;
    int hidden, vocab; /* vocab 0: no language-model head */
    int max_tokens;    /* positions that the model has */
    int threads;
    uint64_t memory; /* bytes of packed weights and working memory */
};
struct engine_info engine_info(const struct engine *e);

enum engine_output {
    ENGINE_HIDDEN, /* last hidden states of the wanted rows: [n_rows][hidden] */
    ENGINE_LOGITS, /* language-model head on the wanted rows: [n_rows][vocab] */
};

/* One sequence. Owned by the caller and untouched by him until done(). */
struct engine_seq {
    const uint32_t *ids;  /* [n], each < vocab of the embedding table */
    const uint8_t *types; /* [n], or NULL: all 0 */
    uint32_t n;           /* 1 .. max_tokens */
    enum engine_output output;
    const uint32_t
        *rows; /* [n_rows] positions wanted, ascending; NULL = all n */
    uint32_t n_rows;
    float *out; /* the caller's, as large as output says */
    /* code 0, or -E_CANCELLED. On a compute thread; must not block. */
    void (*done)(struct engine_seq *seq, int code);
    void *ctx;                                /* the caller's */
    uint64_t queued_ns, started_ns, ended_ns; /* filled in by the engine */
    struct engine_seq *next_;                 /* the engine's */
    int state_;                               /* the engine's */
};

/* Refuses bad ids and lengths (E_INVALID_REQUEST, E_INPUT_TOO_LONG) without
 * calling done(). */
int engine_submit(struct engine *e, struct engine_seq *seq,
                  struct err *err) MUST_CHECK;
/* done(-E_CANCELLED) follows soon: at once if it waits, between two layers if
 * it runs alone in its batch, else with its batch. */
void engine_cancel(struct engine *e, struct engine_seq *seq);

/* One counter per compute thread; each moves while that thread makes progress.
 * Returns how many. */
int engine_progress(const struct engine *e, uint64_t *counters, int cap);

#endif
