/* manager/idle.h - what has had nothing to do for long enough is unloaded. */
#ifndef MANAGER_IDLE_H
#define MANAGER_IDLE_H
#include "manager/core.h"

void idle_init(struct deployment *d);
/* It is ready, or what is wanted of it changed. */
void idle_watch(struct deployment *d);
/* A job of it came, or is over. */
void idle_job_begins(struct deployment *d);
void idle_job_ends(struct deployment *d, uint64_t job_id);

#endif
