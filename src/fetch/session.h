/* fetch/session.h - one job, and the daemon that asked for it.
 *
 * Made by fetch_serve(), passed down to the job; owns the channel and the
 * parameters. One thread.
 */
#ifndef FETCH_SESSION_H
#define FETCH_SESSION_H
#include "base/fs.h"
#include "hub/hub_name.h"
#include "ipc/channel.h"

enum { TOKEN_MAX = 1024, URL_MAX = 4096 };

/* JOB params, checked and copied; fetch.h says what they mean. */
struct fetch_params {
    struct hub_name name;
    char commit[HUB_COMMIT_MAX]; /* "" = not given */
    char endpoint[URL_MAX];      /* without a '/' at its end */
    char token[TOKEN_MAX];       /* wiped by params_fini() */
    char cache[FS_PATH_MAX], folder[FS_PATH_MAX];
    char proxy[URL_MAX], no_proxy[URL_MAX], ca_file[FS_PATH_MAX];
    bool offline;
    struct str *files; /* [n_files] of the wanted; none = hub_select() */
    size_t n_files;
};
int params_read(const struct wire_node *map, struct fetch_params *ret,
                struct err *err) MUST_CHECK;
void params_fini(struct fetch_params *p);

/* What STATUS says; the job keeps it up to date. */
struct progress {
    const char *phase;
    const char *file;
    uint64_t done, all;
};

struct session {
    struct channel *channel;
    struct fetch_params params;
    struct progress progress;
    char task[64];
    uint64_t job;
    bool greeted, degraded, cancelled, gone, draining;
    /* of the STATUS sent last; marks: of the rate */
    const char *said_phase;
    uint64_t said_ns, mark_ns, mark_bytes, rate;
};

/* Between two pieces of work, at least every 100 ms: reads what the daemon says
 * and tells it how far the job is. -E_CANCELLED: stop, keep partial files. */
int session_tick(struct session *s, struct err *err) MUST_CHECK;
/* A phase begins: said at once. */
void session_phase(struct session *s, const char *phase);

/* Begins and ends DONE; result: a map that the job fills. */
struct wire_map session_result(struct session *s, struct wire_map *done);
int session_done(struct session *s, struct wire_map *done,
                 struct wire_map *result, const int *fds, int n_fds,
                 struct err *err) MUST_CHECK;

/* The jobs. Each answers DONE itself, or fails with its sentence. A pull that
 * is offline is offline_run(). */
int pull_run(struct session *s, struct err *err) MUST_CHECK;
int offline_run(struct session *s, struct err *err) MUST_CHECK;
int headers_run(struct session *s, struct err *err) MUST_CHECK;
int verify_run(struct session *s, struct err *err) MUST_CHECK;
int remove_run(struct session *s, struct err *err) MUST_CHECK;

#endif
