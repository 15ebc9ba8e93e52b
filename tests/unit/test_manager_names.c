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

#define KNOWN(f) cmocka_unit_test_setup_teardown(f, setup_known, rig_teardown)

static struct rig *rig_with_found(int wrong)
{
    struct rig *r = rig_new();
    r->f->cache[r->f->n_cache++] =
        (struct fake_model){RIG_MODEL, "main", RIG_COMMIT, 1, false};
    r->f->wrong = wrong;
    rig_start(r);
    return r;
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
    assert_int_equal(manager_cancel_pull(r->m, RIG_MODEL, id + 1, &r->err),
                     -E_NOT_FOUND);
    assert_int_equal(manager_cancel_pull(r->m, RIG_MODEL, 0, &r->err), 0);
    fake_last(r->f, WORLD_FETCHER)->deaf = false;
    fake_settle(r->f);
    fake_turn(r->f, 10000);
    assert_int_equal(o.n, 1);
    assert_int_equal(o.code, -E_CANCELLED);
    assert_int_equal(manager_cancel_pull(r->m, RIG_MODEL, 0, &r->err),
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

/* ---- declared ---- */

static void a_declaration_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct manager_model_config bad[][2] = {
        {{.name = RIG_MODEL "@v1"}, {.name = OTHER}},
        {{.name = RIG_MODEL, .alias = "a/b"}, {.name = OTHER}},
        {{.name = RIG_MODEL, .revision = "x..y"}, {.name = OTHER}},
        {{.name = RIG_MODEL}, {.name = RIG_MODEL}},
        {{.name = RIG_MODEL, .alias = "x"}, {.name = OTHER, .alias = "x"}}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct rig *r = rig_new();
        r->config.models = bad[i];
        r->config.n_models = 2;
        assert_true(manager_new(&r->m, &r->config, &r->f->w, &r->err) < 0);
        assert_non_null(strstr(r->err.msg, "models["));
        fake_free(r->f);
        free(r);
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

static void a_snapshot_that_two_revisions_have_goes_with_the_last(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct outcome o[2] = {0};
    rig_know(r, RIG_MODEL, 1);
    rig_know(r, RIG_MODEL, 1);
    free(r->f->content.models[1].revision);
    r->f->content.models[1].revision = mem_strdup("v1");
    rig_start(r);
    assert_int_equal(manager_remove(r->m, RIG_MODEL "@v1", false, rig_outcome,
                                    &o[0], &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(o[0].code, 0);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 0);
    assert_non_null(strstr(r->f->log, "drop " RIG_MODEL " v1;"));
    assert_string_equal(rig_model_state(r), "registered");
    assert_int_equal(
        manager_remove(r->m, RIG_MODEL, false, rig_outcome, &o[1], &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o[1].code, 0);
    assert_int_equal(fake_spawned(r->f, WORLD_FETCHER), 1);
    rig_end(r);
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

static void an_alias_that_is_not_written_down_is_not_there(void **state)
{
    struct rig *r = *state;
    struct outcome o[4] = {0};
    r->f->store_fails = true;
    assert_int_equal(
        manager_alias(r->m, "new", OTHER, rig_outcome, &o[0], &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o[0].code, -E_DISK_FULL);
    assert_int_equal(manager_match(r->m, str_of("new")), 0);
    r->f->store_fails = false;
    assert_int_equal(
        manager_alias(r->m, "old", OTHER, rig_outcome, &o[1], &r->err), 0);
    fake_settle(r->f);
    r->f->store_fails = true;
    assert_int_equal(
        manager_alias(r->m, "old", NULL, rig_outcome, &o[2], &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o[2].code, -E_DISK_FULL);
    assert_int_equal(manager_match(r->m, str_of("old")), 3);
    r->f->store_fails = false;
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
        RIG_TEST(two_pulls_of_one_thing_are_one),
        RIG_TEST(a_pull_that_fails_leaves_no_model),
        RIG_TEST(a_pull_is_cancelled),
        RIG_TEST(a_pull_whose_process_dies_says_so),
        RIG_TEST(names_that_are_none_are_refused),
        RIG_TEST(a_folder_is_added_and_forgotten),
        KNOWN(aliases_name_models),
        cmocka_unit_test(a_declaration_that_cannot_be_is_refused),
        cmocka_unit_test(a_snapshot_that_two_revisions_have_goes_with_the_last),
        cmocka_unit_test(only_what_berth_pulled_is_removed),
        KNOWN(an_alias_that_is_not_written_down_is_not_there),
        KNOWN(the_longest_name_matches),
        KNOWN(a_plan_of_a_model_that_is_here),
        KNOWN(a_plan_of_a_model_that_is_not_here),
        KNOWN(every_move_is_an_event),
        KNOWN(the_last_1024_events_are_kept),
    };
    return cmocka_run_group_tests_name("manager_names", tests, NULL, NULL);
}
