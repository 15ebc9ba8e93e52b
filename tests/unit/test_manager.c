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
            manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o[i], &r->err),
            0);
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
            manager_load(r->m, OTHER, NULL, rig_outcome, &loaded, &r->err), 0);
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
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &loaded, &r->err), 0);
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
    const struct manager_wish pin = {.pin = true};
    struct outcome pinned = {0};
    r->f->weights = 60 << 20;
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, &pin, rig_outcome, &pinned, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(manager_load(r->m, OTHER, NULL, rig_outcome, &o, &r->err),
                     0);
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
    assert_int_equal(
        manager_load(r->m, OTHER, NULL, rig_outcome, &again, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(again.code, 0);
}

static void what_the_inspector_finds_unsupported_fails_the_load(void **state)
{
    struct rig *r = *state;
    struct outcome o = {0};
    r->f->unsupported = "GPT2LMHeadModel";
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
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
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
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
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
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
    assert_int_equal(
        manager_load(r->m, OTHER, NULL, rig_outcome, &drained, &r->err),
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
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &loaded, &r->err), 0);
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
        (struct fake_model){RIG_MODEL, "main", RIG_COMMIT, 1, false};
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
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
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
        (struct fake_model){RIG_MODEL, "main", RIG_COMMIT, 1, false};
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
    };
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
