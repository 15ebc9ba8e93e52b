/* manager/jobs.h - a job from manager_submit() until its reply has been told.
 *
 * Phases: it waits in its deployment's queue; or, after the death of the
 * instance that had it, among the suspects; or is in flight (manager/instance.h
 * holds the flight, which outlives a job that was cancelled); or its failure
 * waits to be told. Items that were answered are not run again.
 */
#ifndef MANAGER_JOBS_H
#define MANAGER_JOBS_H
#include "manager/core.h"

enum job_phase { JOB_QUEUED, JOB_SUSPECT, JOB_FLYING, JOB_ENDING };

struct job {
    struct list by_id; /* in manager.jobs */
    struct list link;  /* in the queue, the suspects or manager.ending */
    uint64_t id;
    struct deployment *d;
    enum job_phase phase;
    struct line_caller *queued_by;
    struct flight *flight;
    struct arena arena;        /* everything below */
    const char *caller, *task; /* task "" = the model's default */
    struct str params;
    struct item *items;
    size_t n_items, n_left; /* n_left: not yet answered */
    size_t n_refused;       /* items answered with an error */
    bool *answered;         /* [n_items] */
    uint64_t bytes;         /* of the inputs: what an inference server counts */
    uint64_t held; /* what it takes to hold it: what the queue counts */
    uint64_t deadline_ns, submitted_ns;
    uint64_t credit; /* bytes of chunks that its reader can hold */
    bool began;      /* a chunk has been told */
    int priority;
    unsigned crashes; /* of instances that had it in flight */
    struct manager_reply reply;
    struct loop_timer timer; /* the deadline */
    struct err *err;         /* while ending */
};

struct job *job_find(const struct manager *m, uint64_t id);
/* Takes it from wherever it is, and has its failure told later. */
void job_fail(struct job *j, int code, const struct err *err);
/* Tells the failures that wait. */
void jobs_tell(struct manager *m);
/* Its instance died while it was in flight. blames: it may be the cause. */
void job_crashed(struct job *j, const char *reason, bool blames);
/* An item came back. parts NULL: it failed with err. */
void job_item_done(struct job *j, const struct manager_result *result);
void job_chunk(struct job *j, const struct manager_chunk *chunk);
void job_item_failed(struct job *j, size_t item, const struct err *err);
/* All items answered: tells done() and frees. */
void job_finish(struct job *j);
void jobs_fail_all(struct deployment *d, int code, const struct err *err);
bool jobs_any(const struct deployment *d); /* that wait */

#endif
