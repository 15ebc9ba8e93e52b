/* manager/world.h - everything through which the manager reaches the world.
 *
 * One table of functions. manager/world_real.c fills it with the loop, children
 * and the helper thread; the unit tests fill it with a world whose clock they
 * turn. All calls are made in the loop's thread; no callback comes from inside
 * the call that it was handed to.
 */
#ifndef MANAGER_WORLD_H
#define MANAGER_WORLD_H
#include "base/loop.h"
#include "hub/cache.h"
#include "ipc/frame.h"
#include "store/store.h"

enum world_program {
    WORLD_WORKER,       /* berth-worker: serves one model */
    WORLD_INSPECTOR,    /* berth-worker --inspect */
    WORLD_FETCHER,      /* berth-fetch */
    WORLD_TRANSFORMERS, /* berth-worker --launch, then the Transformers server
                         */
};

/* What a WORLD_TRANSFORMERS needs to know before it starts. */
struct world_launch {
    const char *backend; /* the folder of its virtual environment */
    const char *device; /* "cpu", "cuda", "cuda:0", "xla": which device files */
    const char *const *read; /* folders of models, NULL-terminated */
};

/* How a child ended, once it has been reaped. */
struct world_exit {
    int code, signal; /* signal 0: it exited with code */
    char text[96];    /* "exit 3", "killed by SIGKILL" */
};

/* What the manager hands down with a child. gone() comes last, exactly once,
 * when the process has been reaped and all that it had sent was delivered. */
struct world_ears {
    /* A negative return: the child broke the protocol, nothing more is read
     * from it and broken() follows. */
    int (*frame)(void *ctx, struct frame *frame, struct err *err);
    void (*line)(void *ctx, struct str line); /* of its standard error */
    /* Its channel is over: it sent something malformed, or (err->code 0) hung
     * up in good order. It still lives. */
    void (*broken)(void *ctx, const struct err *err);
    void (*gone)(void *ctx, const struct world_exit *how);
};

/* Files to open: a snapshot in the cache, or a plain folder. */
struct world_place {
    const char *id, *commit;
    const char *dir; /* "" = in the cache */
};
/* files: NULL on failure; may be taken (by zeroing *files). */
typedef void world_files_fn(void *ctx, struct cache_files *files,
                            const struct err *err);
/* found: [n], of the cache; content: of the store. On failure err is set, and
 * what could be read is there. */
struct world_start {
    struct store_content content;
    struct cache_found *found;
    size_t n_found;
};
typedef void world_start_fn(void *ctx, struct world_start *start,
                            const struct err *err);
typedef void world_done_fn(void *ctx, int code, const struct err *err);

struct world_child;

struct manager_world {
    void *ctx;

    uint64_t (*now_ns)(void *ctx); /* monotonic */
    uint64_t (*wall_ms)(void *ctx);
    uint64_t (*random)(void *ctx);
    void (*timer_set)(void *ctx, struct loop_timer *t, uint64_t at_ns);
    void (*timer_clear)(void *ctx, struct loop_timer *t);

    /* Children. NULL and err when the system refuses. launch: of
     * WORLD_TRANSFORMERS, else NULL. */
    struct world_child *(*spawn)(void *ctx, enum world_program program,
                                 const struct world_launch *launch,
                                 const struct world_ears *ears, void *ears_ctx,
                                 int *ret_pid, struct err *err);
    /* The folder of an installed backend ("transformers"); NULL: there is
     * none. It lives until the next call. */
    const char *(*backend)(void *ctx, const char *name);
    /* The folder that holds a place's files, into out[FS_PATH_MAX], and the
     * folder that they may link into (models--*; the same for a plain one). */
    int (*folder)(void *ctx, const struct world_place *place, char *out,
                  char *out_root, struct err *err);
    /* As channel_begin() and channel_send() (ipc/channel.h). Sending to a child
     * that is gone is no error. -E2BIG: nothing was queued. */
    struct buf *(*begin)(struct world_child *c, enum frame_type type,
                         uint64_t job);
    int (*send)(struct world_child *c, const int *fds, int n_fds);
    void (*signal)(struct world_child *c, int signal);

    /* What may take long. Each calls back exactly once. */
    void (*start)(void *ctx, world_start_fn *done, void *done_ctx);
    void (*open_files)(void *ctx, const struct world_place *place,
                       world_files_fn *done, void *done_ctx);
    void (*put_model)(void *ctx, const struct store_model *model,
                      world_done_fn *done, void *done_ctx);
    void (*drop_model)(void *ctx, const char *id, const char *revision,
                       world_done_fn *done, void *done_ctx);
    void (*put_alias)(void *ctx, const char *alias, const char *target,
                      world_done_fn *done, void *done_ctx);
};

/* ---- the real one (world_real.c) ---- */

struct world_options {
    struct loop *loop;
    struct helper *helper; /* shared with whoever else needs it */
    const char *programs;  /* the folder of berth-worker and berth-fetch */
    const char *home;      /* where the store is */
    const char *cache;     /* HF_HUB_CACHE */
    /* Folders that hold backends: BACKENDS/transformers. NULL-terminated. */
    const char *const *backends;
};
/* Owner: the caller, until after manager_free(). */
struct manager_world *world_open(const struct world_options *options,
                                 struct err *err);
void world_close(struct manager_world *w);

#endif
