/* manager/plans.h - what the inspector says about a model's files. */
#ifndef MANAGER_PLANS_H
#define MANAGER_PLANS_H
#include "hub/cache.h"
#include "manager/manager.h"

struct inspection;
struct model;

/* A PLAN frame, kept. body NULL: not known. */
struct plan {
    struct wire_node *body;
    char architecture[128], model_type[64], task[64];
    char tasks[MANAGER_TASKS_MAX][64];
    size_t n_tasks;
    uint32_t context, dim;
    uint64_t need_bytes; /* in memory, all told, of the native engine */
    uint64_t parameters, tensor_bytes; /* tensor_bytes: in the files */
};
void plan_fini(struct plan *p);
void plan_copy(struct plan *to, const struct plan *from);
bool plan_has_task(const struct plan *p, const char *task);
/* E_UNSUPPORTED_ARCHITECTURE with the inspector's sentences, or 0. */
int plan_supported(const struct plan *p, const char *name,
                   struct err *err) MUST_CHECK;

/* From a PLAN frame's body; threads: of a worker. */
int plan_read(struct plan *p, const struct wire_node *body, int threads,
              struct err *err) MUST_CHECK;

/* plan NULL: err. The plan may be taken by zeroing it. */
typedef void inspection_fn(void *ctx, struct plan *plan, const struct err *err);
/* Asks an inspector about files, which stay the caller's. model (or NULL) is
 * whose log its words go to. Answers once, unless it was dropped. */
int inspection_open(struct manager *m, struct model *model, const char *name,
                    const char *revision, const struct cache_files *files,
                    inspection_fn *done, void *ctx, struct inspection **ret,
                    struct err *err) MUST_CHECK;
void inspection_drop(struct inspection *i); /* no answer any more */

#endif
