#include "base/attr.h"
#include "base/mem.h"
#include "fake_world.h"
#include "manager_rig.h"
#include "unit.h"
#include <signal.h>
#include <stdio.h>

#define OTHER "org/other"

static int setup_known(void **state)
{
    struct rig *r = rig_new();
    rig_know(r, RIG_MODEL, 1);
    rig_know(r, OTHER, 11);
    rig_start(r);
    *state = r;
    return 0;
}

/* Their plans are not known: no inspector could start. */
static int setup_unplanned(void **state)
{
    struct rig *r = rig_new();
    rig_know(r, RIG_MODEL, 1);
    rig_know(r, OTHER, 11);
    r->f->refuses_spawn = true;
    rig_start(r);
    r->f->refuses_spawn = false;
    *state = r;
    return 0;
}

#define UNPLANNED(f) \
    cmocka_unit_test_setup_teardown(f, setup_unplanned, rig_teardown)
#define KNOWN(f) cmocka_unit_test_setup_teardown(f, setup_known, rig_teardown)

static uint64_t reserved(struct rig *r)
{
    struct manager_status s;
    manager_status(r->m, &s);
    return s.memory_reserved;
}

static void a_model_is_pulled_loaded_asked_and_unloaded(void **state)
{
    struct rig *r = *state;
    struct manager_pull pull = {RIG_MODEL, "secret"};
    struct outcome pulled = {0}, unloaded = {0};
    struct asked a = {0};
    uint64_t id;
    assert_int_equal(
        manager_pull(r->m, &pull, rig_outcome, &pulled, &id, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(pulled.n, 1);
    assert_int_equal(pulled.code, 0);
    assert_non_null(strstr(r->f->log, "put " RIG_MODEL " main;"));
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 2);
    assert_true(fake_answer(w, a.id));
    assert_int_equal(a.items, 2);
    assert_int_equal(a.tokens, 14);
    assert_int_equal(a.done, 1);
    assert_true(reserved(r) > 0);
    assert_int_equal(
        manager_unload(r->m, RIG_MODEL, rig_outcome, &unloaded, &r->err), 0);
    assert_int_equal(unloaded.n, 0);
    fake_settle(r->f);
    assert_int_equal(unloaded.n, 1);
    assert_int_equal(fake_alive(r->f, WORLD_WORKER), 0);
    assert_int_equal(reserved(r), 0);
}

static void the_first_job_loads_the_model(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    assert_string_equal(rig_state(r), "idle");
    rig_submit(r, &a, 1);
    assert_string_equal(rig_state(r), "ready");
    assert_true(fake_answer(fake_last(r->f, WORLD_WORKER), a.id));
    assert_int_equal(a.done, 1);
}

static void sixteen_loads_at_once_start_one_worker(void **state)
{
    struct rig *r = *state;
    struct outcome o[16] = {0};
    for (int i = 0; i < 16; i++)
        assert_int_equal(
            manager_load(r->m, RIG_MODEL, rig_outcome, &o[i], &r->err), 0);
    fake_settle(r->f);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(o[i].n, 1);
        assert_int_equal(o[i].code, 0);
    }
    assert_int_equal(fake_spawned(r->f, WORLD_WORKER), 1);
}

