/* daemon/home.h - the daemon's folder: one daemon in it, and where it listens.
 */
#ifndef DAEMON_HOME_H
#define DAEMON_HOME_H
#include "base/err.h"
#include "base/str.h"

/* given, else BERTH_HOME, else the XDG state folder; absolute, into
 * out[FS_PATH_MAX]. */
int home_find(const char *given, char *(*env)(const char *name), char *out,
              struct err *err) MUST_CHECK;
/* Makes it, for its owner alone, and takes its lock: a descriptor, held until
 * it is closed. */
int home_open(const char *home, struct err *err) MUST_CHECK;
/* HOME/berth.json. */
int home_announce(const char *home, struct str json,
                  struct err *err) MUST_CHECK;
void home_leave(const char *home, int lock_fd);

#endif
