/* engine/pool.c - the compute threads and what they do next. */
#include "engine/pool.h"
#include "base/clock.h"

/* Answers; the sequence is the caller's again. */
static void answer(struct engine_seq *seq, int code)
{
    seq->ended_ns = clock_now_ns();
    seq->done(seq, code);
}

/* All that were taken out of the queue by pool_cancel(). No lock held. */
static void answer_cancelled(struct pool *p)
{
    if (!__atomic_load_n(&p->any_cancelled, __ATOMIC_ACQUIRE))
        return;
    pthread_mutex_lock(&p->lock);
    struct engine_seq *list = p->cancelled;
    p->cancelled = NULL;
    __atomic_store_n(&p->any_cancelled, false, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&p->lock);
    while (list) {
        struct engine_seq *seq = list;
        list = seq->next_;
        answer(seq, -E_CANCELLED);
    }
}

static void between_layers(void *ctx)
{
    answer_cancelled(ctx);
}

/* Lock held. */
static void cancel_waiting(struct pool *p, struct engine_seq *seq)
{
    seq->state_ = SEQ_CANCELLED;
    seq->next_ = p->cancelled;
    p->cancelled = seq;
    __atomic_store_n(&p->any_cancelled, true, __ATOMIC_RELEASE);
}

/* Calls one idle thread, if there is one. Lock held. */
static void call_one(struct pool *p)
{
    for (int i = 0; i < p->n; i++) {
        struct pool_thread *t = &p->threads[i];
        if (!t->idle || t->called)
            continue;
        t->called = true;
        pthread_cond_signal(&t->wake);
        return;
    }
}

void pool_init(struct pool *p, struct pool_thread *threads, int n)
{
    *p = (struct pool){.threads = threads, .n = n};
    pthread_mutex_init(&p->lock, NULL);
    for (int i = 0; i < n; i++) {
        threads[i].pool = p;
        pthread_cond_init(&threads[i].wake, NULL);
        barrier_init(&threads[i].pass.barrier);
        threads[i].pass.between = between_layers;
        threads[i].pass.ctx = p;
    }
}

void pool_fini(struct pool *p)
{
    for (int i = 0; i < p->n; i++) {
        barrier_fini(&p->threads[i].pass.barrier);
        pthread_cond_destroy(&p->threads[i].wake);
    }
    pthread_mutex_destroy(&p->lock);
}

/* The next batch into seqs: shortest work first, up to PLAN_BATCH_TOKENS, but
 * not more than this thread's share of all that waits. Lock held. */
static size_t take_batch(struct pool *p, struct engine_seq **seqs)
{
    size_t n = 0;
    uint64_t tokens = 0;
    uint64_t most = (p->queue.tokens + (uint64_t)p->n - 1) / (uint64_t)p->n;
    most = most < PLAN_BATCH_TOKENS ? most : PLAN_BATCH_TOKENS;
    uint64_t now = clock_now_ns();
    for (;;) {
        struct engine_seq *next = queue_peek(&p->queue);
        if (!next || n == PLAN_BATCH_TOKENS ||
            (n > 0 && tokens + next->n > most))
            return n;
        queue_remove(&p->queue, next);
        __atomic_store_n(&next->state_, SEQ_RUNNING, __ATOMIC_RELAXED);
        next->started_ns = now;
        tokens += next->n;
        seqs[n++] = next;
    }
}

/* Idle threads that have nothing to do once each waiting sequence has one. */
static int spare_threads(const struct pool *p)
{
    int spare = 0;
    for (int i = 0; i < p->n; i++)
        spare += p->threads[i].idle && !p->threads[i].called;
    return p->queue.n >= (size_t)spare ? 0 : spare - (int)p->queue.n;
}

