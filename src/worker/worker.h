/* worker/worker.h - berth-worker: one model in a process of its own.
 *
 * Main thread: a loop on the channel to the daemon (descriptor 3), on the
 * completions of the engine and on SIGTERM. Compute threads only wake it.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H
#include "base/list.h"
#include "ipc/channel.h"
#include "ipc/job.h"
#include "pipeline/pipeline.h"
#include "sandbox/sandbox.h"

enum {
    WORKER_CHANNEL_FD = 3,
    WORKER_JOBS = 64,           /* taken at once */
    WORKER_BYTES = 64 << 20,    /* of their inputs */
    WORKER_RESERVE = 128 << 20, /* RLIMIT_DATA above what the daemon allows:
                                   stacks, the allocator's spare, the program */
};

enum worker_phase {
    WORKER_GREETING, /* the daemon's HELLO has not come */
    WORKER_WAITING,  /* LOAD has not come */
    WORKER_LOADING,
    WORKER_SERVING,
};

/* What LOAD said, kept until the loop gets to it. */
struct load {
    struct snapshot files;
    char dtype[64], device[64];
    char option[64]; /* the first of the options; "" = none */
    bool there;
};

struct worker {
    struct channel *channel;
    enum worker_phase phase;
    bool inspect;  /* answer with a PLAN and end */
    bool draining; /* take no job; end when none is left */
    bool over;     /* the channel has ended */
    int wake_fd, term_fd, statm_fd;

    struct { /* the daemon's HELLO */
        int threads;
        uint64_t memory;
        char isa[64];
        bool degraded;
    } hello;
    struct sandbox_rules rules;
    struct sandbox_state sandbox;
    uint32_t isa;
    struct crew *crew;

    struct load load;
    struct pipeline *pipeline;
    char signal_stack[16384];

    struct list jobs; /* of struct job, by priority, then as they came */
    size_t n_jobs;
};

/* launch.c: becomes the Transformers server. Returns what main() does when that
 * failed, or -EINVAL for arguments that it does not understand. */
int worker_launch(struct worker *w, int argc, char **argv);

/* start.c: from the first instruction to the worker's own HELLO. */
int worker_start(struct worker *w, struct err *err) MUST_CHECK;

/* Dies with the daemon. -EBADF: nobody started this as a child. */
int worker_follow(struct err *err) MUST_CHECK;

/* serve.c: until the end; what main() returns. */
int worker_serve(struct worker *w);
/* Says why (code 0: there is nothing to say), and frees all. */
void worker_end(struct worker *w, const struct err *err);
int worker_open(struct worker *w, struct err *err) MUST_CHECK;
/* Reads what is there, without waiting: 1; 0: the daemon has ended; or a code.
 */
int worker_read(struct worker *w, struct err *err) MUST_CHECK;
/* Takes what woke the loop: completions, SIGTERM. */
void worker_awake(struct worker *w);

/* loading.c */
int load_keep(struct worker *w, struct frame *f, struct err *err) MUST_CHECK;
int load_model(struct worker *w, struct err *err) MUST_CHECK;
void load_fini(struct load *l);

/* inspector.c */
int inspect_model(struct worker *w, struct err *err) MUST_CHECK;

/* workload.c */
int jobs_take(struct worker *w, struct frame *f, struct err *err) MUST_CHECK;
void jobs_cancel(struct worker *w, uint64_t id);
void jobs_credit(struct worker *w, uint64_t id, uint64_t bytes);
/* Answers what has ended and starts what there is room for. */
void jobs_run(struct worker *w);
/* Milliseconds until the next deadline of an item that waits; -1 = none. */
int jobs_timeout(const struct worker *w);
/* Cancels all and waits: nothing is under way afterwards. */
void jobs_end(struct worker *w);

/* say.c: frames to the daemon. What cannot be sent ends the worker. */
struct wire_map say_begin(struct worker *w, enum frame_type type, uint64_t job);
int say_end(struct worker *w, struct wire_map *m, const int *fds, int n_fds);
void say_error(struct worker *w, uint64_t job, int64_t item, /* -1: none */
               const struct err *err);
void say_log(struct worker *w, const char *level, const char *text);
void say_hello(struct worker *w);
void say_sandbox(struct worker *w);
void say_progress(struct worker *w, const char *phase, uint64_t done,
                  uint64_t all);
/* E_DAMAGED_FILE: what the model says of itself does not fit into a frame. */
int say_ready(struct worker *w, uint64_t load_ns, struct err *err) MUST_CHECK;
void say_credit(struct worker *w, uint64_t jobs, uint64_t bytes);
void say_pong(struct worker *w, uint64_t time_ns);
/* Waits until everything said is out, at most 2 s. */
void say_flush(struct worker *w);
uint64_t worker_memory(const struct worker *w); /* bytes resident */

/* values.c: trees of frames to trees of the pipeline, and back. */
int value_read(const struct wire_node *v, struct arena *a,
               const struct value **ret, struct err *err) MUST_CHECK;
void value_put(struct buf *out, const struct value *v);

/* last_words.c: a dying process names its signal on standard error. */
void last_words_arm(void *stack, size_t size);

#endif
