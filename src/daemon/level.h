/* daemon/level.h - which kernel level the inference servers use here. */
#ifndef DAEMON_LEVEL_H
#define DAEMON_LEVEL_H
#include "base/err.h"

enum { LEVEL_MAX = 32 };

/* Asks berth-worker in the folder of programs, since the daemon itself knows no
 * kernels: the level under the cap ("" = none) into ret[LEVEL_MAX]. A cap that
 * is no level is refused. Waits for the answer, some milliseconds: before the
 * loop turns. */
int level_ask(const char *programs, const char *cap, char *ret,
              struct err *err) MUST_CHECK;

#endif
