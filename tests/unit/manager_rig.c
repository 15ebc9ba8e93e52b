/* tests/unit/manager_rig.c - a manager in a fake world. */
#include "manager_rig.h"
#include "base/log.h"
#include "base/mem.h"
#include "unit.h"
#include <stdio.h>

void rig_outcome(void *ctx, int code, const struct err *err)
{
    struct outcome *o = ctx;
    o->n++;
    o->code = code;
    if (err)
        o->err = *err;
}

static void on_item(void *ctx, const struct manager_result *result)
{
    struct asked *a = ctx;
    assert_int_equal(a->done, 0);
    a->items++;
    a->tokens += result->tokens;
    a->generated += result->generated;
    if (a->also)
        a->also(a);
}

static void on_chunk(void *ctx, const struct manager_chunk *chunk)
{
    struct asked *a = ctx;
    size_t n = strlen(a->text);
    assert_int_equal(a->done, 0);
    a->chunks++;
    a->bytes += chunk->bytes;
    a->last_item = chunk->item;
    snprintf(a->text + n, sizeof(a->text) - n, "%.*s",
             STR_FMT(chunk->parts->parts[0].data));
    if (a->also)
        a->also(a);
}

static void on_failed(void *ctx, long item, const struct err *err)
{
    struct asked *a = ctx;
    (void)item;
    assert_int_equal(a->done, 0);
    a->failed++;
    a->err = *err;
    if (a->also)
        a->also(a);
}

static void on_done(void *ctx)
{
    struct asked *a = ctx;
    a->done++;
}

struct rig *rig_new(void)
{
    struct rig *r = mem_new(struct rig);
    log_set_level(LOG_ERROR);
    r->f = fake_new();
    r->config = (struct manager_config){
        .memory_bytes = RIG_MEMORY,
        .threads = 2,
        .cores = 2,
        .queue_jobs = RIG_QUEUE_JOBS,
        .queue_bytes = RIG_QUEUE_BYTES,
        .job_deadline_ns = 300 * UINT64_C(1000000000),
        .drain_ns = 30 * UINT64_C(1000000000),
        .load_base_ns = 120 * UINT64_C(1000000000),
        .load_per_100mb_ns = 1000000000,
        .cache = "/cache",
        .endpoint = "http://hub",
    };
    return r;
}

void rig_know(struct rig *r, const char *id, uint64_t inode)
{
    struct fake *f = r->f;
    f->cache[f->n_cache++] =
        (struct fake_model){id, "main", RIG_COMMIT, inode, false};
    struct store_content *c = &f->content;
    c->models = realloc(c->models, (c->n_models + 1) * sizeof(*c->models));
    struct store_model *m = &c->models[c->n_models++];
    *m = (struct store_model){.id = mem_strdup(id),
                              .revision = mem_strdup("main"),
                              .commit = mem_strdup(RIG_COMMIT),
                              .origin = mem_strdup("pulled"),
                              .dir = mem_strdup(""),
                              .bytes = 2000,
                              .wall_ms = 1};
    static const char *const names[] = {"config.json", "model.safetensors"};
    m->files = mem_zero(2, sizeof(*m->files));
    m->n_files = 2;
    for (uint64_t i = 0; i < 2; i++) {
        m->files[i].name = mem_strdup(names[i]);
        m->files[i].size = 1000;
        m->files[i].inode = inode + i;
    }
}

void rig_start(struct rig *r)
{
    assert_int_equal(manager_new(&r->m, &r->config, &r->f->w, &r->err), 0);
    fake_settle(r->f);
}

void rig_end(struct rig *r)
{
    struct outcome drained = {0};
    manager_drain(r->m, rig_outcome, &drained);
    fake_turn(r->f, 40000);
    assert_int_equal(drained.n, 1);
    assert_int_equal(drained.code, 0);
    manager_free(r->m);
    assert_int_equal(r->f->n_timers, 0);
    fake_free(r->f);
    free(r);
}

int rig_setup(void **state)
{
    struct rig *r = rig_new();
    rig_start(r);
    *state = r;
    return 0;
}

int rig_teardown(void **state)
{
    rig_end(*state);
    return 0;
}

int rig_try(struct rig *r, struct asked *a, const struct manager_job *like,
            size_t n, size_t text_bytes)
{
    char *text = mem_zero(text_bytes + 1, 1);
    memset(text, 'x', text_bytes);
    struct part p = {.kind = PART_TEXT, .data = str_n(text, text_bytes)};
    struct item *items = mem_zero(n + 1, sizeof(*items));
    for (size_t i = 0; i < n; i++)
        items[i] = (struct item){1, &p};
    struct manager_job job = *like;
    if (!job.model)
        job.model = RIG_MODEL;
    job.items = items;
    job.n_items = n;
    job.reply = (struct manager_reply){on_item, on_failed, on_done, a,
                                       a->streams ? on_chunk : NULL};
    int code = manager_submit(r->m, &job, &a->id, &r->err);
    free(items);
    free(text);
    return code;
}

void rig_submit(struct rig *r, struct asked *a, size_t n)
{
    struct manager_job like = {.priority = 5};
    assert_int_equal(rig_try(r, a, &like, n, 10), 0);
    fake_settle(r->f);
}

struct world_child *rig_load(struct rig *r)
{
    struct outcome o = {0};
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o.n, 1);
    assert_int_equal(o.code, 0);
    return fake_last(r->f, WORLD_WORKER);
}

struct outcome *rig_ask(struct rig *r, const char *name,
                        const struct manager_wish *wish)
{
    struct outcome *o = &r->asked[r->n_asked++];
    assert_true(r->n_asked < (int)ARRAY_LEN(r->asked));
    o->code = manager_load(r->m, name, wish, rig_outcome, o, &r->err);
    if (o->code < 0)
        o->err = r->err;
    fake_settle(r->f);
    return o;
}

struct states {
    const char *model, *deployment;
};

static void see(void *ctx, const struct manager_model_view *v)
{
    *(struct states *)ctx = (struct states){v->model_state, v->state};
}

const char *rig_state_of(struct rig *r, const char *name)
{
    struct states s = {0};
    if (manager_show(r->m, name, see, &s, &r->err) < 0)
        return "unknown";
    return s.deployment;
}

const char *rig_state(struct rig *r)
{
    return rig_state_of(r, RIG_MODEL);
}

uint64_t rig_reserved(struct rig *r)
{
    struct manager_status s;
    manager_status(r->m, &s);
    return s.memory_reserved;
}

const char *rig_model_state(struct rig *r)
{
    struct states s = {0};
    if (manager_show(r->m, RIG_MODEL, see, &s, &r->err) < 0)
        return "unknown";
    return s.model;
}
