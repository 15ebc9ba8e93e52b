/* daemon/daemon_parts.h - what the daemon consists of, for its own files. */
#ifndef DAEMON_DAEMON_PARTS_H
#define DAEMON_DAEMON_PARTS_H
#include "api/api.h"
#include "base/fs.h"
#include "base/loop.h"
#include "daemon/daemon.h"
#include "daemon/hub_variables.h"
#include "daemon/level.h"
#include "daemon/listen.h"
#include "daemon/settings.h"
#include "manager/manager.h"

enum daemon_phase {
    DAEMON_STARTS, /* the manager looks at what is here */
    DAEMON_RUNS,
    DAEMON_COLLECTS, /* bodies that came whole are still being read */
    DAEMON_DRAINS,   /* the manager does */
    DAEMON_ANSWERS,  /* the last answers go out */
    DAEMON_ENDS,
};

struct daemon {
    struct settings settings;
    char home[FS_PATH_MAX], socket[FS_PATH_MAX], cache[FS_PATH_MAX],
        programs[FS_PATH_MAX];
    const char *isa; /* the cap that was asked for; "" = none */
    char level[LEVEL_MAX];
    struct hub_variables hub;
    bool public_ok, beyond_loopback, owns_socket, inherited_unix;
    int threads, lock_fd;
    struct listening listening[LISTEN_MAX + 2];
    size_t n_listening, n_texts;
    const char *texts[LISTEN_MAX + 3]; /* NULL-terminated */
    const char **hosts;
    const char **backends; /* folders that hold some; NULL-terminated */
    char *backends_text;   /* what they point into */

    struct loop *loop;
    struct helper *helper;
    struct manager_world *world;
    struct manager *manager;
    struct http *http;
    struct api *api;

    struct loop_fd signals;
    struct loop_timer watchdog, deadline, last_events;
    uint64_t watchdog_ns;
    enum daemon_phase phase;
};

/* setup.c */
int setup_config(struct daemon *d, const struct daemon_options *o,
                 struct err *err);
/* After d->programs is known. */
int setup_backends(struct daemon *d, struct err *err);
int setup_listen(struct daemon *d, struct err *err);
struct http_config setup_http(struct daemon *d);
struct manager_config setup_manager(struct daemon *d);
struct api_config setup_api(struct daemon *d);

#endif
