/* base/crew.c - threads that are started first and put to work later. */
#include "base/crew.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t call, idle;
    void (*fn)(void *ctx, int i);
    void *ctx;
    unsigned turn; /* moves with every crew_work() */
    int n, busy;
    bool over;
    struct member {
        pthread_t thread;
        struct crew *crew;
        int i;
    } members[];
};

/* Sleeps until the turn moves on; false when the crew is dissolved. */
static bool next_turn(struct crew *c, unsigned *turn)
{
    pthread_mutex_lock(&c->lock);
    while (!c->over && c->turn == *turn)
        pthread_cond_wait(&c->call, &c->lock);
    *turn = c->turn;
    bool go = !c->over;
    pthread_mutex_unlock(&c->lock);
    return go;
}

static void finish(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    if (--c->busy == 0)
        pthread_cond_broadcast(&c->idle);
    pthread_mutex_unlock(&c->lock);
}

static void *member_main(void *arg)
{
    struct member *m = arg;
    struct crew *c = m->crew;
    finish(c); /* crew_open() waits for this */
    for (unsigned turn = 0; next_turn(c, &turn);) {
        c->fn(c->ctx, m->i);
        finish(c);
    }
    return NULL;
}

/* Blocks all signals but those that a thread brings on itself: their handler
 * names them. Also waits until each has arrived: a thread whose start is half
 * done makes system calls that a sandbox closed now would deny. */
static int start_all(struct crew *c, int n)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};
    sigset_t all, before;
    sigfillset(&all);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    c->busy = n;
    while (c->n < n && r == 0) {
        struct member *m = &c->members[c->n];
        m->crew = c;
        m->i = c->n;
        r = pthread_create(&m->thread, NULL, member_main, m);
        c->n += r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_lock(&c->lock);
    c->busy -= n - c->n;
    pthread_mutex_unlock(&c->lock);
    crew_wait(c);
    return r;
}

int crew_open(struct crew **ret, int n, struct err *err)
{
    assert(n >= 1);
    struct crew *c = mem_try(1, sizeof(*c) + (size_t)n * sizeof(c->members[0]));
    if (!c)
        return err_set(err, ENOMEM, "no memory for %d threads", n);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->call, NULL);
    pthread_cond_init(&c->idle, NULL);
    int r = start_all(c, n);
    if (r) {
        crew_close(c);
        return err_set(err, r, "cannot start %d threads: %s", n, strerror(r));
    }
    *ret = c;
    return 0;
}

void crew_close(struct crew *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    assert(c->busy == 0);
    c->over = true;
    pthread_cond_broadcast(&c->call);
    pthread_mutex_unlock(&c->lock);
    for (int i = 0; i < c->n; i++)
        pthread_join(c->members[i].thread, NULL);
    pthread_cond_destroy(&c->idle);
    pthread_cond_destroy(&c->call);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int crew_size(const struct crew *c)
{
    return c->n;
}

void crew_work(struct crew *c, void (*fn)(void *ctx, int i), void *ctx)
{
    pthread_mutex_lock(&c->lock);
    assert(c->busy == 0);
    c->fn = fn;
    c->ctx = ctx;
    c->busy = c->n;
    c->turn++;
    pthread_cond_broadcast(&c->call);
    pthread_mutex_unlock(&c->lock);
}

void crew_wait(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->busy > 0)
        pthread_cond_wait(&c->idle, &c->lock);
    pthread_mutex_unlock(&c->lock);
}
