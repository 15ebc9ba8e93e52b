/* engine/pool.h - the compute threads and what they do next.
 *
 * One lock over the queue and over who is idle. A thread that is free takes the
 * next sequences, as many as make a batch but no more than leave work for the
 * others, and runs them alone. Where fewer sequences wait than threads, the
 * threads left over join the pass of a sequence that is long enough. Nobody
 * ever waits for a batch to fill.
 */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H
#include "engine/pass.h"
#include "engine/queue.h"

enum {
    POOL_SHARE_TOKENS = 4, /* a shared pass has this many for each member */
    POOL_PAUSE_MS = 100,   /* without sharing, after a pass that only waited */
    POOL_THREADS_MAX = 256,
};

struct pool;

/* One compute thread. */
struct pool_thread {
    struct pool *pool;
    pthread_cond_t wake;
    bool idle;         /* waits on wake, */
    bool called;       /* but has been called to work */
    struct pass *join; /* or to member number i of a pass */
    int member;
    struct work work;
    struct pass pass; /* the one that it leads */
};

struct pool {
    pthread_mutex_t lock;
    struct queue queue;
    struct engine_seq *cancelled; /* to be answered; linked by next_ */
    bool any_cancelled;           /* atomic: the list is not empty */
    bool closing;
    uint64_t share_after_ns; /* no shared pass begins before this */
    int n;
    struct pool_thread *threads; /* [n] */
};

/* The threads array is the caller's, with machine and buffers filled in. */
void pool_init(struct pool *p, struct pool_thread *threads, int n);
void pool_fini(struct pool *p);
/* Thread i's life, until pool_close() and nothing waits any more. */
void pool_main(struct pool *p, int i);
void pool_submit(struct pool *p, struct engine_seq *seq);
void pool_cancel(struct pool *p, struct engine_seq *seq);
void pool_close(struct pool *p);

#endif
