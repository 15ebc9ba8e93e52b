/* engine/pass.c - one batch of sequences through a plan. */
#include "engine/pass.h"
#include "base/clock.h"
#include "base/size.h"
#include <assert.h>

enum {
    DECODE_PANELS = 8, /* of the decoder that stay in the cache together */
    NARROW_ROWS = 12,  /* a member that has fewer takes columns, not rows */
};

/* One member's view of the pass. */
struct member {
    struct pass *p;
    const struct plan *plan;
    const struct kernels *k;
    struct work *own;
    const uint32_t *at; /* first row of each sequence: token_at, then row_at */
    bool narrow;        /* the chain under way is shared out by columns */
    int i;
};

/* Rows [lo, hi). */
struct span {
    size_t lo, hi;
};

static void put_sequences(struct pass *p, struct engine_seq *const *seqs,
                          size_t n, enum engine_output kind)
{
    for (size_t i = 0; i < n; i++) {
        struct engine_seq *s = seqs[i];
        if (s->output != kind)
            continue;
        p->seqs[p->n] = s;
        p->token_at[p->n + 1] = p->token_at[p->n] + s->n;
        p->row_at[p->n + 1] = p->row_at[p->n] + pass_wanted(s);
        p->n++;
    }
}

void pass_prepare(struct pass *p, struct engine_seq *const *seqs, size_t n)
{
    assert(n >= 1 && n <= PLAN_BATCH_TOKENS);
    p->n = 0;
    p->token_at[0] = p->row_at[0] = 0;
    put_sequences(p, seqs, n, ENGINE_LOGITS);
    p->n_logits = p->n;
    put_sequences(p, seqs, n, ENGINE_HIDDEN);
    assert(p->n == n && p->token_at[n] <= p->machine->plan->rows);
}

static const float *weights(const struct member *m, size_t at)
{
    return m->p->machine->weights + at;
}

/* Row r of a buffer. The feed-forward buffer is the leader's when all work on
 * the same rows; else this member's, and holds only the block from lo on. */
static float *row(const struct member *m, enum plan_buffer b, size_t r,
                  size_t lo)
{
    size_t stride = m->plan->stride[b];
    if (b == PLAN_FFN && !m->narrow)
        return m->own->buffers[b] + (r - lo) * stride;
    return m->p->buffers[b] + r * stride;
}

/* Part i of n of a span, as even as it goes. */
static struct span share(size_t rows, int i, int n)
{
    return (struct span){rows * (size_t)i / (size_t)n,
                         rows * ((size_t)i + 1) / (size_t)n};
}

/* What of a sequence's rows lies in the span. */
static struct span clip(const struct member *m, size_t seq, struct span s)
{
    size_t lo = m->at[seq], hi = m->at[seq + 1];
    return (struct span){lo > s.lo ? lo : s.lo, hi < s.hi ? hi : s.hi};
}

static bool all_cancelled(const struct pass *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (__atomic_load_n(&p->seqs[i]->state_, __ATOMIC_RELAXED) !=
            SEQ_CANCELLED)
            return false;
    return true;
}

static void tick(struct member *m)
{
    __atomic_fetch_add(&m->own->progress, 1, __ATOMIC_RELAXED);
}

static void wait_for_others(struct pass *p)
{
    if (p->n_members == 1)
        return;
    uint64_t from = clock_now_ns();
    barrier_meet(&p->barrier, (uint32_t)p->n_members);
    __atomic_fetch_add(&p->waited_ns, clock_now_ns() - from, __ATOMIC_RELAXED);
}

/* Waits for the other members. False: the leader has given the pass up. */
static bool meet(struct member *m)
{
    struct pass *p = m->p;
    uint32_t phase = barrier_phase(&p->barrier);
    bool *stop = &p->stop[phase % 2];
    if (m->i == 0) {
        p->between(p->ctx);
        *stop = all_cancelled(p);
    }
    wait_for_others(p);
    tick(m);
    return !*stop;
}

