/* daemon/daemon.h - berthd from its start to its end.
 *
 * Start: home and its lock, configuration, limits, signals, helper, world,
 * manager, listeners, berth.json, ready. Stop, on SIGTERM or SIGINT: /readyz
 * says no; what had been sent by then is read and belongs to the manager; it
 * drains; the listeners take what is left in their backlogs and close; the last
 * answers go out; exit 0. A second signal ends the process at once, and the
 * kernel its children.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct daemon_options {
    const char *home, *config, *socket; /* NULL: not given */
    const char *const *listen;          /* [n_listen] */
    size_t n_listen;
    bool insecure_no_auth;
};

/* 0 after a graceful end; else err says why it did not start. */
int daemon_run(const struct daemon_options *options,
               struct err *err) MUST_CHECK;

#endif
