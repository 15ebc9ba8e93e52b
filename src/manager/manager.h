/* manager/manager.h - the ModelManager: the one object the daemon has for
 * models.
 *
 * Owns what is registered, what is loaded, the queue and every job in it, the
 * reservations of memory and the children. One per process, created by daemon/,
 * passed around, never a global. The loop's thread only; every callback below
 * comes in that thread, and never from inside the call that registered it.
 *
 * Three kinds of object, each with a table of allowed moves (manager/states.h):
 * a model@revision (files), an instance (one process), a deployment (a wish).
 * Every move is checked, logged and published as an event.
 */
#ifndef MANAGER_MANAGER_H
#define MANAGER_MANAGER_H
#include "base/err.h"
#include "base/str.h"
#include "ipc/job.h"
#include <stdbool.h>
#include <stdint.h>

struct manager;
struct manager_world; /* manager/world.h: clock, timer, children, files, store
                       */

enum {
    MANAGER_NAME_MAX = 256,
    MANAGER_RUNTIME_MAX = 8,
    MANAGER_TASKS_MAX = 16,
    MANAGER_PARAMS_MAX = 160 << 10, /* bytes of a job's parameters: what a frame
                                       has room for beside its inputs */
    MANAGER_PART_BYTES = 256, /* what holding a part of an input takes, beside
                                 its bytes */
};

/* One entry of the configuration's list of models; NULL strings are unset. */
struct manager_model_config {
    const char *name;     /* Hub id or an added name */
    const char *revision; /* default "main" */
    const char *alias;
    const char *dtype;   /* default "exact" */
    const char *device;  /* default "cpu" */
    const char *backend; /* "auto" (default), "native", "transformers" */
    const char *task;    /* the default one of its tasks */
    bool preload, pin;
    int64_t keep_alive_s; /* idle for so long, it is unloaded; -1: never; 0: as
                             manager_config says (preload: never) */
    int priority;         /* 1..9, 0 = 5: the lowest make room first */
};

struct manager_config {
    uint64_t memory_bytes; /* budget for all children together */
    int threads, cores;    /* of a worker; of the machine */
    uint32_t queue_jobs;   /* per deployment */
    uint64_t queue_bytes;  /* per deployment; of inputs, parameters, and
                              MANAGER_PART_BYTES for each part */
    uint64_t job_deadline_ns, drain_ns;
    uint64_t load_base_ns, load_per_100mb_ns;
    int64_t keep_alive_s;  /* -1: never */
    int standby;           /* interpreters that wait once the Transformers
                              backend is in use */
    bool degraded_sandbox; /* a weaker sandbox is acceptable */
    const char *isa;       /* cap of the kernel level, "" = none */
    const char *endpoint;  /* of the Hub */
    const char *cache;     /* HF_HUB_CACHE */
    /* What the daemon's environment says for downloads; NULL = unset. */
    const char *proxy, *no_proxy, *ca_file;
    bool offline;
    const struct manager_model_config *models;
    size_t n_models;
};

/* Copies the configuration. Loads what the store knows and finds what the cache
 * holds through the world, in the background; preloads then begin. */
int manager_new(struct manager **ret, const struct manager_config *config,
                const struct manager_world *world, struct err *err) MUST_CHECK;
/* After manager_drain() has answered. Frees everything. */
void manager_free(struct manager *m);

/* ---- outcomes ---------------------------------------------------------- */

/* How an operation ended: code 0, or negative with err. Exactly once. */
typedef void manager_done_fn(void *ctx, int code, const struct err *err);

/* ---- models ------------------------------------------------------------ */

struct manager_pull {
    const char *name;  /* [org/]name[@revision] */
    const char *token; /* the caller's, or NULL; copied, wiped after use */
};
/* Begins a pull, or joins the one that runs for the same model@revision. Its
 * progress is in events of type "pull". *ret_id names it for
 * manager_cancel_pull. Ends at once with 0 when everything is there already. */
int manager_pull(struct manager *m, const struct manager_pull *pull,
                 manager_done_fn *done, void *ctx, uint64_t *ret_id,
                 struct err *err) MUST_CHECK;
/* Partial files stay. The pull's callers get E_CANCELLED. id: only that one; 0:
 * the one that runs. */
int manager_cancel_pull(struct manager *m, const char *name, uint64_t id,
                        struct err *err) MUST_CHECK;

/* The inspector's answer; strings live until the callback returns. */
struct manager_plan {
    const char *name, *revision; /* revision: the commit */
    bool local;                  /* its files are here */
    bool fits;                   /* in what is free of the budget now */
    uint64_t need_bytes, free_bytes, budget_bytes;
    const char *backend, *backend_reason; /* as in manager_model_view */
    uint64_t download_bytes;              /* of a model that is not here */
    const struct wire_node *frame; /* the PLAN frame's body (ipc/frame.h) */
};
typedef void manager_plan_fn(void *ctx, const struct manager_plan *plan,
                             const struct err *err); /* plan NULL: err */
int manager_plan(struct manager *m, const char *name, const char *token,
                 manager_plan_fn *done, void *ctx, struct err *err) MUST_CHECK;

