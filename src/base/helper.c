/* base/helper.c - one thread beside the loop, for what may take long. */
#include "base/helper.h"
#include "base/loop.h"
#include "base/mem.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct closure {
    helper_fn *work, *done;
    void *ctx;
};

/* A ring of closures: [ended, taken) are worked off and wait for done,
 * [taken, added) wait for the thread. */
struct helper {
    struct loop *loop;
    struct loop_fd watch;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct closure *ring; /* [cap] */
    unsigned cap;
    uint64_t added, worked, ended;
    bool closing;
};

static bool next_closure(struct helper *h, struct closure *ret)
{
    while (h->worked == h->added && !h->closing)
        pthread_cond_wait(&h->more, &h->lock);
    if (h->worked == h->added)
        return false;
    *ret = h->ring[h->worked % h->cap];
    return true;
}

static void *work_off(void *arg)
{
    struct helper *h = arg;
    struct closure c;
    pthread_mutex_lock(&h->lock);
    while (next_closure(h, &c)) {
        pthread_mutex_unlock(&h->lock);
        c.work(c.ctx);
        pthread_mutex_lock(&h->lock);
        h->worked++;
        uint64_t one = 1;
        if (write(h->watch.fd, &one, sizeof(one)) < 0) {
            /* The counter is full: the loop will look anyhow. */
        }
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void end_worked(struct helper *h)
{
    pthread_mutex_lock(&h->lock);
    while (h->ended < h->worked) {
        struct closure c = h->ring[h->ended++ % h->cap];
        pthread_mutex_unlock(&h->lock);
        c.done(c.ctx);
        pthread_mutex_lock(&h->lock);
    }
    pthread_mutex_unlock(&h->lock);
}

static void on_worked(struct loop_fd *w, uint32_t events)
{
    (void)events;
    uint64_t count;
    if (read(w->fd, &count, sizeof(count)) > 0)
        end_worked(w->ctx);
}

/* The loop's thread alone takes signals. */
static int start_thread(struct helper *h)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&h->thread, NULL, work_off, h);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -r;
}

static void free_parts(struct helper *h)
{
    if (h->watch.active)
        loop_unwatch(h->loop, &h->watch);
    if (h->watch.fd >= 0)
        close(h->watch.fd);
    pthread_cond_destroy(&h->more);
    pthread_mutex_destroy(&h->lock);
    free(h->ring);
    free(h);
}

int helper_open(struct helper **ret, struct loop *loop, unsigned max,
                struct err *err)
{
    struct helper *h = mem_new(struct helper);
    h->loop = loop;
    h->cap = max;
    h->ring = mem_zero(max, sizeof(*h->ring));
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
    h->watch = (struct loop_fd){.fn = on_worked, .ctx = h, .events = EPOLLIN};
    h->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = h->watch.fd < 0 ? -errno : loop_watch(loop, &h->watch);
    if (r == 0)
        r = start_thread(h);
    if (r < 0) {
        free_parts(h);
        return err_set(err, -r, "cannot start the helper thread: %s",
                       strerror(-r));
    }
    *ret = h;
    return 0;
}

void helper_close(struct helper *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->closing = true;
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
    pthread_join(h->thread, NULL);
    end_worked(h);
    free_parts(h);
}

int helper_run(struct helper *h, helper_fn *work, helper_fn *done, void *ctx)
{
    int r = 0;
    pthread_mutex_lock(&h->lock);
    if (h->closing || h->added - h->ended == h->cap)
        r = -EAGAIN;
    else
        h->ring[h->added++ % h->cap] = (struct closure){work, done, ctx};
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
    return r;
}