/* One column of 16 in a panel, or a plain row. */
static void read_word(const struct member *m, uint32_t id, float *x)
{
    const struct plan *plan = m->plan;
    const float *table = weights(m, plan->words);
    size_t h = plan->hidden;
    if (!plan->words_packed) {
        memcpy(x, table + id * h, h * sizeof(*x));
        return;
    }
    const float *column = table + id / PANEL * PANEL * h + id % PANEL;
    for (size_t i = 0; i < h; i++)
        x[i] = column[i * PANEL];
}

static void embed_rows(const struct member *m, size_t s, struct span rows)
{
    const struct plan *plan = m->plan;
    const struct engine_seq *seq = m->p->seqs[s];
    for (size_t r = rows.lo; r < rows.hi; r++) {
        size_t i = r - m->at[s], h = plan->hidden;
        float *x = row(m, PLAN_X, r, 0);
        size_t type = seq->types ? seq->types[i] : 0;
        read_word(m, seq->ids[i], x);
        if (plan->types)
            m->k->add_f32(x, weights(m, plan->type + type * h), h);
        m->k->add_f32(x, weights(m, plan->position + i * h), h);
    }
}

static void store_rows(const struct member *m, size_t s, struct span rows)
{
    const struct engine_seq *seq = m->p->seqs[s];
    size_t h = m->plan->hidden;
    for (size_t r = rows.lo; r < rows.hi; r++)
        memcpy(seq->out + (r - m->at[s]) * h, row(m, PLAN_X, r, 0),
               h * sizeof(float));
}

/* Calls fn for every sequence from the first one on that has rows in block. */
static void
each_sequence(const struct member *m, size_t first, struct span block,
              void (*fn)(const struct member *m, size_t s, struct span rows))
{
    for (size_t s = first; s < m->p->n; s++) {
        struct span rows = clip(m, s, block);
        if (rows.lo < rows.hi)
            fn(m, s, rows);
    }
}

/* The panels [some.lo, some.hi) of the product, for the rows. */
static void linear(const struct member *m, const struct op *op,
                   struct span rows, size_t lo, struct span some)
{
    const struct plan *plan = m->plan;
    size_t column = some.lo * PANEL;
    m->k->gemm_f32.run(row(m, op->out, rows.lo, lo) + op->out_col + column,
                       plan->stride[op->out], row(m, op->in, rows.lo, lo),
                       plan->stride[op->in], weights(m, op->w + column * op->k),
                       rows.hi - rows.lo, op->k, some.hi - some.lo,
                       weights(m, op->bias + column),
                       op->residual ? row(m, PLAN_X, rows.lo, lo) + column
                                    : NULL,
                       plan->stride[PLAN_X], op->act);
}

static void norm(const struct member *m, const struct op *op, struct span rows,
                 size_t lo)
{
    m->k->layernorm_f32(row(m, op->out, rows.lo, lo), m->plan->stride[op->out],
                        row(m, op->in, rows.lo, lo), m->plan->stride[op->in],
                        rows.hi - rows.lo, op->n, weights(m, op->w),
                        weights(m, op->bias), m->plan->eps);
}

/* Without the rows that the operation is not for. */
static struct span rows_of(const struct member *m, const struct op *op,
                           struct span rows)
{
    if (op->head && rows.hi > m->at[m->p->n_logits])
        rows.hi = m->at[m->p->n_logits];
    return rows;
}

/* One operation that looks at one row at a time. */
static void row_op(const struct member *m, const struct op *op,
                   struct span block)
{
    struct span rows = rows_of(m, op, block);
    if (rows.lo >= rows.hi)
        return;
    switch (op->kind) {
    case OP_EMBED:
        each_sequence(m, 0, rows, embed_rows);
        break;
    case OP_LINEAR:
        linear(m, op, rows, block.lo, (struct span){0, op->panels});
        break;
    case OP_NORM:
        norm(m, op, rows, block.lo);
        break;
    case OP_STORE:
        each_sequence(m, m->p->n_logits, rows, store_rows);
        break;
    case OP_ATTEND:
    case OP_SELECT:
    case OP_DECODE:
        assert(false);
    }
}

