/* Random walks: whatever happens in whatever order, every job is answered
 * exactly once, every operation too, and nothing is left at the end. A walk
 * that fails names its seed. */
#include "base/attr.h"
#include "base/mem.h"
#include "fake_world.h"
#include "manager_rig.h"
#include "unit.h"
#include <signal.h>
#include <stdio.h>

enum { SEEDS = 300, STEPS = 120, JOBS = 2 * STEPS, OUTCOMES = 2 * STEPS };

struct walk {
    struct rig *r;
    uint64_t seed;
    struct asked jobs[JOBS];
    bool cancelled[JOBS];
    int n_jobs;
    struct outcome outcomes[OUTCOMES];
    int n_outcomes;
};

static uint64_t chance(struct walk *w, uint64_t n)
{
    w->seed = w->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (w->seed >> 33) % n;
}

static const char *some_name(struct walk *w)
{
    static const char *const names[] = {
        RIG_MODEL, RIG_MODEL, "org/other",         "org/third",
        "org/new", "mini",    RIG_MODEL "#native", "mini#transformers"};
    return names[chance(w, ARRAY_LEN(names))];
}

static struct world_child *some_child(struct walk *w)
{
    struct fake *f = w->r->f;
    struct world_child *alive[FAKE_CHILDREN_MAX];
    uint64_t n = 0;
    for (int i = 0; i < f->n_children; i++)
        if (f->children[i]->alive)
            alive[n++] = f->children[i];
    return n ? alive[chance(w, n)] : NULL;
}

static void submit(struct walk *w);
static void cancel(struct walk *w);

/* What a client does from inside an answer: it leaves, another one does, a new
 * one comes, a reader has taken what came, an operator looks for memory. */
static void meddle(struct asked *a)
{
    struct walk *w = a->ctx;
    struct rig *r = w->r;
    switch (chance(w, 12)) {
    case 0:
        w->cancelled[a - w->jobs] = true;
        manager_cancel(r->m, a->id);
        break;
    case 1:
        cancel(w);
        break;
    case 2:
        submit(w);
        break;
    case 3:
        if (w->n_outcomes < OUTCOMES &&
            manager_unload(r->m, some_name(w), rig_outcome,
                           &w->outcomes[w->n_outcomes], &r->err) == 0)
            w->n_outcomes++;
        break;
    default:
        manager_credit(r->m, a->id, chance(w, 200));
        break;
    }
}

static void submit(struct walk *w)
{
    if (w->n_jobs == JOBS)
        return;
    struct manager_job like = {
        .model = some_name(w),
        .priority = (int)chance(w, 10),
        .caller = chance(w, 2) ? "a" : "b",
        .deadline_ns =
            chance(w, 2) ? 0 : w->r->f->now_ns + 1 + chance(w, 3000000000u),
    };
    struct asked *a = &w->jobs[w->n_jobs];
    *a = (struct asked){.streams = chance(w, 2),
                        .also = chance(w, 2) ? meddle : NULL,
                        .ctx = w};
    if (rig_try(w->r, a, &like, 1 + chance(w, 3), chance(w, 100)) == 0)
        w->n_jobs++;
}

static void cancel(struct walk *w)
{
    if (w->n_jobs == 0)
        return;
    uint64_t i = chance(w, (uint64_t)w->n_jobs);
    if (!w->jobs[i].done)
        w->cancelled[i] = true;
    manager_cancel(w->r->m, w->jobs[i].id);
}

/* One that serves, or may. */
static struct world_child *some_worker(struct walk *w)
{
    struct world_child *c = some_child(w);
    return c && (c->program == WORLD_WORKER || c->program == WORLD_TRANSFORMERS)
               ? c
               : fake_last(w->r->f, WORLD_WORKER);
}

/* An answer to a job that the child really has, or to none. */
static void answer(struct walk *w)
{
    struct world_child *c = some_worker(w);
    int n = c ? fake_count(c, FRAME_JOB) : 0;
    if (n == 0 || c->signal == SIGKILL)
        return;
    const struct fake_sent *job =
        fake_got(c, FRAME_JOB, (int)chance(w, (uint64_t)n));
    if (chance(w, 8) == 0)
        fake_error(c, job->job, "internal", "no");
    else if (chance(w, 3) == 0)
        fake_chunk(c, job->job, chance(w, 4), "and so on");
    else
        fake_answer_item(c, job->job, chance(w, 4));
}

static int load(struct walk *w, struct outcome *o)
{
    static const char *const backends[] = {NULL, NULL, "auto", "native",
                                           "transformers"};
    static const char *const devices[] = {NULL, NULL, NULL, "cpu", "cuda"};
    struct manager_wish wish = {
        .backend = backends[chance(w, ARRAY_LEN(backends))],
        .device = devices[chance(w, ARRAY_LEN(devices))],
        .priority = (int)chance(w, 10),
        .keep_alive_s = chance(w, 3) ? 0 : 1 + (int64_t)chance(w, 3),
        .pin = chance(w, 10) == 0,
        .unpin = chance(w, 3) == 0,
    };
    struct rig *r = w->r;
    return manager_load(r->m, some_name(w), chance(w, 2) ? &wish : NULL,
                        rig_outcome, o, &r->err);
}

