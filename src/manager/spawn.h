/* manager/spawn.h - from fork to exec.
 *
 * In the child nothing but async-signal-safe calls: the daemon has a helper
 * thread that may hold any lock at that moment.
 */
#ifndef MANAGER_SPAWN_H
#define MANAGER_SPAWN_H
#include "base/err.h"
#include <stdbool.h>

struct spawn {
    const char *path;
    const char *const *argv; /* NULL-terminated; the first is the name */
    bool first_to_die;       /* of what the kernel kills when memory is out */
};

/* The parent's ends: socket (blocking, close-on-exec), output (what it writes
 * to standard error, non-blocking), pidfd. */
struct spawned {
    int pid, pidfd, socket, output;
};
int spawn_child(const struct spawn *what, struct spawned *ret,
                struct err *err) MUST_CHECK;

#endif
