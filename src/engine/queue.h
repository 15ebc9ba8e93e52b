/* engine/queue.h - sequences that wait for a compute thread.
 *
 * Short work goes first, but every sequence ages: the next one is that with the
 * smallest (time of arrival + tokens * QUEUE_NS_PER_TOKEN), so a long sequence
 * waits for short ones that came up to that much later and for no others.
 * First in, first out among those of about one length, which makes both ends
 * cheap. Allocates nothing: sequences are linked by their next_.
 */
#ifndef ENGINE_QUEUE_H
#define ENGINE_QUEUE_H
#include "engine/engine.h"

enum {
    QUEUE_CLASSES = 32,
    QUEUE_CLASS_TOKENS = 16, /* the last class holds everything longer */
    QUEUE_NS_PER_TOKEN = 50000,
};

/* The engine's lock guards it. */
struct queue {
    struct engine_seq *first[QUEUE_CLASSES], *last[QUEUE_CLASSES];
    size_t n;        /* sequences */
    uint64_t tokens; /* of all of them */
};

void queue_push(struct queue *q, struct engine_seq *seq);
/* The next one, or NULL; peek leaves it there. */
struct engine_seq *queue_peek(const struct queue *q);
struct engine_seq *queue_pop(struct queue *q);
/* Takes out one that is known to be in it. */
void queue_remove(struct queue *q, struct engine_seq *seq);

#endif
