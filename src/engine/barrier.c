/* engine/barrier.c - where the threads that share one sequence meet. */
#include "engine/barrier.h"
#include "kernels/cpu.h"

enum { SPINS = 4000 }; /* pauses: some tens of microseconds */

void barrier_init(struct barrier *b)
{
    b->phase = b->arrived = 0;
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->moved, NULL);
}

void barrier_fini(struct barrier *b)
{
    pthread_cond_destroy(&b->moved);
    pthread_mutex_destroy(&b->lock);
}

uint32_t barrier_phase(const struct barrier *b)
{
    return __atomic_load_n(&b->phase, __ATOMIC_ACQUIRE);
}

static void release(struct barrier *b, uint32_t phase)
{
    __atomic_store_n(&b->arrived, 0, __ATOMIC_RELAXED);
    pthread_mutex_lock(&b->lock);
    __atomic_store_n(&b->phase, phase + 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&b->moved);
    pthread_mutex_unlock(&b->lock);
}

void barrier_meet(struct barrier *b, uint32_t n)
{
    uint32_t phase = barrier_phase(b);
    if (__atomic_add_fetch(&b->arrived, 1, __ATOMIC_ACQ_REL) == n) {
        release(b, phase);
        return;
    }
    for (int i = 0; i < SPINS; i++) {
        if (barrier_phase(b) != phase)
            return;
        cpu_relax();
    }
    pthread_mutex_lock(&b->lock);
    while (barrier_phase(b) == phase)
        pthread_cond_wait(&b->moved, &b->lock);
    pthread_mutex_unlock(&b->lock);
}