/* Registers a local folder in place under a name that is free. */
int manager_add(struct manager *m, const char *name, const char *dir,
                manager_done_fn *done, void *ctx, struct err *err) MUST_CHECK;
/* alias -> target (a model, or another's alias resolved now). Durable when done
 * answers. target NULL removes the alias. */
int manager_alias(struct manager *m, const char *alias, const char *target,
                  manager_done_fn *done, void *ctx, struct err *err) MUST_CHECK;
/* Unloads, then removes the files that berth pulled (all: also what it found),
 * or forgets an added folder. E_CONFLICT for what the configuration declares.
 */
int manager_remove(struct manager *m, const char *name, bool all,
                   manager_done_fn *done, void *ctx,
                   struct err *err) MUST_CHECK;

/* Hashes the files of a model again and compares them with what the Hub named;
 * what serves it goes on meanwhile. E_WRONG_HASH names the file; from then on
 * the model is not served. */
int manager_verify(struct manager *m, const char *name, manager_done_fn *done,
                   void *ctx, struct err *err) MUST_CHECK;

/* ---- deployments ------------------------------------------------------- */

/* What an operator wants of a deployment, beside that it be there; NULL, 0 and
 * false: as it was. What the configuration declares is E_CONFLICT, and so is
 * another backend, dtype or device while it is loaded. It stays so until the
 * daemon ends. */
struct manager_wish {
    const char *backend, *dtype, *device, *task;
    int64_t keep_alive_s; /* as in manager_model_config */
    int priority;         /* 1..9 */
    bool pin, unpin;
};
/* Answers when it is ready, or with why it is not. E_MODEL_NOT_FOUND says how
 * to pull; E_INSUFFICIENT_MEMORY has the numbers. What does not fit makes room
 * by unloading others: unpinned, lowest priority first, then the one that has
 * been idle for longest. wish may be NULL. */
int manager_load(struct manager *m, const char *name,
                 const struct manager_wish *wish, manager_done_fn *done,
                 void *ctx, struct err *err) MUST_CHECK;
/* Drains, then answers when the process has been reaped and its reservation
 * returned. */
int manager_unload(struct manager *m, const char *name, manager_done_fn *done,
                   void *ctx, struct err *err) MUST_CHECK;

/* ---- jobs -------------------------------------------------------------- */

struct manager_result {
    size_t item;
    const struct item *parts; /* the result; lives until the callback ends */
    const struct wire_node *result; /* DONE's result tree, or NULL */
    uint64_t tokens, generated;     /* of the input, of the output */
    bool truncated;
    uint64_t queue_ns, run_ns; /* in the worker */
};

/* A piece of an item's result; everything lives until the callback returns. */
struct manager_chunk {
    size_t item;
    const struct item *parts;
    const struct wire_node *result; /* CHUNK's result tree, or NULL */
    uint64_t bytes; /* of the credit; manager_credit() gives them back */
};

/* What the submitter hands down. Every item ends with exactly one of item() and
 * failed(item); a failure of the whole job is failed(ctx, -1). Then done(),
 * exactly once, last. None of them after manager_cancel(). */
struct manager_reply {
    void (*item)(void *ctx, const struct manager_result *result);
    void (*failed)(void *ctx, long item, const struct err *err);
    void (*done)(void *ctx);
    void *ctx;
    /* Part of an item's result, before item(); NULL: none are wanted. Once one
     * has been told the job is not retried: if its instance dies, it fails. */
    void (*chunk)(void *ctx, const struct manager_chunk *chunk);
};

struct manager_job {
    const char *model; /* name, name@revision, alias; or one of them and
                          "#native" or "#transformers": the same files served
                          by that backend beside what is deployed, as long as it
                          is used */
    const char *task;  /* NULL: the model's default */
    struct str params; /* an encoded CBOR map, or empty; what an inference
                          server would refuse to read is E_INVALID_REQUEST */
    const struct item *items;
    size_t n_items;
    uint64_t deadline_ns; /* absolute; 0: the configuration's */
    int priority;         /* 0..9; 5 is usual */
    const char *caller;   /* for fairness; may be "" */
    uint64_t credit;      /* bytes of chunks that its reader can hold now, at
                             least FRAME_CHUNK_MAX */
    struct manager_reply reply;
};

/* Copies everything. Loads the model first if it is registered and idle.
 * E_QUEUE_FULL (retry_after_s of manager_retry_after), E_MODEL_NOT_FOUND,
 * E_UNSUPPORTED_TASK, E_DRAINING, E_BACK_OFF, E_CRASH_LOOP, ... */
int manager_submit(struct manager *m, const struct manager_job *job,
                   uint64_t *ret_id, struct err *err) MUST_CHECK;
/* Drops a job wherever it is; its reply is not called any more. */
void manager_cancel(struct manager *m, uint64_t job_id);
/* Its reader has taken so many bytes of chunks, and can hold as many more. A
 * job that has ended meanwhile is no offence. */
