/* manager/instance.h - one worker process and the jobs that it has.
 *
 * Whatever it says is outside data: a job or an item that it was not given, an
 * answer given twice, a frame out of its turn ends it.
 */
#ifndef MANAGER_INSTANCE_H
#define MANAGER_INSTANCE_H
#include "manager/child.h"
#include "manager/core.h"

enum { INSTANCE_TASKS_MAX = MANAGER_TASKS_MAX };

/* A job as it was sent. job NULL: it was cancelled or failed meanwhile; the
 * instance still holds it until it has answered every item. */
struct flight {
    struct list link; /* in instance.flights */
    struct instance *instance;
    uint64_t id; /* the job's, in frames */
    struct job *job;
    size_t n, n_left;
    uint16_t *item; /* [n] the job's item at each place of the frame */
    bool *answered; /* [n] */
    uint64_t bytes; /* of the credit */
    bool chunks;    /* it may send some, */
    uint64_t room;  /* so many bytes of them */
};

struct instance {
    struct list link; /* in deployment.instances */
    struct manager *m;
    struct deployment *d;
    struct child *child;
    uint64_t id;
    enum backend backend;
    enum instance_state state;
    struct list flights;
    uint32_t n_flights;
    uint64_t credit_jobs, credit_bytes;
    struct budget_vector reserved;
    uint64_t real_bytes, born_ns, load_ns;
    char task[64], dtype[64], level[64], device[16];
    char tasks[INSTANCE_TASKS_MAX][64];
    size_t n_tasks;
    uint32_t dim;
    struct wire_node *sandbox, *extra;
    struct loop_timer timer; /* the next PING; the limit of loading */
    uint64_t progress;       /* sum of its threads' counters */
    bool moved, ponged;      /* since the last PING */
    unsigned silent;         /* PINGs in a row without a sign of life */
    bool expected;           /* its end is wanted */
};

/* Spawns what the deployment's choice says; takes the reservation, also on
 * failure. Its files are the deployment's, until it has said HELLO. */
int instance_open(struct deployment *d, const struct budget_vector *reserved,
                  struct err *err) MUST_CHECK;
bool instance_can_take(const struct instance *i, const struct job *j);
bool instance_has_task(const struct instance *i, const char *task);
/* Sends the items that are not yet answered. */
void instance_run(struct instance *i, struct job *j);
/* The job is cancelled, failed or past its deadline: so tell the instance. */
void flight_forget(struct flight *f);
/* Its reader can hold more. */
void flight_credit(struct flight *f, uint64_t bytes);
/* DRAIN: it finishes what it has and exits. */
void instance_drain(struct instance *i);
void instance_kill(struct instance *i, const char *why);

#endif
