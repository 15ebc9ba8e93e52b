/* manager/verification.h - files that berth did not fetch itself are hashed
 * once. */
#ifndef MANAGER_VERIFICATION_H
#define MANAGER_VERIFICATION_H
#include "manager/core.h"

/* Moves the model to verifying (unless it is there) and puts it in the line;
 * first: at its head. model.verify_waiters hear how it ended. */
void verification_start(struct model *model, bool first);
/* Ends the one that runs and forgets those that wait (the daemon drains). */
void verification_stop(struct manager *m);

#endif
