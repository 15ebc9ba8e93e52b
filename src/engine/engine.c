/* engine/engine.c - a model from its files to running threads, and back. */
#include "engine/engine.h"
#include "arch/recipe.h"
#include "base/crew.h"
#include "base/mem.h"
#include "engine/load.h"
#include "engine/pool.h"
#include <assert.h>
#include <math.h>

struct engine {
    struct recipe recipe; /* its plan only, once open */
    struct machine machine;
    struct block weights;
    struct block work; /* of all threads */
    struct crew *crew;
    bool own_crew;
    bool working; /* the crew is in pool_main() */
    bool has_pool;
    struct pool pool;
    struct pool_thread *threads;
    int n_threads;
};

static int refuse(const struct problems *p, struct err *err)
{
    return err_set(err, E_UNSUPPORTED_ARCHITECTURE, "%s: %s", p->all[0].what,
                   p->all[0].why);
}

static void hand_out_work(struct engine *e)
{
    const struct plan *plan = &e->recipe.plan;
    float *at = e->work.at;
    for (int i = 0; i < e->n_threads; i++) {
        struct pool_thread *t = &e->threads[i];
        struct work *w = &t->work;
        w->buffers[PLAN_X] = at;
        w->buffers[PLAN_QKV_A] = w->buffers[PLAN_QKV_B] =
            w->buffers[PLAN_X] + plan->rows * plan->stride[PLAN_X];
        w->buffers[PLAN_CTX] =
            w->buffers[PLAN_QKV_A] + plan->rows * plan->stride[PLAN_QKV_A];
        w->buffers[PLAN_FFN] =
            w->buffers[PLAN_CTX] + plan->rows * plan->stride[PLAN_CTX];
        w->scratch =
            w->buffers[PLAN_FFN] + plan->block_rows * plan->stride[PLAN_FFN];
        memcpy(t->pass.buffers, w->buffers, sizeof(w->buffers));
        t->pass.machine = &e->machine;
        at += plan_work(plan);
    }
}

/* Reads headers; leaves a plan or says why there is none. */
static int plan_it(struct engine *e, const struct snapshot *s, bool mlm_head,
                   struct err *err)
{
    int r = recipe_open(&e->recipe, s, mlm_head, err);
    if (r == 0 && e->recipe.problems.n)
        r = refuse(&e->recipe.problems, err);
    return r < 0 ? r : tensors_check_files(&e->recipe.tensors, err);
}

static int take_memory(struct engine *e, struct err *err)
{
    const struct plan *plan = &e->recipe.plan;
    int r = block_open(&e->weights, plan->weights, true, err);
    if (r == 0)
        r = block_open(&e->work, plan_work(plan) * (size_t)e->n_threads, false,
                       err);
    if (r < 0)
        return r;
    e->threads = mem_try((size_t)e->n_threads, sizeof(*e->threads));
    if (!e->threads)
        return err_set(err, E_INSUFFICIENT_MEMORY, "no memory for %d threads",
                       e->n_threads);
    hand_out_work(e);
    return 0;
}

static int hire(struct engine *e, const struct engine_options *o,
                struct err *err)
{
    e->n_threads = o->threads;
    e->crew = o->crew;
    e->own_crew = !o->crew;
    if (o->threads < 1 || o->threads > POOL_THREADS_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "%d compute threads are not from 1 to %d", o->threads,
                       POOL_THREADS_MAX);
    if (e->own_crew)
        return crew_open(&e->crew, o->threads, err);
    assert(crew_size(e->crew) == o->threads);
    return 0;
}

static void thread_main(void *ctx, int i)
{
    struct engine *e = ctx;
    pool_main(&e->pool, i);
}

/* The answer to the sequence of warm_up(). */
struct warm {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool done;
};

static void warm_done(struct engine_seq *seq, int code)
{
    struct warm *w = seq->ctx;
    (void)code;
    pthread_mutex_lock(&w->lock);
    w->done = true;
    pthread_cond_signal(&w->moved);
    pthread_mutex_unlock(&w->lock);
}

/* Runs one token, so that a model whose weights give no numbers is refused now
 * and not with the first request. */
static int warm_up(struct engine *e, struct err *err)
{
    struct warm w = {.lock = PTHREAD_MUTEX_INITIALIZER,
                     .moved = PTHREAD_COND_INITIALIZER};
    static const uint32_t id = 0;
    size_t n = e->recipe.plan.hidden;
    float *out = mem_try(n, sizeof(*out));
    if (!out)
        return err_set(err, E_INSUFFICIENT_MEMORY, "no memory to warm up");
    struct engine_seq seq = {
        .ids = &id, .n = 1, .out = out, .done = warm_done, .ctx = &w};
    pool_submit(&e->pool, &seq);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.moved, &w.lock);
    pthread_mutex_unlock(&w.lock);
    size_t finite = 0;
    for (size_t i = 0; i < n; i++)
        finite += isfinite(out[i]) != 0;
    free(out);
    return finite == n ? 0
                       : err_set(err, E_DAMAGED_FILE,
                                 "the weights are damaged: they give results "
                                 "that are not numbers");
}

