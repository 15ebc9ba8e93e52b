/* base/loop.c - one thread's event loop on epoll.
 *
 * Timers are a binary heap of pointers. A watcher that is removed while its
 * event waits in the current batch is taken out of the batch.
 */
#include "base/loop.h"
#include "base/clock.h"
#include "base/mem.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 64, SLOW_TURN_NS = 20 * 1000 * 1000 };

struct loop {
    int epoll_fd;
    bool stopped;
    uint64_t now_ns, slow_turns, longest_turn_ns;
    struct loop_timer **heap; /* 1-based: [1..n_timers] */
    int n_timers, cap_timers;
    struct loop_later *first_later, **last_later;
    struct epoll_event batch[BATCH];
    int n_batch;
    struct loop_fd wake;
    void (*on_wake)(void *ctx);
    void *on_wake_ctx;
};

static void drain_wake(struct loop_fd *w, uint32_t events)
{
    (void)events;
    struct loop *l = w->ctx;
    uint64_t count;
    if (read(w->fd, &count, sizeof(count)) < 0)
        return;
    if (l->on_wake)
        l->on_wake(l->on_wake_ctx);
}

struct loop *loop_new(void)
{
    struct loop *l = mem_new(struct loop);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->last_later = &l->first_later;
    l->wake = (struct loop_fd){.fn = drain_wake, .ctx = l, .events = EPOLLIN};
    l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll_fd < 0 || l->wake.fd < 0 || loop_watch(l, &l->wake) < 0)
        abort();
    l->now_ns = clock_now_ns();
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    close(l->wake.fd);
    close(l->epoll_fd);
    free(l->heap);
    free(l);
}

int loop_watch(struct loop *l, struct loop_fd *w)
{
    struct epoll_event e = {.events = w->events, .data.ptr = w};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, w->fd, &e))
        return -errno;
    w->active = true;
    return 0;
}

void loop_change(struct loop *l, struct loop_fd *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    if (!w->active || w->events == events)
        return;
    w->events = events;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &e);
}

void loop_unwatch(struct loop *l, struct loop_fd *w)
{
    if (!w->active)
        return;
    w->active = false;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    for (int i = 0; i < l->n_batch; i++)
        if (l->batch[i].data.ptr == w)
            l->batch[i].data.ptr = NULL;
}

static void place(struct loop *l, struct loop_timer *t, int i)
{
    l->heap[i] = t;
    t->place = i;
}

static void sift_up(struct loop *l, struct loop_timer *t, int i)
{
    for (; i > 1 && l->heap[i / 2]->at_ns > t->at_ns; i /= 2)
        place(l, l->heap[i / 2], i);
    place(l, t, i);
}

static void sift_down(struct loop *l, struct loop_timer *t, int i)
{
    for (int child; (child = 2 * i) <= l->n_timers; i = child) {
        if (child < l->n_timers &&
            l->heap[child + 1]->at_ns < l->heap[child]->at_ns)
            child++;
        if (l->heap[child]->at_ns >= t->at_ns)
            break;
        place(l, l->heap[child], i);
    }
    place(l, t, i);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
    int i = t->place;
    if (i == 0)
        return;
    t->place = 0;
    struct loop_timer *last = l->heap[l->n_timers--];
    if (last == t)
        return;
    sift_down(l, last, i);
    sift_up(l, last, last->place);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ns)
{
    loop_timer_clear(l, t);
    t->at_ns = at_ns;
    if (l->n_timers + 2 > l->cap_timers) {
        l->cap_timers = l->cap_timers ? l->cap_timers * 2 : 64;
        void *p = realloc(l->heap, (size_t)l->cap_timers * sizeof(*l->heap));
        if (!p)
            abort();
        l->heap = p;
    }
    sift_up(l, t, ++l->n_timers);
}

void loop_later(struct loop *l, struct loop_later *d)
{
    if (d->queued)
        return;
    d->queued = true;
    d->next = NULL;
    *l->last_later = d;
    l->last_later = &d->next;
}

void loop_later_clear(struct loop *l, struct loop_later *d)
{
    if (!d->queued)
        return;
    d->queued = false;
    struct loop_later **p = &l->first_later;
    while (*p != d)
        p = &(*p)->next;
    *p = d->next;
    if (l->last_later == &d->next)
        l->last_later = p;
}

void loop_on_wake(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    l->on_wake = fn;
    l->on_wake_ctx = ctx;
}

void loop_wake(struct loop *l)
{
    uint64_t one = 1;
    int keep = errno;
    if (write(l->wake.fd, &one, sizeof(one)) < 0) {
        /* The counter is full: the loop will wake anyhow. */
    }
    errno = keep;
}

static int wait_ms(const struct loop *l, int max_ms)
{
    if (l->first_later)
        return 0;
    if (l->n_timers == 0)
        return max_ms;
    uint64_t now = clock_now_ns(), at = l->heap[1]->at_ns;
    uint64_t ms = at <= now ? 0 : (at - now + 999999) / 1000000;
    int bounded = ms > 3600000 ? 3600000 : (int)ms;
    return max_ms >= 0 && max_ms < bounded ? max_ms : bounded;
}

static void run_timers(struct loop *l)
{
    while (l->n_timers > 0 && l->heap[1]->at_ns <= l->now_ns) {
        struct loop_timer *t = l->heap[1];
        loop_timer_clear(l, t);
        t->fn(t);
    }
}

static void run_later(struct loop *l)
{
    struct loop_later **end = l->last_later;
    while (l->first_later) {
        struct loop_later *d = l->first_later;
        bool last = &d->next == end;
        l->first_later = d->next;
        if (!l->first_later)
            l->last_later = &l->first_later;
        d->queued = false;
        d->fn(d);
        if (last)
            return;
    }
}

static void count_turn(struct loop *l)
{
    uint64_t took = clock_now_ns() - l->now_ns;
    if (took > SLOW_TURN_NS)
        l->slow_turns++;
    if (took > l->longest_turn_ns)
        l->longest_turn_ns = took;
}

void loop_turn(struct loop *l, int max_ms)
{
    int n = epoll_wait(l->epoll_fd, l->batch, BATCH, wait_ms(l, max_ms));
    l->now_ns = clock_now_ns();
    l->n_batch = n < 0 ? 0 : n;
    for (int i = 0; i < l->n_batch; i++) {
        struct loop_fd *w = l->batch[i].data.ptr;
        if (w)
            w->fn(w, l->batch[i].events);
    }
    l->n_batch = 0;
    run_timers(l);
    run_later(l);
    count_turn(l);
}

void loop_run(struct loop *l)
{
    while (!l->stopped)
        loop_turn(l, -1);
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
}

uint64_t loop_now_ns(const struct loop *l)
{
    return l->now_ns;
}

uint64_t loop_slow_turns(const struct loop *l)
{
    return l->slow_turns;
}

uint64_t loop_longest_turn_ns(const struct loop *l)
{
    return l->longest_turn_ns;
}
