/* base/loop.h - one thread's event loop on epoll.
 *
 * Watches descriptors, keeps timers (CLOCK_MONOTONIC), runs what was put off to
 * the end of a turn. Single-threaded, but for loop_wake(), which any thread or
 * signal handler may call. A callback may add and remove anything, itself
 * included.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H
#include <stdbool.h>
#include <stdint.h>

struct loop;

struct loop *loop_new(void); /* aborts when the kernel refuses */
void loop_free(struct loop *l);
/* Until loop_stop(). */
void loop_run(struct loop *l);
/* One turn: waits at most max_ms (-1 = as long as timers allow). */
void loop_turn(struct loop *l, int max_ms);
void loop_stop(struct loop *l);
uint64_t loop_now_ns(const struct loop *l); /* at the start of this turn */

/* Watchers. Embedded in their owner; zero before loop_watch(). events: EPOLLIN,
 * EPOLLOUT, EPOLLRDHUP, ... level-triggered. */
struct loop_fd {
    void (*fn)(struct loop_fd *w, uint32_t events);
    void *ctx;
    int fd;
    uint32_t events;
    bool active;
};
int loop_watch(struct loop *l, struct loop_fd *w); /* 0 or -errno */
void loop_change(struct loop *l, struct loop_fd *w, uint32_t events);
void loop_unwatch(struct loop *l, struct loop_fd *w); /* does not close fd */

/* Timers. Embedded in their owner; zero before the first use. */
struct loop_timer {
    void (*fn)(struct loop_timer *t);
    void *ctx;
    uint64_t at_ns;
    int place; /* in the heap, 1-based; 0 = not set */
};
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t at_ns);
void loop_timer_clear(struct loop *l, struct loop_timer *t);

/* Runs fn once at the end of this turn (for one's own destruction, batching).
 */
struct loop_later {
    void (*fn)(struct loop_later *d);
    void *ctx;
    struct loop_later *next;
    bool queued;
};
void loop_later(struct loop *l, struct loop_later *d);
void loop_later_clear(struct loop *l, struct loop_later *d);

/* Any thread or signal handler: ends the wait of the current turn; on_wake runs
 * in the loop's thread. */
void loop_on_wake(struct loop *l, void (*fn)(void *ctx), void *ctx);
void loop_wake(struct loop *l);

/* Turns that took longer than 20 ms between two waits, since the start, and the
 * longest, for /metrics. */
uint64_t loop_slow_turns(const struct loop *l);
uint64_t loop_longest_turn_ns(const struct loop *l);

#endif