static void unload_answers_only_after_the_reaping(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    struct world_child *w = rig_load(r);
    w->stubborn = true;
    assert_int_equal(manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(fake_count(w, FRAME_DRAIN), 1);
    fake_turn(r->f, 4000);
    assert_int_equal(o.n, 0);
    assert_true(reserved(r) > 0);
    assert_string_equal(rig_state(r), "draining");
    fake_turn(r->f, 2000); /* it had 5 s: SIGKILL */
    assert_int_equal(w->signal, SIGKILL);
    assert_int_equal(o.n, 1);
    assert_int_equal(o.code, 0);
    assert_int_equal(reserved(r), 0);
    assert_string_equal(rig_state(r), "idle");
}

static void unload_lets_accepted_jobs_finish(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    struct asked a = {0}, late = {0};
    struct manager_job like = {.priority = 5};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 1);
    assert_int_equal(manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(fake_count(w, FRAME_DRAIN), 0);
    assert_int_equal(rig_try(r, &late, &like, 1, 10), -E_DRAINING);
    fake_answer(w, a.id);
    fake_settle(r->f);
    assert_int_equal(a.items, 1);
    assert_int_equal(o.n, 1);
}

static void a_drain_that_takes_too_long_is_cut_off(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 1);
    assert_int_equal(manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    for (int i = 0; i < 29; i++) {
        fake_turn(r->f, 1000);
        fake_pong(w, (uint64_t)i);
    }
    assert_int_equal(o.n, 0);
    fake_turn(r->f, 1500);
    assert_int_equal(a.err.code, E_DRAINING);
    assert_int_equal(o.n, 1);
}

/* Unloads in every phase of a load, which then must not come about. */
static void unload_while_it_loads(void **state)
{
    struct rig *r = *state;
    bool *const deaf[] = {NULL, &r->f->deaf_inspectors, &r->f->deaf_workers};
    for (size_t i = 0; i < ARRAY_LEN(deaf); i++) {
        struct outcome loaded = {0}, unloaded = {0};
        struct asked a = {0};
        struct manager_job like = {.priority = 5, .model = OTHER};
        if (deaf[i])
            *deaf[i] = true;
        assert_int_equal(
            manager_load(r->m, OTHER, rig_outcome, &loaded, &r->err), 0);
        assert_int_equal(rig_try(r, &a, &like, 1, 10), 0);
        if (deaf[i])
            fake_settle(r->f);
        assert_int_equal(
            manager_unload(r->m, OTHER, rig_outcome, &unloaded, &r->err), 0);
        fake_settle(r->f);
        assert_int_equal(loaded.code, -E_DRAINING);
        assert_int_equal(a.err.code, E_DRAINING);
        assert_int_equal(unloaded.n, 1);
        assert_int_equal(fake_alive(r->f, WORLD_WORKER), 0);
        assert_int_equal(fake_alive(r->f, WORLD_INSPECTOR), 0);
        assert_int_equal(reserved(r), 0);
        if (deaf[i])
            *deaf[i] = false;
    }
}

static void load_while_it_unloads_comes_after(void **state)
{
    struct rig *r = *state;
    struct outcome unloaded = {0}, loaded = {0};
    struct world_child *w = rig_load(r);
    w->stubborn = true;
    assert_int_equal(
        manager_unload(r->m, RIG_MODEL, rig_outcome, &unloaded, &r->err), 0);
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, rig_outcome, &loaded, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(unloaded.n + loaded.n, 0);
    fake_exit(w, 0, 0);
    fake_settle(r->f);
    assert_int_equal(unloaded.code + loaded.code, 0);
    assert_int_equal(unloaded.n + loaded.n, 2);
    assert_string_equal(rig_state(r), "ready");
}

static void what_does_not_fit_is_refused_with_the_numbers(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0}, again = {0}, unloaded = {0};
    struct asked a = {0};
    struct manager_job like = {.priority = 5, .model = OTHER};
    r->f->weights = 60 << 20;
    rig_load(r);
    assert_int_equal(manager_load(r->m, OTHER, rig_outcome, &o, &r->err), 0);
    assert_int_equal(rig_try(r, &a, &like, 1, 10), 0);
    fake_settle(r->f);
    assert_int_equal(o.code, -E_INSUFFICIENT_MEMORY);
    assert_non_null(strstr(o.err.msg, "needs 77.0 MiB"));
    assert_non_null(strstr(o.err.msg, "23.0 MiB of the budget of 100.0 MiB"));
    assert_int_equal(a.err.code, E_INSUFFICIENT_MEMORY);
    assert_int_equal(fake_spawned(r->f, WORLD_WORKER), 1);
    assert_int_equal(
        manager_unload(r->m, RIG_MODEL, rig_outcome, &unloaded, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(manager_load(r->m, OTHER, rig_outcome, &again, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(again.code, 0);
}

static void what_the_inspector_finds_unsupported_fails_the_load(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    r->f->unsupported = "GPT2LMHeadModel";
    assert_int_equal(manager_load(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(o.code, -E_UNSUPPORTED_ARCHITECTURE);
    assert_non_null(strstr(o.err.msg, "GPT2LMHeadModel: no table has it"));
    assert_string_equal(rig_state(r), "failed");
    assert_int_equal(fake_spawned(r->f, WORLD_WORKER), 0);
}

static void an_inspector_that_dies_fails_the_load(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    r->f->deaf_inspectors = true;
    assert_int_equal(manager_load(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    fake_exit(fake_last(r->f, WORLD_INSPECTOR), 0, SIGSEGV);
    fake_settle(r->f);
    assert_int_equal(o.code, -E_WORKER_CRASHED);
    assert_string_equal(rig_state(r), "failed");
}

static void a_second_load_needs_no_inspector(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    rig_load(r);
    assert_int_equal(manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    rig_load(r);
    assert_int_equal(fake_spawned(r->f, WORLD_INSPECTOR), 1);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 0);
}

static void a_process_that_cannot_start_fails_the_load(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    r->f->refuses_spawn = true;
    assert_int_equal(manager_load(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(o.code, -E_INTERNAL);
    assert_int_equal(reserved(r), 0);
    r->f->refuses_spawn = false;
}

/* ---- draining ---- */

static void drain_finishes_what_was_accepted(void **state)
{
    struct rig *r = *state;
    struct asked a = {0}, late = {0};
    struct outcome drained = {0};
    struct manager_job like = {.priority = 5};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 1);
    manager_drain(r->m, rig_outcome, &drained);
    fake_settle(r->f);
    assert_int_equal(rig_try(r, &late, &like, 1, 10), -E_DRAINING);
    assert_int_equal(manager_load(r->m, OTHER, rig_outcome, &drained, &r->err),
                     -E_DRAINING);
    assert_int_equal(drained.n, 0);
    fake_answer(w, a.id);
    fake_settle(r->f);
    assert_int_equal(a.items, 1);
    assert_int_equal(drained.n, 1);
    assert_int_equal(fake_alive(r->f, WORLD_WORKER), 0);
}

static void drain_ends_pulls_and_loads(void **state)
{
    struct rig *r = *state;
    struct manager_pull pull = {"org/new", NULL};
    struct outcome pulled = {0}, loaded = {0}, drained = {0};
    uint64_t id;
    r->f->deaf_fetchers = r->f->deaf_workers = true;
    assert_int_equal(
        manager_pull(r->m, &pull, rig_outcome, &pulled, &id, &r->err), 0);
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, rig_outcome, &loaded, &r->err), 0);
    fake_settle(r->f);
    manager_drain(r->m, rig_outcome, &drained);
    fake_turn(r->f, 6000);
    assert_int_equal(drained.n, 1);
    assert_int_equal(pulled.code, -E_CANCELLED);
    assert_int_equal(loaded.code, -E_DRAINING);
}

/* ---- the start ---- */

static void before_the_cache_is_read_no_name_is_known(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct asked a = {0};
    struct manager_job like = {.priority = 5};
    struct manager_status s;
    rig_know(r, RIG_MODEL, 1);
    assert_int_equal(manager_new(&r->m, &r->config, &r->f->w, &r->err), 0);
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_LOADING);
    manager_status(r->m, &s);
    assert_true(s.starting);
    assert_false(s.preloads_ready);
    fake_settle(r->f);
    manager_status(r->m, &s);
    assert_false(s.starting);
    assert_true(s.preloads_ready);
    assert_int_equal(s.models, 1);
    rig_end(r);
}

static void what_left_the_cache_is_forgotten(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_know(r, RIG_MODEL, 1);
    r->f->n_cache = 0;
    rig_start(r);
    assert_string_equal(rig_state(r), "unknown");
    assert_non_null(strstr(r->f->log, "drop " RIG_MODEL " main;"));
    rig_end(r);
}

static struct rig *rig_with_found(int wrong)
{
    struct rig *r = rig_new();
    r->f->cache[r->f->n_cache++] =
        (struct fake_model){RIG_MODEL, "main", RIG_COMMIT, 1};
    r->f->wrong = wrong;
    rig_start(r);
    return r;
}

static void what_the_cache_holds_is_hashed_once(void **state)
{
    (void)state;
    struct rig *r = rig_with_found(0);
    assert_string_equal(rig_model_state(r), "registered");
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 1);
    assert_non_null(strstr(r->f->log, "put " RIG_MODEL " main;"));
    rig_load(r);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 1);
    rig_end(r);
}

static void a_wrong_hash_fails_the_model(void **state)
{
    (void)state;
    struct rig *r = rig_with_found(1);
    struct asked a = {0};
    struct manager_job like = {.priority = 5};
    struct outcome o = {0};
    assert_string_equal(rig_model_state(r), "failed");
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_WRONG_HASH);
    r->f->wrong = 0; /* somebody put it right: a load looks again */
    assert_int_equal(manager_load(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(o.code, 0);
    rig_end(r);
}

static void a_job_waits_for_the_verification(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct asked a = {0};
    r->f->cache[r->f->n_cache++] =
        (struct fake_model){RIG_MODEL, "main", RIG_COMMIT, 1};
    r->f->deaf_fetchers = true;
    rig_start(r);
    assert_string_equal(rig_model_state(r), "verifying");
    rig_submit(r, &a, 1);
    assert_string_equal(rig_state(r), "loading");
    fake_last(r->f, WORLD_FETCHER)->deaf = false;
    fake_settle(r->f);
    assert_true(fake_answer(fake_last(r->f, WORLD_WORKER), a.id));
    assert_int_equal(a.done, 1);
    rig_end(r);
}

static void files_that_changed_are_verified_again(void **state)
{
    struct rig *r = *state;
    r->f->cache[0].inode = 1000;
    rig_load(r);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 1);
    struct outcome o = {0};
    assert_int_equal(manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    rig_load(r);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 1);
}

struct seen_tasks {
    char task[64];
    uint64_t need;
};

static void see_task(void *ctx, const struct manager_model_view *v)
{
    struct seen_tasks *s = ctx;
    str_to_z(str_of(v->task), s->task, sizeof(s->task));
    s->need = v->need_bytes;
}

static void what_a_model_can_do_is_known_before_it_is_loaded(void **state)
{
    struct rig *r = *state;
    struct seen_tasks s = {0};
    assert_int_equal(manager_show(r->m, RIG_MODEL, see_task, &s, &r->err), 0);
    assert_string_equal(s.task, "feature-extraction");
    assert_true(s.need > 0);
    assert_int_equal(fake_spawned(r->f, WORLD_INSPECTOR), 2);
    rig_load(r);
    assert_int_equal(fake_spawned(r->f, WORLD_INSPECTOR), 2);
}

static void a_restart_needs_no_inspector(void **state)
{
    (void)state;
    struct rig *first = rig_new(), *r = rig_new();
    struct seen_tasks s = {0};
    rig_know(first, RIG_MODEL, 1);
    rig_start(first);
    rig_know(r, RIG_MODEL, 1);
    store_model_fini(&r->f->content.models[0]);
    store_model_copy(&r->f->content.models[0], &first->f->stored);
    rig_end(first);
    rig_start(r);
    assert_int_equal(manager_show(r->m, RIG_MODEL, see_task, &s, &r->err), 0);
    assert_string_equal(s.task, "feature-extraction");
    rig_load(r);
    assert_int_equal(fake_spawned(r->f, WORLD_INSPECTOR), 0);
    rig_end(r);
}

static void preloads_are_what_readiness_waits_for(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct manager_model_config models[] = {
        {.name = RIG_MODEL, .alias = "mini", .preload = true},
        {.name = OTHER, .preload = true}};
    struct manager_status s;
    r->config.models = models;
    r->config.n_models = 2;
    rig_know(r, RIG_MODEL, 1);
    rig_start(r);
    assert_string_equal(rig_state(r), "ready");
    manager_status(r->m, &s);
    assert_false(s.preloads_ready);
    assert_string_equal(s.waiting_for, OTHER); /* it is not here */
    assert_int_equal(manager_match(r->m, str_of("mini/embed")), 4);
    struct outcome o = {0};
    assert_int_equal(
        manager_remove(r->m, RIG_MODEL, true, rig_outcome, &o, &r->err),
        -E_CONFLICT);
    assert_int_equal(
        manager_alias(r->m, "mini", NULL, rig_outcome, &o, &r->err),
        -E_CONFLICT);
    rig_end(r);
}

/* ---- pulls ---- */

static void two_pulls_of_one_thing_are_one(void **state)
{
    struct rig *r = *state;
    struct manager_pull pull = {RIG_MODEL, NULL};
    struct outcome o[3] = {0};
    uint64_t id[3];
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            manager_pull(r->m, &pull, rig_outcome, &o[i], &id[i], &r->err), 0);
    assert_int_equal(id[0], id[1]);
    fake_settle(r->f);
    assert_int_equal(
        manager_pull(r->m, &pull, rig_outcome, &o[2], &id[2], &r->err), 0);
    fake_settle(r->f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(o[i].n, 1);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 1);
}

static void a_pull_that_fails_leaves_no_model(void **state)
{
    struct rig *r = *state;
    struct manager_pull pull = {RIG_MODEL, NULL};
    struct outcome o = {0};
    uint64_t id;
    r->f->fetch_error = "gated";
    assert_int_equal(manager_pull(r->m, &pull, rig_outcome, &o, &id, &r->err),
                     0);
    fake_turn(r->f, 100);
    assert_int_equal(o.code, -E_GATED);
    assert_string_equal(o.err.msg, "the hub says no");
    assert_string_equal(rig_state(r), "unknown");
    struct manager_status s;
    manager_status(r->m, &s);
    assert_int_equal(s.models, 0);
}

static void a_pull_is_cancelled(void **state)
{
    struct rig *r = *state;
    struct manager_pull pull = {RIG_MODEL, NULL};
    struct outcome o = {0};
    struct asked a = {0};
    struct manager_job like = {.priority = 5};
    uint64_t id;
    r->f->deaf_fetchers = true;
    assert_int_equal(manager_pull(r->m, &pull, rig_outcome, &o, &id, &r->err),
                     0);
    fake_settle(r->f);
    assert_string_equal(rig_model_state(r), "pulling");
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_LOADING);
    assert_int_equal(manager_cancel_pull(r->m, RIG_MODEL, &r->err), 0);
    fake_last(r->f, WORLD_FETCHER)->deaf = false;
    fake_settle(r->f);
    fake_turn(r->f, 10000);
    assert_int_equal(o.n, 1);
    assert_int_equal(o.code, -E_CANCELLED);
    assert_int_equal(manager_cancel_pull(r->m, RIG_MODEL, &r->err),
                     -E_NOT_FOUND);
}

static void a_pull_whose_process_dies_says_so(void **state)
{
    struct rig *r = *state;
    struct manager_pull pull = {RIG_MODEL, NULL};
    struct outcome o = {0};
    uint64_t id;
    r->f->deaf_fetchers = true;
    assert_int_equal(manager_pull(r->m, &pull, rig_outcome, &o, &id, &r->err),
                     0);
    fake_settle(r->f);
    fake_exit(fake_last(r->f, WORLD_FETCHER), 0, SIGKILL);
    fake_settle(r->f);
    assert_int_equal(o.code, -E_WORKER_CRASHED);
}

static void names_that_are_none_are_refused(void **state)
{
    struct rig *r = *state;
    static const char *const bad[] = {"", "a/b/c", "../x", "a b", "a@", "-a"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct manager_pull pull = {bad[i], NULL};
        uint64_t id;
        assert_true(manager_pull(r->m, &pull, rig_outcome, NULL, &id, &r->err) <
                    0);
    }
}

/* ---- add, alias, remove ---- */

static void a_folder_is_added_and_forgotten(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0}, taken = {0}, removed = {0};
    assert_int_equal(
        manager_add(r->m, RIG_MODEL, "/models/m", rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o.code, 0);
    assert_int_equal(
        manager_add(r->m, RIG_MODEL, "/models/m", rig_outcome, &taken, &r->err),
        -E_CONFLICT);
    assert_int_equal(
        manager_add(r->m, "x", "models/m", rig_outcome, &taken, &r->err),
        -E_INVALID_REQUEST);
    rig_load(r);
    assert_int_equal(
        manager_remove(r->m, RIG_MODEL, false, rig_outcome, &removed, &r->err),
        0);
    fake_turn(r->f, 100);
    assert_int_equal(removed.n, 1);
    assert_int_equal(removed.code, 0);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 1); /* the hashing */
    assert_string_equal(rig_state(r), "unknown");
}

static void aliases_name_models(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0}, removed = {0};
    struct asked a = {0};
    struct manager_job like = {.priority = 5, .model = "mini"};
    assert_int_equal(
        manager_alias(r->m, "mini", RIG_MODEL, rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o.n, 1);
    assert_non_null(strstr(r->f->log, "alias mini " RIG_MODEL ";"));
    assert_int_equal(rig_try(r, &a, &like, 1, 10), 0);
    fake_settle(r->f);
    fake_answer(fake_last(r->f, WORLD_WORKER), a.id);
    assert_int_equal(a.done, 1);
    assert_int_equal(
        manager_alias(r->m, "a/b", RIG_MODEL, rig_outcome, &o, &r->err),
        -E_INVALID_REQUEST);
    assert_int_equal(
        manager_alias(r->m, "other", "org/none", rig_outcome, &o, &r->err),
        -E_MODEL_NOT_FOUND);
    assert_int_equal(
        manager_remove(r->m, RIG_MODEL, false, rig_outcome, &removed, &r->err),
        0);
    fake_turn(r->f, 100);
    assert_int_equal(removed.code, 0);
    assert_non_null(strstr(r->f->log, "alias mini -;"));
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_MODEL_NOT_FOUND);
}