static bool is_row_op(const struct op *op)
{
    return op->kind != OP_ATTEND && op->kind != OP_SELECT &&
           op->kind != OP_DECODE;
}

/* The chain when there are too few rows to share out: weights are what takes
 * time then, so each member takes its columns of a product, and all meet after
 * each operation. */
static void run_narrow(struct member *m, const struct op *op,
                       const struct op *end)
{
    struct pass *p = m->p;
    const struct span all = {0, m->at[p->n]};
    m->narrow = true;
    wait_for_others(p);
    for (; op < end; op++) {
        struct span rows = rows_of(m, op, all);
        struct span some = share(op->panels, m->i, p->n_members);
        if (op->kind != OP_LINEAR)
            row_op(m, op, share(all.hi, m->i, p->n_members));
        else if (rows.lo < rows.hi && some.lo < some.hi)
            linear(m, op, rows, 0, some);
        wait_for_others(p);
        tick(m);
    }
    m->narrow = false;
}

/* This member's rows through the chain [op, end), a block at a time. */
static void run_rows(struct member *m, const struct op *op,
                     const struct op *end)
{
    struct span mine = share(m->at[m->p->n], m->i, m->p->n_members);
    size_t tile = (size_t)m->k->gemm_f32.tile_rows;
    size_t n = mine.hi - mine.lo, most = m->plan->block_rows;
    if (n == 0)
        return;
    size_t blocks = (n + most - 1) / most;
    size_t step = size_round((n + blocks - 1) / blocks, tile);
    step = step > most ? most : step;
    for (size_t lo = mine.lo; lo < mine.hi; lo += step) {
        struct span block = {lo, lo + step < mine.hi ? lo + step : mine.hi};
        for (const struct op *o = op; o < end; o++)
            row_op(m, o, block);
        tick(m);
    }
}

static void run_chain(struct member *m, const struct op *op,
                      const struct op *end)
{
    size_t rows = m->at[m->p->n], n = (size_t)m->p->n_members;
    if (n > 1 && rows < n * NARROW_ROWS && rows <= m->plan->block_rows)
        run_narrow(m, op, end);
    else
        run_rows(m, op, end);
}

/* All heads of a sequence, for the queries in rows. */
static void attend_rows(const struct member *m, const struct op *op, size_t s,
                        struct span rows)
{
    const struct plan *plan = m->plan;
    size_t d = plan->head_dim, ld = plan->stride[op->in];
    size_t keys = m->p->token_at[s + 1] - m->p->token_at[s];
    const float *q = row(m, op->in, rows.lo, 0);
    const float *k = row(m, op->in, m->p->token_at[s], 0) + plan->part;
    float *out = row(m, op->out, rows.lo, 0);
    for (size_t h = 0; h < plan->heads; h++)
        m->k->attention_f32(out + h * d, plan->stride[op->out], q + h * d, ld,
                            k + h * d, ld, k + plan->part + h * d, ld,
                            rows.hi - rows.lo, keys, d, plan->scale,
                            m->own->scratch);
}

static void attend(struct member *m, const struct op *op)
{
    struct span mine = share(m->at[m->p->n], m->i, m->p->n_members);
    for (size_t s = 0; s < m->p->n; s++) {
        struct span rows = clip(m, s, mine);
        if (rows.lo >= rows.hi)
            continue;
        attend_rows(m, op, s, rows);
        tick(m);
    }
}

/* Moves the wanted rows of x together. They ascend, so none is overwritten
 * before it has moved. */