static void ask(struct walk *w)
{
    struct rig *r = w->r;
    struct outcome *o = &w->outcomes[w->n_outcomes];
    struct manager_pull pull = {some_name(w), NULL};
    uint64_t id;
    int code = -1;
    if (w->n_outcomes == OUTCOMES)
        return;
    switch (chance(w, 8)) {
    case 7:
        code = manager_verify(r->m, some_name(w), rig_outcome, o, &r->err);
        break;
    case 0:
    case 1:
        code = load(w, o);
        break;
    case 2:
        code = manager_unload(r->m, some_name(w), rig_outcome, o, &r->err);
        break;
    case 3:
        code = manager_pull(r->m, &pull, rig_outcome, o, &id, &r->err);
        break;
    case 4:
        code = manager_remove(r->m, some_name(w), chance(w, 2), rig_outcome, o,
                              &r->err);
        break;
    case 5:
        code = manager_alias(r->m, "mini", chance(w, 3) ? some_name(w) : NULL,
                             rig_outcome, o, &r->err);
        break;
    default:
        if (manager_cancel_pull(r->m, some_name(w), 0, &r->err) == 0)
            return;
    }
    w->n_outcomes += code == 0;
}

static void disturb(struct walk *w)
{
    struct fake *f = w->r->f;
    struct world_child *c = some_child(w);
    switch (chance(w, 12)) {
    case 7:
        f->refuses_spawn = chance(w, 4) == 0;
        break;
    case 0:
        f->deaf_workers = chance(w, 4) == 0;
        break;
    case 1:
        f->deaf_fetchers = chance(w, 4) == 0;
        break;
    case 2:
        f->deaf_inspectors = chance(w, 4) == 0;
        break;
    case 3:
        f->wrong = chance(w, 4) == 0;
        break;
    case 4:
        f->cache[chance(w, (uint64_t)f->n_cache)].inode = 500 + chance(w, 3);
        break;
    case 5:
        f->fetch_error = chance(w, 4) == 0 ? "hub_unreachable" : NULL;
        break;
    case 6:
        f->weights = (chance(w, 8) * 100) << 20;
        break;
    case 9:
        f->backend = chance(w, 4) ? "/backends/transformers" : NULL;
        break;
    case 10:
        f->unsupported = chance(w, 4) == 0 ? "Other" : NULL;
        break;
    default:
        if (c)
            c->stubborn = chance(w, 2);
    }
}

static void step(struct walk *w)
{
    struct rig *r = w->r;
    struct world_child *c = some_child(w);
    switch (chance(w, 9)) {
    case 0:
    case 1:
        submit(w);
        break;
    case 2:
        cancel(w);
        break;
    case 3:
    case 4:
        answer(w);
        break;
    case 5:
        ask(w);
        break;
    case 6:
        if (c && chance(w, 2))
            fake_exit(c, 1, 0);
        break;
    case 7:
        disturb(w);
        break;
    default:
        fake_turn(r->f, chance(w, 1500));
    }
    if (chance(w, 3))
        fake_settle(r->f);
    assert_true(rig_reserved(r) <= r->config.memory_bytes);
}

static void check_jobs(const struct walk *w)
{
    for (int i = 0; i < w->n_jobs; i++)
        assert_int_equal(w->jobs[i].done, w->cancelled[i] ? 0 : 1);
    for (int i = 0; i < w->n_outcomes; i++)
        assert_int_equal(w->outcomes[i].n, 1);
}

static void walk(uint64_t seed)
{
    struct walk *w = mem_new(struct walk);
    w->seed = seed;
    w->r = rig_new();
    w->r->config.memory_bytes = UINT64_C(1500) << 20;
    w->r->config.standby = 1;
    w->r->config.keep_alive_s = 3;
    w->r->f->backend = "/backends/transformers";
    rig_know(w->r, RIG_MODEL, 1);
    rig_know(w->r, "org/third", 21);
    w->r->f->cache[w->r->f->n_cache++] =
        (struct fake_model){"org/other", "main", RIG_COMMIT, 11, false};
    rig_start(w->r);
    for (int i = 0; i < STEPS; i++)
        step(w);
    rig_end(w->r);
    check_jobs(w);
    free(w);
}

/* BERTH_SEED: one walk; BERTH_SEEDS: so many. */
static void nothing_is_lost_on_any_way(void **state)
{
    (void)state;
    const char *one = getenv("BERTH_SEED"), *many = getenv("BERTH_SEEDS");
    uint64_t seeds = many ? strtoull(many, NULL, 10) : SEEDS;
    if (one) {
        walk(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        char text[32];
        snprintf(text, sizeof(text), "%d", (int)seed);
        setenv("BERTH_SEED_NOW", text, 1);
        walk(seed);
    }
}

static int say_seed(void **state)
{
    (void)state;
    const char *seed = getenv("BERTH_SEED_NOW");
    if (seed)
        print_message("last walk: BERTH_SEED=%s\n", seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_is_lost_on_any_way, say_seed),
    };
    return cmocka_run_group_tests_name("manager_walk", tests, NULL, NULL);
}