static void only_what_berth_pulled_is_removed(void **state)
{
    (void)state;
    struct rig *r = rig_with_found(0);
    struct outcome o = {0};
    assert_int_equal(
        manager_remove(r->m, RIG_MODEL, false, rig_outcome, &o, &r->err),
        -E_CONFLICT);
    assert_int_equal(
        manager_remove(r->m, RIG_MODEL, true, rig_outcome, &o, &r->err), 0);
    fake_turn(r->f, 100);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 2);
    assert_string_equal(rig_state(r), "unknown");
    rig_end(r);
}

static void the_longest_name_matches(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    assert_int_equal(
        manager_alias(r->m, "org", RIG_MODEL, rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(manager_match(r->m, str_of("org/model/info")), 9);
    assert_int_equal(manager_match(r->m, str_of("org/model")), 9);
    assert_int_equal(manager_match(r->m, str_of("org/models")), 3);
    assert_int_equal(manager_match(r->m, str_of("orgx")), 0);
    assert_null(manager_only_model(r->m));
}

/* ---- plans ---- */

struct planned {
    int n;
    struct err err;
    uint64_t need;
    bool local, fits;
    char architecture[64];
};

static void on_plan(void *ctx, const struct manager_plan *plan,
                    const struct err *err)
{
    struct planned *p = ctx;
    p->n++;
    if (!plan) {
        p->err = *err;
        return;
    }
    p->need = plan->need_bytes;
    p->local = plan->local;
    p->fits = plan->fits;
    str_to_z(wire_text(plan->frame, "architecture"), p->architecture, 64);
}

static void a_plan_of_a_model_that_is_here(void **state)
{
    struct rig *r = *state;
    struct planned p = {0};
    assert_int_equal(manager_plan(r->m, RIG_MODEL, NULL, on_plan, &p, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(p.n, 1);
    assert_true(p.local && p.fits);
    assert_int_equal(p.need, (10 << 20) + (1 << 20) + (16 << 20));
    assert_string_equal(p.architecture, "BertModel");
    assert_int_equal(fake_alive(r->f, WORLD_INSPECTOR), 0);
}

static void a_plan_of_a_model_that_is_not_here(void **state)
{
    struct rig *r = *state;
    struct planned p = {0};
    assert_int_equal(
        manager_plan(r->m, "org/new", "secret", on_plan, &p, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(p.n, 1);
    assert_false(p.local);
    assert_string_equal(p.architecture, "BertModel");
    r->f->fetch_error = "model_not_found";
    assert_int_equal(manager_plan(r->m, "org/none", NULL, on_plan, &p, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(p.err.code, E_MODEL_NOT_FOUND);
}

/* ---- events ---- */

struct heard {
    char text[4096];
    int n;
    uint64_t last;
};

static void on_event(void *ctx, const struct manager_event *e)
{
    struct heard *h = ctx;
    size_t n = strlen(h->text);
    assert_true(e->seq > h->last);
    h->last = e->seq;
    h->n++;
    snprintf(h->text + n, sizeof(h->text) - n, "%s %s>%s;", e->type, e->from,
             e->to);
}

static void every_move_is_an_event(void **state)
{
    struct rig *r = *state;
    struct heard h = {0}, replayed = {0};
    struct manager_subscription *s =
        manager_subscribe(r->m, UINT64_MAX, on_event, &h);
    rig_load(r);
    assert_string_equal(h.text,
                        "deployment idle>loading;instance starting>loading;"
                        "instance loading>ready;deployment loading>ready;");
    manager_unsubscribe(r->m, s);
    s = manager_subscribe(r->m, 0, on_event, &replayed);
    fake_settle(r->f);
    assert_int_equal(replayed.n, h.n + 4); /* and both models' beginnings */
    manager_unsubscribe(r->m, s);
}

static void the_last_1024_events_are_kept(void **state)
{
    struct rig *r = *state;
    struct heard h = {0};
    struct outcome o = {0};
    for (int i = 0; i < 200; i++) {
        rig_load(r);
        assert_int_equal(
            manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err), 0);
        fake_settle(r->f);
    }
    struct manager_subscription *s = manager_subscribe(r->m, 3, on_event, &h);
    fake_settle(r->f);
    assert_int_equal(h.n, 1024);
    manager_unsubscribe(r->m, s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_model_is_pulled_loaded_asked_and_unloaded),
        KNOWN(the_first_job_loads_the_model),
        KNOWN(sixteen_loads_at_once_start_one_worker),
        KNOWN(unload_answers_only_after_the_reaping),
        KNOWN(unload_lets_accepted_jobs_finish),
        KNOWN(a_drain_that_takes_too_long_is_cut_off),
        UNPLANNED(unload_while_it_loads),
        KNOWN(load_while_it_unloads_comes_after),
        UNPLANNED(what_does_not_fit_is_refused_with_the_numbers),
        UNPLANNED(what_the_inspector_finds_unsupported_fails_the_load),
        UNPLANNED(an_inspector_that_dies_fails_the_load),
        UNPLANNED(a_second_load_needs_no_inspector),
        KNOWN(a_process_that_cannot_start_fails_the_load),
        KNOWN(drain_finishes_what_was_accepted),
        KNOWN(drain_ends_pulls_and_loads),
        cmocka_unit_test(before_the_cache_is_read_no_name_is_known),
        cmocka_unit_test(what_left_the_cache_is_forgotten),
        cmocka_unit_test(what_the_cache_holds_is_hashed_once),
        cmocka_unit_test(a_wrong_hash_fails_the_model),
        cmocka_unit_test(a_job_waits_for_the_verification),
        KNOWN(files_that_changed_are_verified_again),
        KNOWN(what_a_model_can_do_is_known_before_it_is_loaded),
        cmocka_unit_test(a_restart_needs_no_inspector),
        cmocka_unit_test(preloads_are_what_readiness_waits_for),
        RIG_TEST(two_pulls_of_one_thing_are_one),
        RIG_TEST(a_pull_that_fails_leaves_no_model),
        RIG_TEST(a_pull_is_cancelled),
        RIG_TEST(a_pull_whose_process_dies_says_so),
        RIG_TEST(names_that_are_none_are_refused),
        RIG_TEST(a_folder_is_added_and_forgotten),
        KNOWN(aliases_name_models),
        cmocka_unit_test(only_what_berth_pulled_is_removed),
        KNOWN(the_longest_name_matches),
        KNOWN(a_plan_of_a_model_that_is_here),
        KNOWN(a_plan_of_a_model_that_is_not_here),
        KNOWN(every_move_is_an_event),
        KNOWN(the_last_1024_events_are_kept),
    };
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
