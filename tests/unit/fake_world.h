/* tests/unit/fake_world.h - a world for the manager whose clock the test turns.
 *
 * Children are structs. Inspectors, fetchers and workers greet, answer PLAN,
 * DONE or READY, and exit when drained or killed, unless the test says
 * otherwise; jobs are left to the test.
 */
#ifndef FAKE_WORLD_H
#define FAKE_WORLD_H
#include "manager/manager.h"
#include "manager/world.h"

enum { FAKE_MODELS_MAX = 16, FAKE_CHILDREN_MAX = 512, FAKE_SENT_MAX = 256 };

struct fake_sent {
    enum frame_type type;
    uint64_t job;
    struct wire_node *body;
    int n_fds;
};

struct world_child {
    struct fake *f;
    enum world_program program;
    const struct world_ears *ears;
    void *ctx;
    bool alive, greeted;
    int signal;       /* the last one sent; 0 = none */
    char launch[512]; /* WORLD_TRANSFORMERS: "BACKEND DEVICE READ..." */
    bool deaf;        /* says nothing by itself */
    bool stubborn;    /* does not exit when told to */
    struct buf out;   /* the frame being built */
    struct fake_sent sent[FAKE_SENT_MAX];
    int n_sent, n_seen; /* n_seen: those that it has reacted to */
};

struct fake_model {
    const char *id, *revision, *commit;
    uint64_t inode; /* change it to change the files */
    bool owned;     /* its id is to be freed */
};

/* A call that waits to come back. */
struct fake_call {
    void (*fn)(struct fake_call *c);
    struct fake *f;
    union {
        world_start_fn *start;
        world_files_fn *files;
        world_done_fn *done;
    };
    void *ctx;
    char a[512], b[512];
    struct fake_call *next;
};

struct fake {
    struct manager_world w;
    uint64_t now_ns, random;
    struct loop_timer *timers[4096];
    int n_timers;
    struct fake_call *calls, **last_call;
    struct world_child *children[FAKE_CHILDREN_MAX];
    int n_children;
    struct fake_model cache[FAKE_MODELS_MAX];
    int n_cache;
    struct store_content content; /* what the store held at the start */
    struct store_model stored;    /* what was put last */
    char log[8192]; /* what was asked of the store: "put ID REV;" ... */
    bool deaf_inspectors, deaf_workers, deaf_fetchers;
    bool refuses_spawn, store_fails;
    uint64_t weights; /* of every PLAN, but of these: */
    struct {
        const char *id;
        uint64_t weights;
    } sized[FAKE_MODELS_MAX];
    int n_sized;
    uint64_t parameters, tensor_bytes;
    const char *unsupported; /* of every PLAN; NULL = nothing */
    const char *fetch_error; /* code that fetchers answer; NULL = DONE */
    int wrong;               /* files, in every verify */
    uint64_t credit_jobs;    /* that a worker gives at READY */
    const char *backend;     /* folder of "transformers"; NULL: none */
};

struct fake *fake_new(void);
void fake_free(struct fake *f);
/* Lets everything happen that is due now. */
void fake_settle(struct fake *f);
/* Turns the clock, timer by timer. */
void fake_turn(struct fake *f, uint64_t ms);

/* The last one spawned that lives; NULL: none. */
struct world_child *fake_last(struct fake *f, enum world_program program);
/* The last one that lives and was sent a LOAD of the model. */
struct world_child *fake_serving(struct fake *f, const char *model);
int fake_alive(const struct fake *f, enum world_program program);
int fake_spawned(const struct fake *f, enum world_program program);
void fake_exit(struct world_child *c, int code, int signal);
/* Frames from the child: begin, write the map, say. False: refused. */
struct wire_map fake_begin(struct world_child *c, enum frame_type type,
                           uint64_t job);
bool fake_say(struct world_child *c, struct wire_map *m);
bool fake_answer_item(struct world_child *c, uint64_t job, uint64_t item);
bool fake_answer(struct world_child *c, uint64_t job); /* all its items */
/* A CHUNK with a text; its body has 24 bytes and the text's. */
bool fake_chunk(struct world_child *c, uint64_t job, uint64_t item,
                const char *text);
bool fake_error(struct world_child *c, uint64_t job, const char *code,
                const char *text);
bool fake_pong(struct world_child *c, uint64_t counter);
bool fake_ready(struct world_child *c);
/* The nth frame of a type that it was sent (0 = first); NULL: none. */
const struct fake_sent *fake_got(const struct world_child *c,
                                 enum frame_type type, int nth);
/* What it was sent so far: there is room for FAKE_SENT_MAX frames. */
void fake_forget(struct world_child *c);
/* Makes room for more frames: PINGs that it has seen. */
void fake_forget_pings(struct world_child *c);
int fake_count(const struct world_child *c, enum frame_type type);

#endif
