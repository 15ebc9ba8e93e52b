/* manager/room.h - memory for a load: reserved, or made free, or waited for.
 *
 * Whoever does not fit waits in one line; only its head is made room for, so
 * that two that wait never hold what the other needs. First a waiting
 * interpreter goes (manager/standby.h), then deployments that have nothing to
 * do, then, after some patience, busy ones, which are loaded again for what
 * waits for them. Only if that is enough is anybody sent away.
 */
#ifndef MANAGER_ROOM_H
#define MANAGER_ROOM_H
#include "manager/core.h"

/* For what the deployment's choice needs. 1: it is reserved. 0: it waits;
 * deployment_admitted() follows. E_INSUFFICIENT_MEMORY with the numbers: it
 * could not be had. */
int room_take(struct deployment *d, struct err *err) MUST_CHECK;
/* It waits no longer. */
void room_leave(struct deployment *d);
bool room_waits(const struct deployment *d);
/* Memory came back, or somebody may go now: looks at the line, later. */
void room_stir(struct manager *m);
void room_init(struct manager *m);

#endif
