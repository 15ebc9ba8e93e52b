/* manager/child.h - what every child has in common.
 *
 * Spawned, greeted (HELLO both ways, in time, of the right kind and version),
 * listened to (LOG and its standard error go to the log and to its model's
 * ring, its last words are kept), ended. Freed after role->gone().
 */
#ifndef MANAGER_CHILD_H
#define MANAGER_CHILD_H
#include "manager/core.h"

struct child;

/* A machine under load starts a process slowly. */
enum { CHILD_HELLO_S = 10 };

/* One table for each kind of child. */
struct child_role {
    enum world_program program;
    const char *kind;  /* what its HELLO must say */
    const char *label; /* in the log: "worker" */
    int hello_s;       /* how long it may take to say HELLO */
    /* It said HELLO: send it its work. */
    int (*greeted)(struct child *c, struct err *err);
    /* Any frame but HELLO, LOG, and ERROR of the child itself. */
    int (*frame)(struct child *c, struct frame *f, struct err *err);
    /* Reaped. reason: how it ended, with what it had said about it. */
    void (*gone)(struct child *c, const struct world_exit *how);
};

struct child {
    struct list link; /* in manager.children */
    struct manager *m;
    const struct child_role *role;
    void *owner;         /* of the role; NULL: nobody cares any more */
    struct model *model; /* whose ring its words go to; or NULL */
    struct world_child *proc;
    uint64_t id;
    int pid;
    bool greeted, doomed;
    struct err error; /* what it said about itself; code 0 = nothing */
    struct err broke; /* how it broke the protocol; code 0 = it did not */
    char words[LOG_WORDS_MAX + 1]; /* its last ones */
    size_t n_words;
    uint64_t second; /* of the clock, whose lines are counted */
    unsigned lines;
    struct loop_timer timer; /* HELLO in time; SIGKILL */
};

/* launch: of a WORLD_TRANSFORMERS, else NULL. memory: bytes it may use, 0 = no
 * limit. */
int child_open(struct manager *m, const struct child_role *role,
               const struct world_launch *launch, void *owner,
               struct model *model, uint64_t memory, struct child **ret,
               struct err *err) MUST_CHECK;
/* It serves another purpose from now on. It had no model before. */
void child_adopt(struct child *c, const struct child_role *role, void *owner,
                 struct model *model);
/* SIGKILL. */
void child_kill(struct child *c);
/* signal now, SIGKILL after some time. */
void child_end(struct child *c, int signal, uint64_t kill_after_ns);
/* A frame without fields but those that put() adds. */
struct wire_map child_begin(struct child *c, enum frame_type type,
                            uint64_t job);
int child_send(struct child *c, struct wire_map *m, const int *fds, int n_fds);
void child_say(struct child *c, enum frame_type type, uint64_t job);
/* The sentence for what ended it. */
int child_reason(const struct child *c, const struct world_exit *how,
                 struct err *err);

#endif
