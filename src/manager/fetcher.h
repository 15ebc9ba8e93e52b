/* manager/fetcher.h - one job of berth-fetch: pull, headers, verify, remove. */
#ifndef MANAGER_FETCHER_H
#define MANAGER_FETCHER_H
#include "manager/core.h"

struct fetcher;

/* Writes the members of the job's params. */
typedef void fetcher_params_fn(void *ctx, struct wire_map *params);
typedef void fetcher_status_fn(void *ctx, const struct wire_node *status);
/* done: the DONE frame, whose descriptors may be taken; NULL: err. */
typedef void fetcher_done_fn(void *ctx, struct frame *done,
                             const struct err *err);

struct fetcher_job {
    const char *task;
    struct model *model; /* whose log its words go to; or NULL */
    fetcher_params_fn *params;
    fetcher_status_fn *status; /* or NULL */
    fetcher_done_fn *done;     /* exactly once, unless dropped */
    void *ctx;
};
/* endpoint, offline, proxy, no_proxy, ca_file. */
void fetcher_put_network(const struct manager *m, struct wire_map *params);

int fetcher_open(struct manager *m, const struct fetcher_job *job,
                 struct fetcher **ret, struct err *err) MUST_CHECK;
/* Asks it to stop; done() follows with E_CANCELLED or what came first. */
void fetcher_cancel(struct fetcher *f);

#endif
