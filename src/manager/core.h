/* manager/core.h - the manager's own objects, shared by the files of its core.
 *
 * A model holds at most one deployment, a deployment holds instances and a
 * queue, an instance holds the jobs in flight (manager/instance.h). All of them
 * live in the manager's lists; an object that asynchronous work still refers to
 * is kept until that work has come back (model.busy).
 */
#ifndef MANAGER_CORE_H
#define MANAGER_CORE_H
#include "base/arena.h"
#include "base/list.h"
#include "manager/backoff.h"
#include "manager/budget.h"
#include "manager/choice.h"
#include "manager/events.h"
#include "manager/log_ring.h"
#include "manager/manager.h"
#include "manager/plans.h"
#include "manager/poison.h"
#include "manager/states.h"
#include "manager/waiting_line.h"
#include "manager/wanted.h"
#include "manager/world.h"

enum {
    CORE_ALIASES_MAX = 4096,
    CORE_MODELS_MAX = 16384,
    CORE_JOB_BUCKETS = 1024,
    CORE_SECOND_NS = 1000000000,
    CORE_MS_NS = 1000000,
};

struct manager {
    struct manager_config config; /* its strings are in the arena */
    struct arena arena;
    const struct manager_world *w;
    struct list models;   /* by name */
    struct list variants; /* models, too (manager/variants.h) */
    struct list deployments;
    struct list aliases; /* by name */
    size_t n_models, n_aliases;
    struct list children; /* manager/child.h: not yet reaped */
    struct list verifies; /* models that wait for their verification */
    struct model *verifying;
    struct budget budget;
    struct list room; /* deployments that wait for memory (manager/room.h) */
    struct loop_timer room_timer;
    struct list standbys; /* manager/standby.h */
    struct loop_timer standby_timer;
    struct backoff standby_backoff;
    uint64_t standby_from_ns; /* not before; UINT64_MAX: no more */
    bool standby_used;        /* the backend has served a model */
    struct events events;
    struct poison poison;
    struct list jobs[CORE_JOB_BUCKETS]; /* by id */
    struct list ending;                 /* jobs whose failure is to be told */
    struct list answers;                /* outcomes to be told */
    struct loop_timer later;            /* tells them */
    struct loop_timer sweep;            /* frees models that are absent */
    uint64_t last_id; /* of jobs, instances, pulls: never used twice */
    uint64_t n_done, n_failed, n_retried, n_deaths, n_truncated;
    int pending; /* calls to the world that have not come back */
    bool starting, draining;
    struct list drain_waiters;
    struct loop_timer drain_timer;
};

struct model {
    struct list link; /* in manager.models */
    struct manager *m;
    bool variant;          /* manager/variants.h */
    char *name;            /* "id", or "id@revision" when it is not main */
    struct store_model is; /* id, revision, commit, origin, files as recorded */
    const struct manager_model_config *declared; /* or NULL */
    enum model_state state;
    struct err error; /* of failed */
    struct plan plan; /* of the files as recorded, once known */
    struct deployment *deployment;
    struct pull *pull;          /* the one that runs */
    struct fetcher *verifier;   /* while it is being hashed */
    struct list verify_link;    /* in manager.verifies */
    struct list verify_waiters; /* called when it is no longer verifying */
    struct list remove_waiters;
    bool removes_all;
    bool surveyed; /* asked for its missing plan, once */
    int busy;      /* callbacks under way that refer to it */
    struct log_ring log;
    char last_words[LOG_WORDS_MAX + 1];
};

struct alias {
    struct list link;
    char *name, *target; /* target: a model's name */
    bool declared;       /* by the configuration: not in the store */
};

enum unload_cause {
    UNLOAD_IDLE,
    UNLOAD_REQUESTED,
    UNLOAD_EVICTED,
    UNLOAD_CRASHED,
    UNLOAD_CAUSES
};

struct deployment {
    struct list link; /* in manager.deployments */
    struct manager *m;
    struct model *model;
    enum deployment_state state;
    struct wanted wanted;
    struct choice choice;  /* of the last load; backend AUTO: none yet */
    struct list instances; /* not yet reaped */
    struct waiting_line queue;
    struct list suspects; /* jobs of instances that died: one at a time */
    struct list load_waiters, unload_waiters;
    struct cache_files files; /* while loading */
    struct inspection *inspecting;
    bool opening;          /* files are being opened */
    bool verified;         /* in this load, once */
    bool ending;           /* unloading, or the load is being given up */
    bool asked;            /* to be loaded again once it is idle */
    bool waiting;          /* for the verification of its model */
    bool rests;            /* unloaded, but for what waits it is loaded again */
    struct list room_link; /* in manager.room */
    uint64_t room_ns;      /* since when it waits for memory */
    struct standby *standby; /* what its next instance is to be; or NULL */
    uint32_t n_jobs;         /* accepted and not over */
    uint64_t idle_ns;        /* since when it has none */
    uint64_t owed_id;        /* jobs up to it are what it was loaded for ... */
    uint32_t n_owed;         /* ... and so many of them are not over */
    struct loop_timer idle_timer;
    uint64_t n_loads, n_unloads[UNLOAD_CAUSES];
    struct backoff backoff;
    struct loop_timer timer; /* the pause, or the end of the drain */
    struct err error;        /* why it failed, backs off, ... */
    uint32_t restarts;
    uint64_t n_done, n_failed, n_truncated, n_tokens, n_generated;
    uint64_t last_done_ns, job_ns; /* the measured time between two answers */
};

/* ---- manager.c: what every part needs ---- */

uint64_t core_now(const struct manager *m);
void core_timer_set(struct manager *m, struct loop_timer *t, uint64_t at_ns);
void core_timer_clear(struct manager *m, struct loop_timer *t);
/* Runs what waits to be told, at the end of what is being done now. */
void core_later(struct manager *m);

/* Someone who waits for an outcome. */
struct waiter {
    struct list link;
    manager_done_fn *done;
    void *ctx;
    int code;
    struct err err;
};
void waiter_add(struct list *waiters, manager_done_fn *done, void *ctx);
/* Tells one, or all of a list, later. code 0 or negative; err may be NULL. */
void core_answer(struct manager *m, manager_done_fn *done, void *ctx, int code,
                 const struct err *err);
void waiters_answer(struct manager *m, struct list *waiters, int code,
                    const struct err *err);

/* Moves a state: checked against its table, logged, published. */
void model_move(struct model *model, enum model_state to, const char *reason);
void deployment_move(struct deployment *d, enum deployment_state to,
                     const char *reason);

/* A call to the world began or came back. */
void core_enter(struct manager *m, struct model *model);
void core_leave(struct manager *m, struct model *model);
/* Looks whether the drain is over. */
void core_settle(struct manager *m);

#endif
