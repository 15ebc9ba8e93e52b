/* manager/standby.h - interpreters that wait, their imports done, for a model.
 *
 * Starting one takes seconds, loading a small model tenths: once the
 * Transformers backend has been used, some wait (transformers.standby). Each
 * may read the cache and the added folders that were known when it started;
 * LOAD narrows that to one model. It has a reservation of its own and goes,
 * before anybody else, when memory is needed.
 */
#ifndef MANAGER_STANDBY_H
#define MANAGER_STANDBY_H
#include "manager/child.h"

struct standby;

void standby_init(struct manager *m);
/* One may be started: a load is over, memory came back. */
void standby_stir(struct manager *m);
/* A model is served by Transformers: from now on some wait. */
void standby_in_use(struct manager *m);
/* No more of them, and none that waits. */
void standby_stop(struct manager *m);

/* The one that the deployment's next instance may be; NULL: none. */
struct standby *standby_for(const struct deployment *d);
struct budget_vector standby_reserved(const struct standby *s);
/* Its reservation goes back; standby_adopt() must follow. s may be NULL. */
void standby_give(struct standby *s);
/* Its process becomes the owner's, in that role. Also what it said about its
 * sandbox (or NULL), to be freed by the caller. */
struct child *standby_adopt(struct standby *s, const struct child_role *role,
                            void *owner, struct model *model,
                            struct wire_node **ret_sandbox);
/* All but one end. */
void standby_yield(struct manager *m, const struct standby *but);
/* What all of them have reserved. */
void standby_add_reserved(const struct manager *m, struct budget_vector *sum);
/* How many wait, how many of them have imported, the first one's process. */
void standby_see(const struct manager *m, struct manager_status *ret);

#endif
