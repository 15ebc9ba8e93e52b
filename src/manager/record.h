/* manager/record.h - what is learnt about a model's files is written down once.
 */
#ifndef MANAGER_RECORD_H
#define MANAGER_RECORD_H
#include "manager/core.h"

/* Has the files inspected (unless their plan is known), then the model put into
 * the store, then done(ctx) called, exactly once. What fails on the way is
 * logged: a model without a plan is inspected again when it is loaded, one that
 * is not in the store is found again at the next start. files stay the
 * caller's. */
void record_begin(struct model *model, const struct cache_files *files,
                  void (*done)(void *ctx), void *ctx);
/* Inspects the models that the store knew without a plan of this build, one
 * after the other. */
void record_missing(struct manager *m);

#endif