void manager_credit(struct manager *m, uint64_t job_id, uint64_t bytes);
/* How many seconds a caller who was refused should wait, from the measured rate
 * or the pause that runs. >= 1. */
unsigned manager_retry_after(const struct manager *m, const char *model);

/* ---- looking ----------------------------------------------------------- */

struct manager_instance_view {
    uint64_t id;
    int pid;
    const char *state, *backend, *dtype, *device, *level, *why;
    uint64_t reserved_bytes, real_bytes;
    uint32_t jobs; /* in flight */
    uint64_t age_ns, load_ns;
    const struct wire_node *sandbox; /* as the child reported it; may be NULL */
    const struct wire_node *extra;   /* READY's; may be NULL */
};
struct manager_model_view {
    const char *name, *revision, *commit,
        *alias;                      /* alias: first one, or NULL */
    const char *const *aliases;      /* NULL-terminated */
    const char *model_state, *state; /* model's; deployment's */
    const char *reason;              /* of failed, back_off, ...; "" */
    const char *last_words;          /* of its last worker that died; "" */
    const char *origin;              /* "pulled", "found", "added", "config" */
    const char *architecture, *model_type, *task;
    const char *tasks[MANAGER_TASKS_MAX + 1];
    uint64_t file_bytes, need_bytes; /* on disk; in memory (0: not yet known) */
    uint32_t context, dim;
    bool preload, pin;
    const char *backend; /* that serves it, or would; "" = not yet known */
    const char *backend_wanted; /* "auto", "native", "transformers" */
    const char *backend_reason; /* why it was chosen; "" = not yet known */
    int64_t keep_alive_s;       /* -1: never unloaded for being idle */
    int priority;
    uint64_t idle_ns; /* since its last job; 0 while it has any */
    uint64_t loads, unloads_idle, unloads_requested, unloads_evicted,
        unloads_crashed;
    uint32_t queued_jobs, running_jobs, restarts;
    uint64_t done_jobs, failed_jobs, truncated_items, tokens, generated;
    uint64_t retry_after_ms; /* while in back_off or crash_loop */
    const struct manager_instance_view *instances;
    size_t n_instances;
};
typedef void manager_view_fn(void *ctx, const struct manager_model_view *view);
/* Sorted by name. The view lives until the callback returns. */
void manager_list(struct manager *m, manager_view_fn *fn, void *ctx);
/* 0, or -E_MODEL_NOT_FOUND with the sentence that says how to pull it. */
int manager_show(struct manager *m, const char *name, manager_view_fn *fn,
                 void *ctx, struct err *err) MUST_CHECK;
/* The registered name that a request path names: the longest registered name or
 * alias that path begins with (at a '/' or at its end). Its length, or 0. */
size_t manager_match(const struct manager *m, struct str path);
/* The only one registered, or NULL. */
const char *manager_only_model(const struct manager *m);

struct manager_status {
    uint64_t memory_budget, memory_reserved;
    uint32_t standby;       /* interpreters that wait, or import */
    uint32_t standby_ready; /* those that have imported */
    int standby_pid;        /* of the first; 0: none */
    uint32_t models, deployments_ready, instances, jobs_queued, jobs_running;
    uint64_t jobs_done, jobs_failed, jobs_retried, worker_deaths, truncations;
    bool starting; /* what the store and the cache hold is being read: until
                      then no name is known (E_LOADING) */
    bool draining, preloads_ready;
    const char *waiting_for; /* the first preload that is not ready, or NULL */
};
void manager_status(const struct manager *m, struct manager_status *ret);

/* ---- events ------------------------------------------------------------ */

struct manager_event {
    uint64_t seq, wall_ms;
    const char *type; /* "model", "deployment", "instance", "pull" */
    const char *model;
    const char *from, *to;      /* states; "" for progress */
    const char *reason;         /* "" = none */
    uint64_t done, total, rate; /* of a pull: bytes, bytes, bytes a second */
    const char *file;           /* of a pull: "" = none */
    uint64_t instance;          /* 0 = none */
};
typedef void manager_event_fn(void *ctx, const struct manager_event *event);
struct manager_subscription;
/* Replays the events after since that are still kept (the last 1,024), then
 * goes on with new ones. since UINT64_MAX: new ones only. */
struct manager_subscription *manager_subscribe(struct manager *m,
                                               uint64_t since,
                                               manager_event_fn *fn, void *ctx);
void manager_unsubscribe(struct manager *m, struct manager_subscription *s);

/* A reason "idle for 300 s" or "to make room for NAME" stands with the move of
 * what was unloaded for it.
 *
 * Lifecycle hooks: the event stream above, with these moves: deployment to
 * "ready" (loaded), to "draining" (unloading), to "failed"; and "shutdown". */

/* The last lines that a model's workers wrote, oldest first; "" when none. */
struct str manager_log(struct manager *m, const char *name);

/* No new jobs (E_DRAINING); finishes what was accepted up to drain_ns, unloads
 * everything, ends pulls (partial files stay), then done(0). */
void manager_drain(struct manager *m, manager_done_fn *done, void *ctx);

#endif
