/* daemon/limits.h - what this process and this machine may use. */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H
#include <stdint.h>

/* The smaller of the cgroup's limit and the memory available now, less 10 %. */
uint64_t limits_memory(void);
/* Cores that this process may run on. */
int limits_cores(void);
/* Raises the soft limit of descriptors to the hard one; returns it. */
uint64_t limits_descriptors(void);

#endif