/* Calls idle threads to join the pass, where that is worth it. Lock held. */
static void invite(struct pool *p, struct pool_thread *leader)
{
    struct pass *pass = &leader->pass;
    int most = (int)(pass->token_at[pass->n] / POOL_SHARE_TOKENS) - 1;
    int spare = pass->n == 1 ? spare_threads(p) : 0;
    most = most < spare ? most : spare;
    pass->n_members = 1;
    if (clock_now_ns() < p->share_after_ns)
        most = 0;
    pass->buffers[PLAN_QKV_B] = pass->buffers[PLAN_QKV_A];
    for (int i = 0; i < p->n && pass->n_members <= most; i++) {
        struct pool_thread *t = &p->threads[i];
        if (!t->idle || t->called)
            continue;
        /* Two layers' q|k|v at once: the first member lends its own. */
        if (pass->n_members == 1)
            pass->buffers[PLAN_QKV_B] = t->work.buffers[PLAN_QKV_A];
        t->called = true;
        t->join = pass;
        t->member = pass->n_members++;
        pthread_cond_signal(&t->wake);
    }
}

/* After a shared pass: whether its members waited more than they gained. */
static void judge_sharing(struct pool *p, struct pass *pass, uint64_t started)
{
    uint64_t now = clock_now_ns();
    uint64_t others = (uint64_t)pass->n_members - 1;
    uint64_t waited =
        __atomic_exchange_n(&pass->waited_ns, 0, __ATOMIC_RELAXED);
    if (waited <= (now - started) * others / 2)
        return;
    pthread_mutex_lock(&p->lock);
    p->share_after_ns = now + (uint64_t)POOL_PAUSE_MS * 1000000;
    pthread_mutex_unlock(&p->lock);
}

static void run_batch(struct pool_thread *t, struct engine_seq **seqs, size_t n)
{
    uint64_t started = seqs[0]->started_ns;
    pass_run(&t->pass, 0, &t->work);
    if (t->pass.n_members > 1)
        judge_sharing(t->pool, &t->pass, started);
    for (size_t i = 0; i < n; i++) {
        bool gone = __atomic_load_n(&seqs[i]->state_, __ATOMIC_RELAXED) ==
                    SEQ_CANCELLED;
        answer(seqs[i], gone ? -E_CANCELLED : 0);
    }
}

/* Until there is something to do. Lock held. False: the pool is closed. */
static bool wait_for_work(struct pool *p, struct pool_thread *t)
{
    while (!t->join && !p->queue.n && !p->cancelled && !p->closing) {
        t->idle = true;
        t->called = false;
        pthread_cond_wait(&t->wake, &p->lock);
    }
    t->idle = false;
    return t->join || p->queue.n || p->cancelled;
}

/* Everything that still waits is answered and not run. Lock held. */
static void cancel_all(struct pool *p)
{
    for (struct engine_seq *s; (s = queue_pop(&p->queue));)
        cancel_waiting(p, s);
}

static void work_once(struct pool *p, struct pool_thread *t)
{
    struct engine_seq *seqs[PLAN_BATCH_TOKENS];
    struct pass *join = t->join;
    size_t n = 0;
    t->join = NULL;
    if (p->closing)
        cancel_all(p);
    if (!join && (n = take_batch(p, seqs)) > 0) {
        pass_prepare(&t->pass, seqs, n);
        invite(p, t);
    }
    pthread_mutex_unlock(&p->lock);
    answer_cancelled(p);
    if (join)
        pass_run(join, t->member, &t->work);
    else if (n)
        run_batch(t, seqs, n);
    pthread_mutex_lock(&p->lock);
}

void pool_main(struct pool *p, int i)
{
    struct pool_thread *t = &p->threads[i];
    pthread_mutex_lock(&p->lock);
    while (wait_for_work(p, t))
        work_once(p, t);
    pthread_mutex_unlock(&p->lock);
}

void pool_submit(struct pool *p, struct engine_seq *seq)
{
    pthread_mutex_lock(&p->lock);
    seq->state_ = SEQ_QUEUED;
    seq->queued_ns = clock_now_ns();
    queue_push(&p->queue, seq);
    call_one(p);
    pthread_mutex_unlock(&p->lock);
}

void pool_cancel(struct pool *p, struct engine_seq *seq)
{
    pthread_mutex_lock(&p->lock);
    if (seq->state_ == SEQ_QUEUED) {
        queue_remove(&p->queue, seq);
        cancel_waiting(p, seq);
        call_one(p);
    } else {
        __atomic_store_n(&seq->state_, SEQ_CANCELLED, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&p->lock);
}

void pool_close(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    for (int i = 0; i < p->n; i++)
        pthread_cond_signal(&p->threads[i].wake);
    pthread_mutex_unlock(&p->lock);
}
