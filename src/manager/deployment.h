/* manager/deployment.h - a wish: that a model be served.
 *
 * Loading goes through its files, their verification when they are not as
 * recorded, the inspector, the budget, an instance. A failure at any step is
 * the deployment's; a death is followed by a pause and another try.
 */
#ifndef MANAGER_DEPLOYMENT_H
#define MANAGER_DEPLOYMENT_H
#include "manager/core.h"

struct instance;
struct job;

struct deployment *deployment_new(struct model *model);
void deployment_free(struct deployment *d);

/* Loads it unless it is loading, loaded, or waits after a crash. */
void deployment_want(struct deployment *d);
/* The same, at once also after a crash: an operator asked. */
void deployment_ask(struct deployment *d);
/* Lets accepted jobs finish, at most drain_ns, and ends its instances. Whoever
 * waits in unload_waiters hears when nothing is left. */
void deployment_unload(struct deployment *d);
/* A ready one: what flies finishes, its instances end; what waits, and what
 * comes from now on, waits until it has been loaded again. */
void deployment_rest(struct deployment *d, enum unload_cause cause,
                     const char *reason);
/* Its memory is reserved (err NULL), or can not be had. */
void deployment_admitted(struct deployment *d, const struct err *err);
bool deployment_quiet(const struct deployment *d); /* idle, nothing left */
/* Sends what may be sent. */
void deployment_dispatch(struct deployment *d);

/* From its instances. */
void deployment_ready(struct deployment *d, struct instance *i);
/* One was reaped. why NULL: its end was wanted; refused: it said itself why it
 * will not serve the model. */
void deployment_lost(struct deployment *d, const struct err *why, bool refused);
/* An instance answered a job: it works. */
void deployment_answered(struct deployment *d);
/* A job's loss of patience, or of its client, may end a drain. */
void deployment_look(struct deployment *d);

uint64_t deployment_pause_ns(const struct deployment *d); /* what is left */

#endif
