/* base/helper.h - one thread beside the loop, for what may take long: SQLite,
 * scans of the cache, opening files, large JSON bodies.
 *
 * Runs one closure after the other, in order. The queue is bounded. Everything
 * here is called from the loop's thread.
 */
#ifndef BASE_HELPER_H
#define BASE_HELPER_H
#include "base/err.h"

struct helper;
struct loop;

typedef void helper_fn(void *ctx);

/* max: closures that wait. */
int helper_open(struct helper **ret, struct loop *loop, unsigned max,
                struct err *err) MUST_CHECK;
/* Runs what was accepted to its end, done included, then ends the thread. */
void helper_close(struct helper *h);

/* work(ctx) in the helper's thread, then done(ctx) in the loop's, never from
 * inside this call. -EAGAIN: too many wait; neither is called. */
int helper_run(struct helper *h, helper_fn *work, helper_fn *done,
               void *ctx) MUST_CHECK;

#endif
