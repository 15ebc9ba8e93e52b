/* engine/pass.h - one batch of sequences through a plan.
 *
 * Sequences lie one after the other, row by row, without padding. The rows are
 * shared out among the members of the pass: each takes its rows through the
 * chain of operations from one attention to the next, block by block while they
 * are in its cache, and all meet once a layer, before attention, which looks at
 * every row. Alone, a member never waits. Which member computes a row changes
 * no bit of it.
 */
#ifndef ENGINE_PASS_H
#define ENGINE_PASS_H
#include "arch/plan.h"
#include "engine/barrier.h"
#include "engine/engine.h"

enum seq_state { SEQ_QUEUED = 1, SEQ_RUNNING, SEQ_CANCELLED };

/* Shared by all threads, read only. */
struct machine {
    const struct plan *plan;
    const float *weights; /* [plan->weights] */
    struct kernels kernels;
};

/* One compute thread's own. */
struct work {
    float *buffers[PLAN_BUFFERS]; /* PLAN_QKV_B is another thread's, or A */
    float *scratch;
    uint64_t progress; /* atomic; moves with every step */
};

/* Owned by the thread that leads it; filled by pass_begin() and pass_add(). */
struct pass {
    const struct machine *machine;
    struct engine_seq *seqs[PLAN_BATCH_TOKENS]; /* those for logits first */
    size_t n, n_logits;
    uint32_t token_at[PLAN_BATCH_TOKENS + 1]; /* first row of each sequence */
    uint32_t row_at[PLAN_BATCH_TOKENS + 1];   /* after OP_SELECT */
    float *buffers[PLAN_BUFFERS];             /* the leader's */
    int n_members;
    struct barrier barrier;
    bool stop[2];       /* by phase: the leader's word at that meeting */
    uint64_t waited_ns; /* atomic: of all members, for the others */
    /* Called by the leader between layers; must be quick. */
    void (*between)(void *ctx);
    void *ctx;
};

/* Of a sequence: how many rows are wanted. */
static inline uint32_t pass_wanted(const struct engine_seq *seq)
{
    return seq->rows ? seq->n_rows : seq->n;
}

/* Sorts seqs[0..n) and lays out their rows. */
void pass_prepare(struct pass *p, struct engine_seq *const *seqs, size_t n);
/* Member i of n_members; 0 leads. Returns, in every member, when the pass is
 * over: every output is written, or all its sequences are cancelled. */
void pass_run(struct pass *p, int i, struct work *own);

#endif
