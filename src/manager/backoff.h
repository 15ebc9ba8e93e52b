/* manager/backoff.h - how long to wait after a crash, and when to stop
 * trusting.
 *
 * Counts consecutive crashes with no job completed between them. The pause is
 * 0, 100 ms, 200 ms, ... doubling to 10 s, with up to a quarter of jitter on
 * top. From the sixth crash on the breaker is open (crash loop): after the
 * pause one probe is let through.
 */
#ifndef MANAGER_BACKOFF_H
#define MANAGER_BACKOFF_H
#include <stdbool.h>
#include <stdint.h>

enum { BACKOFF_CRASHES_MAX = 5 };

/* Zero at the start. */
struct backoff {
    unsigned crashes;  /* consecutive */
    uint64_t until_ns; /* end of the pause that runs */
};

/* Counts a crash; returns the end of the pause. */
uint64_t backoff_crashed(struct backoff *b, uint64_t now_ns, uint64_t random);
void backoff_completed(struct backoff *b); /* a job was answered */
bool backoff_open(const struct backoff *b);

#endif
