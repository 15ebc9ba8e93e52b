/* engine/queue.c - sequences that wait for a compute thread. */
#include "engine/queue.h"
#include <assert.h>

static size_t class_of(const struct engine_seq *seq)
{
    size_t c = seq->n / QUEUE_CLASS_TOKENS;
    return c < QUEUE_CLASSES ? c : QUEUE_CLASSES - 1;
}

static uint64_t key_of(const struct engine_seq *seq)
{
    return seq->queued_ns + (uint64_t)seq->n * QUEUE_NS_PER_TOKEN;
}

void queue_push(struct queue *q, struct engine_seq *seq)
{
    size_t c = class_of(seq);
    seq->next_ = NULL;
    if (q->first[c])
        q->last[c]->next_ = seq;
    else
        q->first[c] = seq;
    q->last[c] = seq;
    q->n++;
    q->tokens += seq->n;
}

struct engine_seq *queue_peek(const struct queue *q)
{
    struct engine_seq *best = NULL;
    for (size_t c = 0; c < QUEUE_CLASSES; c++)
        if (q->first[c] && (!best || key_of(q->first[c]) < key_of(best)))
            best = q->first[c];
    return best;
}

struct engine_seq *queue_pop(struct queue *q)
{
    struct engine_seq *seq = queue_peek(q);
    if (seq)
        queue_remove(q, seq);
    return seq;
}

void queue_remove(struct queue *q, struct engine_seq *seq)
{
    size_t c = class_of(seq);
    struct engine_seq **at = &q->first[c], *before = NULL;
    while (*at != seq) {
        before = *at;
        assert(before);
        at = &before->next_;
    }
    *at = seq->next_;
    if (q->last[c] == seq)
        q->last[c] = before;
    seq->next_ = NULL;
    q->n--;
    q->tokens -= seq->n;
}
