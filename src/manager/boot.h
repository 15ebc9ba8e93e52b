/* manager/boot.h - what the store knows and what the cache holds, at the start.
 */
#ifndef MANAGER_BOOT_H
#define MANAGER_BOOT_H
#include "manager/core.h"

/* In the background; manager.starting until it is done. */
void boot_begin(struct manager *m);
/* The first preload that is not ready; NULL: all are. */
const char *boot_waits_for(const struct manager *m);

#endif
