/* What has nothing to do: models that go after their time, and interpreters
 * that wait for a model. */
#include "base/attr.h"
#include "fake_world.h"
#include "manager_rig.h"
#include "unit.h"
#include <signal.h>
#include <stdio.h>

#define MIB   (UINT64_C(1) << 20)
#define TF    "/backends/transformers"
#define OTHER "org/other"

/* ---- keep_alive ---- */

static struct rig *begin(const struct manager_model_config *model)
{
    struct rig *r = rig_new();
    r->config.keep_alive_s = 300;
    r->config.memory_bytes = 2048 * MIB;
    r->config.models = model;
    r->config.n_models = model != NULL;
    r->f->backend = TF;
    rig_know(r, RIG_MODEL, 1);
    rig_know(r, OTHER, 11);
    rig_start(r);
    return r;
}

struct last_move {
    char to[32], reason[64];
};

static void on_event(void *ctx, const struct manager_event *e)
{
    struct last_move *m = ctx;
    if (strcmp(e->type, "deployment") || strcmp(e->to, "draining"))
        return;
    snprintf(m->reason, sizeof(m->reason), "%s", e->reason);
}

/* Turns the clock and answers PINGs, as a worker that lives would. */
static void turn(struct rig *r, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        fake_turn(r->f, 1000);
        for (int k = 0; k < r->f->n_children; k++) {
            struct world_child *c = r->f->children[k];
            if (c->alive && fake_got(c, FRAME_LOAD, 0) &&
                c->program != WORLD_INSPECTOR) {
                fake_forget_pings(c);
                fake_pong(c, r->f->now_ns);
            }
        }
    }
}

static void an_idle_model_goes_after_its_time(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    struct last_move m = {"", ""};
    struct asked a = {0}, b = {0};
    struct manager_subscription *s =
        manager_subscribe(r->m, UINT64_MAX, on_event, &m);
    rig_load(r);
    turn(r, 200);
    rig_submit(r, &a, 1);
    turn(r, 299); /* busy is not idle */
    assert_true(fake_answer(fake_last(r->f, WORLD_WORKER), a.id));
    turn(r, 299);
    assert_string_equal(rig_state(r), "ready");
    turn(r, 2);
    assert_string_equal(rig_state(r), "idle");
    assert_string_equal(m.reason, "idle for 300 s");
    assert_int_equal(rig_reserved(r), 0);
    rig_submit(r, &b, 1); /* and comes back when it is asked */
    assert_true(fake_answer(fake_last(r->f, WORLD_WORKER), b.id));
    assert_int_equal(b.done, 1);
    manager_unsubscribe(r->m, s);
    rig_end(r);
}

static void a_job_that_comes_while_it_goes_waits(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    w->stubborn = true;
    turn(r, 301);
    assert_string_equal(rig_state(r), "draining");
    rig_submit(r, &a, 1);
    assert_int_equal(a.failed, 0);
    fake_exit(w, 0, 0);
    fake_settle(r->f);
    assert_true(fake_answer(fake_last(r->f, WORLD_WORKER), a.id));
    assert_int_equal(a.items, 1);
    rig_end(r);
}

/* Whoever asked has left: there is nobody to load it for. */
static void a_job_that_left_meanwhile_does_not_bring_it_back(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    w->stubborn = true;
    turn(r, 301);
    rig_submit(r, &a, 1);
    manager_cancel(r->m, a.id);
    fake_exit(w, 0, 0);
    fake_settle(r->f);
    assert_string_equal(rig_state(r), "idle");
    assert_int_equal(rig_reserved(r), 0);
    rig_end(r);
}

