/* base/crew.h - threads that are started first and put to work later.
 *
 * A sandbox that forbids new threads is closed before there is work for them,
 * so the crew is hired early and sleeps. One owner; it may put the crew to work
 * again after crew_wait().
 */
#ifndef BASE_CREW_H
#define BASE_CREW_H
#include "base/err.h"

struct crew;

/* Starts n threads (>= 1), signals blocked in them but for a thread's own
 * faults. */
int crew_open(struct crew **ret, int n, struct err *err) MUST_CHECK;
/* The threads must be idle: after crew_wait(), or never put to work. */
void crew_close(struct crew *c); /* NULL is fine */
int crew_size(const struct crew *c);

/* Runs fn(ctx, i) once in each thread, i = 0 .. n-1. The crew must be idle. */
void crew_work(struct crew *c, void (*fn)(void *ctx, int i), void *ctx);
/* Until fn has returned in every thread. */
void crew_wait(struct crew *c);

#endif
