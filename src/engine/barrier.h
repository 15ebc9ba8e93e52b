/* engine/barrier.h - where the threads that share one sequence meet.
 *
 * A short spin, since the others are mostly a few microseconds away, then
 * sleep, since on a busy machine they may be milliseconds away. Reusable; never
 * initialised again while a thread may still be leaving it.
 */
#ifndef ENGINE_BARRIER_H
#define ENGINE_BARRIER_H
#include <pthread.h>
#include <stdint.h>

/* Owner: the thread that leads. */
struct barrier {
    uint32_t phase, arrived; /* atomic */
    pthread_mutex_t lock;
    pthread_cond_t moved;
};

void barrier_init(struct barrier *b);
void barrier_fini(struct barrier *b);
/* The phase that the next meeting ends; the same for all who take part. */
uint32_t barrier_phase(const struct barrier *b);
/* Until n threads have arrived. What each wrote before, all see after. */
void barrier_meet(struct barrier *b, uint32_t n);

#endif