static void who_stays(void **state)
{
    (void)state;
    static const struct {
        struct manager_model_config model;
        const char *after;
    } rows[] = {
        {{.name = RIG_MODEL, .keep_alive_s = -1}, "ready"},
        {{.name = RIG_MODEL, .pin = true}, "ready"},
        {{.name = RIG_MODEL, .preload = true}, "ready"},
        {{.name = RIG_MODEL, .preload = true, .keep_alive_s = 60}, "idle"},
        {{.name = RIG_MODEL, .keep_alive_s = 5000}, "ready"},
        {{.name = RIG_MODEL, .backend = "transformers"}, "idle"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig *r = begin(&rows[i].model);
        struct manager_status s;
        assert_int_equal(rig_ask(r, RIG_MODEL, NULL)->code, 0);
        turn(r, 400);
        assert_string_equal(rig_state(r), rows[i].after);
        manager_status(r->m, &s);
        assert_true(s.preloads_ready); /* it was; asked for, it is again */
        rig_end(r);
    }
}

/* ---- what is wished ---- */

static void a_wish_changes_how_long_and_whether(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    const struct manager_wish brief = {.keep_alive_s = 10}, pin = {.pin = true},
                              unpin = {.unpin = true};
    assert_int_equal(rig_ask(r, RIG_MODEL, &brief)->code, 0);
    turn(r, 8);
    assert_int_equal(rig_ask(r, RIG_MODEL, &pin)->code, 0);
    turn(r, 30);
    assert_string_equal(rig_state(r), "ready");
    assert_int_equal(rig_ask(r, RIG_MODEL, &unpin)->code, 0);
    turn(r, 1);
    assert_string_equal(rig_state(r), "idle");
    rig_end(r);
}

static void a_wish_does_not_change_what_is_loaded(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    const struct manager_wish other = {.backend = "transformers"},
                              same = {.backend = "auto", .dtype = "exact"},
                              bad = {.dtype = "f8"};
    struct outcome o = {0};
    rig_load(r);
    assert_int_equal(rig_ask(r, RIG_MODEL, &same)->code, 0);
    assert_int_equal(rig_ask(r, RIG_MODEL, &bad)->code, -E_INVALID_REQUEST);
    struct outcome *refused = rig_ask(r, RIG_MODEL, &other);
    assert_int_equal(refused->code, -E_CONFLICT);
    assert_non_null(strstr(refused->err.msg, "unload it first"));
    assert_int_equal(manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(rig_ask(r, RIG_MODEL, &other)->code, 0);
    assert_int_equal(fake_alive(r->f, WORLD_TRANSFORMERS), 1);
    rig_end(r);
}

static void what_the_configuration_says_stands(void **state)
{
    (void)state;
    const struct manager_model_config model = {
        .name = RIG_MODEL, .backend = "native", .priority = 6, .pin = true};
    struct rig *r = begin(&model);
    const struct manager_wish wishes[] = {
        {.backend = "transformers"}, {.priority = 2}, {.unpin = true}};
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        struct outcome *o = rig_ask(r, RIG_MODEL, &wishes[i]);
        assert_int_equal(o->code, -E_CONFLICT);
        assert_non_null(strstr(o->err.msg, "declared in the configuration"));
    }
    const struct manager_wish task = {.task = "fill-mask", .priority = 6};
    assert_int_equal(rig_ask(r, RIG_MODEL, &task)->code, 0);
    rig_end(r);
}

/* ---- interpreters that wait ---- */

static const struct manager_wish by_transformers = {.backend = "transformers"};

static struct rig *begin_standby(int n, uint64_t mib)
{
    struct rig *r = rig_new();
    r->config.standby = n;
    r->config.memory_bytes = mib * MIB;
    r->f->backend = TF;
    rig_know(r, RIG_MODEL, 1);
    rig_know(r, OTHER, 11);
    rig_start(r);
    return r;
}

static uint32_t waiting(struct rig *r)
{
    struct manager_status s;
    manager_status(r->m, &s);
    assert_int_equal(s.standby > 0, s.standby_pid > 0);
    return s.standby;
}

static void unloaded(struct rig *r, const char *name)
{
    struct outcome o = {0};
    assert_int_equal(manager_unload(r->m, name, rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o.n, 1);
}

static void one_waits_once_the_backend_is_in_use_and_is_adopted(void **state)
{
    (void)state;
    struct rig *r = begin_standby(1, 2048);
    struct asked a = {0};
    assert_int_equal(waiting(r), 0);
    rig_load(r); /* natively */
    assert_int_equal(fake_spawned(r->f, WORLD_TRANSFORMERS), 0);
    unloaded(r, RIG_MODEL);
    r->f->deaf_workers = true;
    rig_ask(r, RIG_MODEL, &by_transformers);
    assert_int_equal(fake_spawned(r->f, WORLD_TRANSFORMERS), 1);
    struct world_child *first = fake_last(r->f, WORLD_TRANSFORMERS);
    first->deaf = r->f->deaf_workers = false;
    fake_settle(r->f);
    assert_int_equal(waiting(r), 1); /* not before the load is over */
    struct world_child *standby = fake_last(r->f, WORLD_TRANSFORMERS);
    assert_ptr_not_equal(first, standby);
    assert_string_equal(standby->launch, TF " cpu /cache");
    uint64_t with_one = rig_reserved(r);
    assert_int_equal(rig_ask(r, OTHER, &by_transformers)->code, 0);
    assert_ptr_equal(fake_serving(r->f, OTHER), standby);
    assert_int_equal(fake_got(standby, FRAME_LOAD, 0)->n_fds, 0);
    assert_int_equal(fake_spawned(r->f, WORLD_TRANSFORMERS), 3);
    assert_int_equal(waiting(r), 1);
    assert_true(rig_reserved(r) > with_one);
    struct manager_job like = {.priority = 5, .model = OTHER};
    assert_int_equal(rig_try(r, &a, &like, 1, 10), 0);
    fake_settle(r->f);
    assert_true(fake_answer(standby, a.id));
    assert_int_equal(a.done, 1);
    unloaded(r, OTHER);
    unloaded(r, RIG_MODEL);
    assert_int_equal(rig_reserved(r), 352 * MIB);
    rig_end(r);
}

static void none_waits_where_none_is_to(void **state)
{
    (void)state;
    struct rig *r = begin_standby(0, 2048);
    assert_int_equal(rig_ask(r, RIG_MODEL, &by_transformers)->code, 0);
    assert_int_equal(waiting(r), 0);
    assert_int_equal(fake_spawned(r->f, WORLD_TRANSFORMERS), 1);
    rig_end(r);
}

static void it_yields_before_anybody_else(void **state)
{
    (void)state;
    struct rig *r = begin_standby(1, 880); /* 481 and 352; then 27 and 567 */
    const struct manager_wish native = {.backend = "native"};
    assert_int_equal(rig_ask(r, RIG_MODEL, &by_transformers)->code, 0);
    assert_int_equal(waiting(r), 1);
    r->f->sized[r->f->n_sized].id = OTHER;
    r->f->sized[r->f->n_sized++].weights = 550 * MIB;
    unloaded(r, RIG_MODEL);
    assert_int_equal(rig_ask(r, RIG_MODEL, &native)->code, 0);
    r->f->cache[1].inode = 500; /* inspected anew: it is large now */
    assert_int_equal(rig_ask(r, OTHER, NULL)->code, 0);
    assert_string_equal(rig_state_of(r, OTHER), "ready");
    assert_string_equal(rig_state(r), "ready");
    assert_int_equal(waiting(r), 0); /* there is no room for one */
    assert_true(rig_reserved(r) <= 880 * MIB);
    unloaded(r, OTHER);
    assert_int_equal(waiting(r), 1);
    rig_end(r);
}

static void one_that_dies_is_not_started_in_a_loop(void **state)
{
    (void)state;
    struct rig *r = begin_standby(1, 2048);
    assert_int_equal(rig_ask(r, RIG_MODEL, &by_transformers)->code, 0);
    int before = fake_spawned(r->f, WORLD_TRANSFORMERS);
    for (int i = 0; i < 1000; i++) {
        struct world_child *c = fake_last(r->f, WORLD_TRANSFORMERS);
        if (c && !fake_got(c, FRAME_LOAD, 0))
            fake_exit(c, 1, 0);
        fake_pong(fake_serving(r->f, RIG_MODEL), (uint64_t)i);
        fake_turn(r->f, 100);
    }
    assert_int_equal(fake_spawned(r->f, WORLD_TRANSFORMERS) - before, 5);
    assert_int_equal(rig_ask(r, OTHER, &by_transformers)->code, 0);
    assert_int_equal(waiting(r), 1); /* the backend works: once more */
    rig_end(r);
}

static void one_that_may_not_read_the_model_is_left_alone(void **state)
{
    (void)state;
    struct rig *r = begin_standby(1, 2048);
    struct outcome o = {0};
    assert_int_equal(rig_ask(r, RIG_MODEL, &by_transformers)->code, 0);
    struct world_child *standby = fake_last(r->f, WORLD_TRANSFORMERS);
    assert_int_equal(
        manager_add(r->m, "mine", "/srv/mine", rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o.code, 0);
    assert_int_equal(rig_ask(r, "mine", &by_transformers)->code, 0);
    struct world_child *w = fake_serving(r->f, "mine");
    assert_ptr_not_equal(w, standby);
    assert_string_equal(w->launch, TF " cpu /srv/mine");
    fake_settle(r->f); /* the old one knows too little */
    assert_false(standby->alive);
    assert_string_equal(fake_last(r->f, WORLD_TRANSFORMERS)->launch,
                        TF " cpu /cache /srv/mine");
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_model_goes_after_its_time),
        cmocka_unit_test(a_job_that_comes_while_it_goes_waits),
        cmocka_unit_test(a_job_that_left_meanwhile_does_not_bring_it_back),
        cmocka_unit_test(who_stays),
        cmocka_unit_test(a_wish_changes_how_long_and_whether),
        cmocka_unit_test(a_wish_does_not_change_what_is_loaded),
        cmocka_unit_test(what_the_configuration_says_stands),
        cmocka_unit_test(one_waits_once_the_backend_is_in_use_and_is_adopted),
        cmocka_unit_test(none_waits_where_none_is_to),
        cmocka_unit_test(it_yields_before_anybody_else),
        cmocka_unit_test(one_that_dies_is_not_started_in_a_loop),
        cmocka_unit_test(one_that_may_not_read_the_model_is_left_alone),
    };
    return cmocka_run_group_tests_name("manager_idle", tests, NULL, NULL);
}