static void select_rows(const struct member *m)
{
    const struct pass *p = m->p;
    for (size_t s = 0; s < p->n; s++) {
        const struct engine_seq *seq = p->seqs[s];
        for (uint32_t i = 0; i < pass_wanted(seq); i++) {
            size_t from = p->token_at[s] + (seq->rows ? seq->rows[i] : i);
            size_t to = p->row_at[s] + i;
            if (from != to)
                memcpy(row(m, PLAN_X, to, 0), row(m, PLAN_X, from, 0),
                       m->plan->hidden * sizeof(float));
        }
    }
}

/* The leader moves the rows while the others wait. */
static bool select_wanted(struct member *m)
{
    const struct pass *p = m->p;
    bool all = p->row_at[p->n] == p->token_at[p->n];
    m->at = p->row_at;
    if (all)
        return true;
    if (!meet(m))
        return false;
    if (m->i == 0)
        select_rows(m);
    return meet(m);
}

/* Logits of one block of rows and panels, from the feed-forward buffer to the
 * callers' memory, which has no room for whole panels. */
static void scatter_logits(const struct member *m, const struct op *op,
                           struct span rows, size_t column, size_t columns)
{
    for (size_t s = 0; s < m->p->n_logits; s++) {
        struct span own = clip(m, s, rows);
        for (size_t r = own.lo; r < own.hi; r++)
            memcpy(m->p->seqs[s]->out + (r - m->at[s]) * op->n + column,
                   row(m, PLAN_FFN, r, rows.lo), columns * sizeof(float));
    }
}

/* The language-model head. Its panels are shared out, not its rows: they are
 * few and it is large. Every row while a group of panels is in the cache. */
static void decode(struct member *m, const struct op *op)
{
    const struct plan *plan = m->plan;
    struct span mine = share(op->panels, m->i, m->p->n_members);
    size_t n_rows = m->at[m->p->n_logits],
           group = pack_width(plan->ffn) / PANEL;
    group = group < DECODE_PANELS ? group : DECODE_PANELS;
    for (size_t at = mine.lo; n_rows && at < mine.hi; at += group) {
        size_t panels = mine.hi - at < group ? mine.hi - at : group;
        size_t left = op->n - at * PANEL;
        for (size_t lo = 0; lo < n_rows; lo += plan->block_rows) {
            size_t hi = lo + plan->block_rows;
            struct span rows = {lo, hi < n_rows ? hi : n_rows};
            m->k->gemm_f32.run(
                row(m, PLAN_FFN, lo, lo), plan->stride[PLAN_FFN],
                row(m, op->in, lo, 0), plan->stride[op->in],
                weights(m, op->w + at * PANEL * op->k), rows.hi - lo, op->k,
                panels, weights(m, op->bias + at * PANEL), NULL, 0, ACT_NONE);
            scatter_logits(m, op, rows, at * PANEL,
                           left < panels * PANEL ? left : panels * PANEL);
        }
        tick(m);
    }
}

/* False: the pass was given up. */
static bool run_ops(struct member *m)
{
    const struct op *op = m->plan->ops, *end = op + m->plan->n_ops;
    while (op < end) {
        const struct op *next = op + 1;
        if (op->kind == OP_ATTEND) {
            if (!meet(m))
                return false;
            attend(m, op);
        } else if (op->kind == OP_SELECT) {
            if (!select_wanted(m))
                return false;
        } else if (op->kind == OP_DECODE) {
            if (!meet(m))
                return false;
            decode(m, op);
        } else {
            while (next < end && is_row_op(next))
                next++;
            run_chain(m, op, next);
        }
        op = next;
    }
    return true;
}

void pass_run(struct pass *p, int i, struct work *own)
{
    struct member m = {.p = p,
                       .plan = p->machine->plan,
                       .k = &p->machine->kernels,
                       .own = own,
                       .at = p->token_at,
                       .i = i};
    run_ops(&m);
    wait_for_others(p);
    tick(&m);
}