/* Puts the crew to work and tries it. */
static int start(struct engine *e, const struct engine_options *options,
                 engine_progress_fn *progress, void *ctx, struct err *err)
{
    e->machine.plan = &e->recipe.plan;
    e->machine.weights = e->weights.at;
    kernels_init(&e->machine.kernels, options->isa);
    pool_init(&e->pool, e->threads, e->n_threads);
    e->has_pool = e->working = true;
    crew_work(e->crew, thread_main, e);
    if (progress)
        progress(ctx, "warming", 0, 1);
    return warm_up(e, err);
}

int engine_open(struct engine **ret, const struct snapshot *s,
                const struct engine_options *options,
                engine_progress_fn *progress, void *ctx, struct err *err)
{
    struct engine *e = mem_new(struct engine);
    if (progress)
        progress(ctx, "reading", 0, 1);
    int r = hire(e, options, err);
    if (r == 0)
        r = plan_it(e, s, options->mlm_head, err);
    if (r == 0)
        r = take_memory(e, err);
    if (r == 0)
        r = load_weights(e->weights.at, &e->recipe.plan, e->crew, progress, ctx,
                         err);
    if (r == 0)
        r = start(e, options, progress, ctx, err);
    if (r < 0) {
        engine_close(e);
        return r;
    }
    *ret = e;
    return 0;
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    if (e->working) {
        pool_close(&e->pool);
        crew_wait(e->crew);
    }
    if (e->has_pool)
        pool_fini(&e->pool);
    if (e->own_crew)
        crew_close(e->crew);
    block_close(&e->work);
    block_close(&e->weights);
    recipe_fini(&e->recipe);
    free(e->threads);
    free(e);
}

struct engine_info engine_info(const struct engine *e)
{
    const struct plan *p = &e->recipe.plan;
    return (struct engine_info){
        .model_type = e->recipe.model_type,
        .dtype = dtype_name(p->dtype),
        .level = e->machine.kernels.level,
        .hidden = (int)p->hidden,
        .vocab = (int)p->head_vocab,
        .max_tokens = (int)p->positions,
        .threads = e->n_threads,
        .memory = e->weights.bytes + e->work.bytes,
    };
}

static int check_rows(const struct engine_seq *seq, struct err *err)
{
    if (!seq->rows)
        return 0;
    if (seq->n_rows == 0 || seq->n_rows > seq->n)
        return err_set(err, E_INVALID_REQUEST,
                       "%u wanted rows of a sequence of %u tokens", seq->n_rows,
                       seq->n);
    for (uint32_t i = 0; i < seq->n_rows; i++)
        if (seq->rows[i] >= seq->n || (i && seq->rows[i] <= seq->rows[i - 1]))
            return err_set(err, E_INVALID_REQUEST,
                           "wanted row %u is %u; rows ascend and are below %u",
                           i, seq->rows[i], seq->n);
    return 0;
}

static int check_ids(const struct plan *p, const struct engine_seq *seq,
                     struct err *err)
{
    for (uint32_t i = 0; i < seq->n; i++)
        if (seq->ids[i] >= p->vocab)
            return err_set(err, E_INVALID_REQUEST,
                           "token %u has the id %u; the vocabulary has %zu", i,
                           seq->ids[i], p->vocab);
    for (uint32_t i = 0; seq->types && p->types && i < seq->n; i++)
        if (seq->types[i] >= p->types)
            return err_set(err, E_INVALID_REQUEST,
                           "token %u has the type %u; the model has %zu", i,
                           seq->types[i], p->types);
    return 0;
}

int engine_submit(struct engine *e, struct engine_seq *seq, struct err *err)
{
    const struct plan *p = &e->recipe.plan;
    if (seq->n == 0)
        return err_set(err, E_INVALID_REQUEST, "a sequence without tokens");
    if (seq->n > p->positions)
        return err_set(err, E_INPUT_TOO_LONG,
                       "%u tokens are more than the model's %zu", seq->n,
                       p->positions);
    if (seq->output == ENGINE_LOGITS && !p->head_vocab)
        return err_set(err, E_UNSUPPORTED_TASK,
                       "the model has no language-model head");
    int r = check_rows(seq, err);
    if (r == 0)
        r = check_ids(p, seq, err);
    if (r == 0)
        pool_submit(&e->pool, seq);
    return r;
}

void engine_cancel(struct engine *e, struct engine_seq *seq)
{
    pool_cancel(&e->pool, seq);
}

int engine_progress(const struct engine *e, uint64_t *counters, int cap)
{
    for (int i = 0; i < e->n_threads && i < cap; i++)
        counters[i] =
            __atomic_load_n(&e->threads[i].work.progress, __ATOMIC_RELAXED);
    return e->n_threads;
}
