/* pipeline/query.c - one item of a job: its sequences go through the engine in
 * slots. Compute threads touch a slot only in sequence_done(): they push it on
 * a list that the owner's thread takes whole. */
#include "base/mem.h"
#include "base/size.h"
#include "pipeline/task_table.h"
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

enum { KEEP_FLOATS = 1 << 16 /* of a slot's output between two uses */ };

int query_open(struct query **ret, struct request *r,
               const struct input *inputs, size_t n, void *owner,
               struct err *err)
{
    struct query *q = mem_new(struct query);
    q->req = r;
    q->inputs = inputs;
    q->n_inputs = n;
    q->owner = owner;
    q->arena.max = QUERY_BYTES_MAX;
    memcpy(q->answer.flags, r->flags, sizeof(r->flags));
    int code = r->task->begin(q, err);
    if (code < 0) {
        query_free(q);
        return code;
    }
    *ret = q;
    return 0;
}

void *query_owner(const struct query *q)
{
    return q->owner;
}

void query_free(struct query *q)
{
    if (!q)
        return;
    assert(q->n_under_way == 0);
    arena_fini(&q->arena);
    free(q->data);
    free(q);
}

bool query_busy(const struct query *q)
{
    return q->n_under_way > 0;
}

bool pipeline_room(const struct pipeline *p)
{
    return (p->free_slots || p->n_slots < p->max_slots) &&
           p->bytes < p->max_bytes && p->tokens < p->max_tokens;
}

/* On a compute thread. */
static void sequence_done(struct engine_seq *seq, int code)
{
    struct slot *slot = seq->ctx;
    struct pipeline *p = slot->query->req->p;
    slot->code = code;
    slot->next = atomic_load(&p->ended);
    while (!atomic_compare_exchange_weak(&p->ended, &slot->next, slot))
        ;
    p->wake(p->wake_ctx);
}

static struct slot *take_slot(struct pipeline *p)
{
    struct slot *slot = p->free_slots;
    if (slot) {
        p->free_slots = slot->next;
    } else {
        slot = mem_new(struct slot);
        p->n_slots++;
    }
    slot->seq = (struct engine_seq){.done = sequence_done, .ctx = slot};
    slot->next = NULL;
    slot->code = 0;
    slot->bytes = 0;
    return slot;
}

static void give_slot(struct pipeline *p, struct slot *slot)
{
    if (slot->out_cap > KEEP_FLOATS) {
        free(slot->out);
        slot->out = NULL;
        slot->out_cap = 0;
    }
    slot->query = NULL;
    slot->next = p->free_slots;
    p->free_slots = slot;
}

static int make_room(const struct pipeline *p, struct slot *slot,
                     struct err *err)
{
    const struct engine_info *info = &p->info.engine;
    struct engine_seq *seq = &slot->seq;
    int width = seq->output == ENGINE_HIDDEN ? info->hidden : info->vocab;
    size_t n;
    if (!seq->rows)
        seq->n_rows = seq->n;
    if (!size_mul(seq->n_rows, (size_t)width, &n))
        return no_memory(err);
    if (n > slot->out_cap) {
        free(slot->out);
        slot->out = mem_try(n, sizeof(*slot->out));
        slot->out_cap = slot->out ? n : 0;
    }
    seq->out = slot->out;
    slot->bytes = n * sizeof(*slot->out);
    return slot->out ? 0 : no_memory(err);
}

static void link_slot(struct query *q, struct slot *slot)
{
    struct pipeline *p = q->req->p;
    slot->q_prev = NULL;
    slot->q_next = q->slots;
    if (q->slots)
        q->slots->q_prev = slot;
    q->slots = slot;
    q->n_under_way++;
    p->bytes += slot->bytes;
    p->tokens += slot->seq.n;
}

static void unlink_slot(struct query *q, struct slot *slot)
{
    struct pipeline *p = q->req->p;
    if (slot->q_prev)
        slot->q_prev->q_next = slot->q_next;
    else
        q->slots = slot->q_next;
    if (slot->q_next)
        slot->q_next->q_prev = slot->q_prev;
    q->n_under_way--;
    p->bytes -= slot->bytes;
    p->tokens -= slot->seq.n;
}

static void fail(struct query *q, int code, const struct err *err)
{
    if (q->failed.code)
        return;
    q->failed = *err;
    q->failed.code = code < 0 ? -code : code;
}

int query_step(struct query *q, struct err *err)
{
    struct pipeline *p = q->req->p;
    if (q->n_sequences == 0)
        return 0;
    assert(q->n_started < q->n_sequences);
    if (q->failed.code) { /* what it has started already has failed it */
        *err = q->failed;
        return -q->failed.code;
    }
    struct slot *slot = take_slot(p);
    slot->query = q;
    slot->index = q->n_started;
    int r = q->req->task->prepare(q, slot, err);
    if (r == 0)
        r = make_room(p, slot, err);
    if (r == 0) {
        link_slot(q, slot);
        r = engine_submit(p->engine, &slot->seq, err);
        if (r < 0)
            unlink_slot(q, slot);
    }
    if (r < 0) {
        give_slot(p, slot);
        fail(q, r, err);
        return r;
    }
    q->n_started++;
    return q->n_started < q->n_sequences;
}

void query_cancel(struct query *q, const struct err *why)
{
    fail(q, why->code, why);
    for (struct slot *s = q->slots; s; s = s->q_next)
        engine_cancel(q->req->p->engine, &s->seq);
}

static void note_times(struct answer *a, const struct engine_seq *seq)
{
    if (!a->started_ns || seq->started_ns < a->started_ns)
        a->started_ns = seq->started_ns;
    if (seq->ended_ns > a->ended_ns)
        a->ended_ns = seq->ended_ns;
}

static void collect(struct query *q, struct slot *slot)
{
    struct err err = {0};
    int r = slot->code;
    if (r < 0)
        err_set(&err, -r, "cancelled");
    note_times(&q->answer, &slot->seq);
    if (r == 0 && !q->failed.code)
        r = q->req->task->collect(q, slot, &err);
    if (r < 0)
        fail(q, r, &err);
    unlink_slot(q, slot);
    give_slot(q->req->p, slot);
}

/* The list as it grew, last first, turned round. */
static struct slot *take_ended(struct pipeline *p)
{
    struct slot *in = atomic_exchange(&p->ended, NULL), *out = NULL;
    while (in) {
        struct slot *next = in->next;
        in->next = out;
        out = in;
        in = next;
    }
    return out;
}

void pipeline_reap(struct pipeline *p, void (*ended)(struct query *q))
{
    for (struct slot *slot = take_ended(p), *next; slot; slot = next) {
        struct query *q = slot->query;
        next = slot->next;
        collect(q, slot);
        if (q->n_under_way == 0 &&
            (q->failed.code || q->n_started == q->n_sequences))
            ended(q);
    }
}

int query_answer(struct query *q, struct answer *ret, struct err *err)
{
    assert(q->n_under_way == 0);
    if (!q->failed.code && q->req->task->finish) {
        struct err why = {0};
        int r = q->req->task->finish(q, &why);
        if (r < 0)
            fail(q, r, &why);
    }
    if (q->failed.code) {
        *err = q->failed;
        return -q->failed.code;
    }
    *ret = q->answer;
    return 0;
}
