/* engine/load.c - the weights of a plan, read and packed into memory.
 *
 * The crew takes tensors one by one, each straight to its place; the thread
 * that asked only reports how far they are.
 */
#include "engine/load.h"
#include "base/crew.h"
#include "base/mem.h"
#include "base/size.h"
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

int block_open(struct block *b, size_t floats, bool huge, struct err *err)
{
    size_t bytes;
    *b = (struct block){0};
    if (!size_mul(floats, sizeof(float), &bytes) ||
        !size_add(bytes, huge ? HUGE_PAGE : 0, &bytes))
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "%zu numbers are more than memory can hold", floats);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "no memory for %zu bytes: %s", bytes, strerror(errno));
    b->map = map;
    b->bytes = bytes;
    b->at = map;
    if (!huge)
        return 0;
    b->at = (float *)size_round((uintptr_t)map, HUGE_PAGE);
    /* Before the first touch, or the pages are small already; advice only. */
    (void)madvise(b->at, bytes - HUGE_PAGE, MADV_HUGEPAGE);
    return 0;
}

void block_close(struct block *b)
{
    if (b->map)
        munmap(b->map, b->bytes);
    *b = (struct block){0};
}

struct loader {
    float *weights;
    const struct plan *plan;
    size_t next; /* atomic: the next load that nobody has taken */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t done; /* bytes of the file */
    int running;   /* threads that have not come to their end */
    int code;
    struct err err; /* of the first failure */
};

static int load_one(struct loader *l, const struct load *it, float *scratch,
                    struct err *err)
{
    float *out = l->weights + it->at;
    return it->kind == LOAD_MATRIX
               ? pack_matrix(out, it->tensor, it->n, it->k, scratch, err)
               : pack_rows(out, it->tensor, it->n, it->k, scratch, err);
}

/* Takes note of what a thread has done; returns whether to go on. */
static bool note(struct loader *l, uint64_t bytes, int code,
                 const struct err *err)
{
    pthread_mutex_lock(&l->lock);
    l->done += bytes;
    if (code < 0 && l->code == 0) {
        l->code = code;
        l->err = *err;
    }
    bool go = l->code == 0;
    pthread_cond_signal(&l->moved);
    pthread_mutex_unlock(&l->lock);
    return go;
}

static void load_some(void *ctx, int i)
{
    (void)i;
    struct loader *l = ctx;
    struct err err;
    float *scratch = mem_try(plan_load_scratch(l->plan), sizeof(*scratch));
    bool go = true;
    if (!scratch)
        go = note(
            l, 0,
            err_set(&err, E_INSUFFICIENT_MEMORY, "no memory to pack weights"),
            &err);
    while (go) {
        size_t at = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
        if (at >= l->plan->n_loads)
            break;
        const struct load *it = &l->plan->loads[at];
        int code = load_one(l, it, scratch, &err);
        go = note(l, it->tensor->bytes, code, &err);
    }
    free(scratch);
    pthread_mutex_lock(&l->lock);
    l->running--;
    pthread_cond_signal(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

static void report(struct loader *l, engine_progress_fn *progress, void *ctx,
                   uint64_t all)
{
    uint64_t said = UINT64_MAX;
    pthread_mutex_lock(&l->lock);
    while (l->running > 0) {
        uint64_t done = l->done;
        if (done == said || !progress) {
            pthread_cond_wait(&l->moved, &l->lock);
            continue;
        }
        pthread_mutex_unlock(&l->lock);
        progress(ctx, "packing", done, all);
        said = done;
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    if (progress && l->code == 0)
        progress(ctx, "packing", l->done, all);
}

int load_weights(float *weights, const struct plan *plan, struct crew *crew,
                 engine_progress_fn *progress, void *ctx, struct err *err)
{
    struct loader l = {.weights = weights,
                       .plan = plan,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .moved = PTHREAD_COND_INITIALIZER,
                       .running = crew_size(crew)};
    uint64_t all = 0;
    for (size_t i = 0; i < plan->n_loads; i++)
        all += plan->loads[i].tensor->bytes;
    crew_work(crew, load_some, &l);
    report(&l, progress, ctx, all);
    crew_wait(crew);
    pthread_cond_destroy(&l.moved);
    pthread_mutex_destroy(&l.lock);
    if (l.code < 0 && err)
        *err = l.err;
    return l.code;
}
