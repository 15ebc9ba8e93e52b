/* What does not fit makes room: who goes, who may not, and that nobody waits
 * for ever. A model's need is its weights and 17 MiB. */
#include "base/attr.h"
#include "base/mem.h"
#include "fake_world.h"
#include "manager_rig.h"
#include "unit.h"
#include <stdio.h>

#define MIB (UINT64_C(1) << 20)

enum { NAMES = 4, OVERHEAD = 17 };
static const char *const names[NAMES] = {"org/a", "org/b", "org/c", "org/d"};

/* Models of so many MiB all told, 0 = none, in a budget of 100. */
static struct rig *begin(const unsigned mib[NAMES])
{
    struct rig *r = rig_new();
    for (int i = 0; i < NAMES && mib[i]; i++) {
        rig_know(r, names[i], 1 + 10 * (uint64_t)i);
        r->f->sized[r->f->n_sized].id = names[i];
        r->f->sized[r->f->n_sized++].weights = (mib[i] - OVERHEAD) * MIB;
    }
    rig_start(r);
    return r;
}

static void loaded(struct rig *r, const char *name)
{
    assert_int_equal(rig_ask(r, name, NULL)->code, 0);
    assert_string_equal(rig_state_of(r, name), "ready");
    fake_turn(r->f, 10);
}

static void submit(struct rig *r, struct asked *a, const char *name)
{
    struct manager_job like = {.priority = 5, .model = name};
    assert_int_equal(rig_try(r, a, &like, 1, 10), 0);
    fake_settle(r->f);
}

static void answered(struct rig *r, struct asked *a, const char *name)
{
    assert_true(fake_answer(fake_serving(r->f, name), a->id));
    fake_settle(r->f);
    assert_int_equal(a->items, 1);
}

/* The reason of the last move of a deployment to draining. */
struct moves {
    char reason[128], model[64];
    int n;
};

static void on_event(void *ctx, const struct manager_event *e)
{
    struct moves *m = ctx;
    if (strcmp(e->type, "deployment") || strcmp(e->to, "draining"))
        return;
    m->n++;
    snprintf(m->reason, sizeof(m->reason), "%s", e->reason);
    snprintf(m->model, sizeof(m->model), "%s", e->model);
}

static void the_one_that_is_idle_for_longest_goes(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){40, 40, 40, 0});
    struct moves m = {0};
    struct asked a = {0};
    struct manager_subscription *s =
        manager_subscribe(r->m, UINT64_MAX, on_event, &m);
    loaded(r, names[0]);
    loaded(r, names[1]);
    submit(r, &a, names[0]);
    answered(r, &a, names[0]);
    loaded(r, names[2]);
    assert_string_equal(rig_state_of(r, names[0]), "ready");
    assert_string_equal(rig_state_of(r, names[1]), "idle");
    assert_int_equal(m.n, 1);
    assert_string_equal(m.model, names[1]);
    assert_string_equal(m.reason, "to make room for org/c");
    assert_int_equal(rig_reserved(r), 80 * MIB);
    manager_unsubscribe(r->m, s);
    rig_end(r);
}

static void the_lowest_priority_goes_first(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){40, 40, 40, 0});
    const struct manager_wish high = {.priority = 7}, low = {.priority = 3};
    rig_ask(r, names[0], &high);
    fake_turn(r->f, 10);
    rig_ask(r, names[1], NULL);
    fake_turn(r->f, 10);
    loaded(r, names[2]); /* a was idle for longer */
    assert_string_equal(rig_state_of(r, names[0]), "ready");
    assert_string_equal(rig_state_of(r, names[1]), "idle");
    struct outcome *o = rig_ask(r, names[1], &low); /* lower than both */
    assert_int_equal(o->code, -E_INSUFFICIENT_MEMORY);
    assert_string_equal(rig_state_of(r, names[2]), "ready");
    rig_end(r);
}

static void no_more_go_than_must(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){20, 60, 20, 70});
    loaded(r, names[0]);
    loaded(r, names[1]);
    loaded(r, names[2]);
    loaded(r, names[3]); /* a and b; c may stay, though it was idle, too */
    assert_string_equal(rig_state_of(r, names[0]), "idle");
    assert_string_equal(rig_state_of(r, names[1]), "idle");
    assert_string_equal(rig_state_of(r, names[2]), "ready");
    loaded(r, names[1]); /* d alone is enough: c, idle for longer, stays */
    assert_string_equal(rig_state_of(r, names[2]), "ready");
    assert_string_equal(rig_state_of(r, names[3]), "idle");
    rig_end(r);
}

static void what_could_never_fit_sends_nobody_away(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){40, 40, 30, 101});
    const struct manager_wish pin = {.pin = true};
    rig_ask(r, names[0], &pin);
    loaded(r, names[1]);
    struct outcome *o = rig_ask(r, names[3], NULL);
    assert_int_equal(o->code, -E_INSUFFICIENT_MEMORY);
    assert_non_null(strstr(o->err.msg, "needs 101.0 MiB of memory; 20.0 MiB "
                                       "of the budget of 100.0 MiB are free, "
                                       "and 40.0 MiB more"));
    assert_string_equal(rig_state_of(r, names[0]), "ready");
    assert_string_equal(rig_state_of(r, names[1]), "ready");
    loaded(r, names[2]); /* pinned ones stay */
    assert_string_equal(rig_state_of(r, names[0]), "ready");
    assert_string_equal(rig_state_of(r, names[1]), "idle");
    rig_end(r);
}

static void a_busy_one_goes_after_a_while_and_comes_back(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){60, 60, 0, 0});
    struct asked flies = {0}, later = {0}, other = {0};
    loaded(r, names[0]);
    submit(r, &flies, names[0]);
    struct world_child *w = fake_serving(r->f, names[0]);
    submit(r, &other, names[1]);
    fake_turn(r->f, 1900);
    assert_string_equal(rig_state_of(r, names[0]), "ready");
    assert_string_equal(rig_state_of(r, names[1]), "loading");
    fake_pong(w, 1);
    fake_turn(r->f, 200);
    assert_string_equal(rig_state_of(r, names[0]), "draining");
    submit(r, &later, names[0]); /* not refused, not given to it any more */
    assert_int_equal(fake_count(w, FRAME_JOB), 1);
    answered(r, &flies, names[0]);
    assert_string_equal(rig_state_of(r, names[1]), "ready");
    assert_string_equal(rig_state_of(r, names[0]), "loading");
    fake_turn(r->f, 2500); /* not before b has answered its job */
    assert_string_equal(rig_state_of(r, names[1]), "ready");
    answered(r, &other, names[1]);
    assert_string_equal(rig_state_of(r, names[0]), "ready");
    answered(r, &later, names[0]);
    assert_int_equal(flies.done + later.done + other.done, 3);
    rig_end(r);
}

static void an_operator_ends_what_was_to_come_back(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){60, 60, 0, 0});
    struct asked flies = {0}, later = {0}, other = {0};
    struct outcome o = {0};
    loaded(r, names[0]);
    submit(r, &flies, names[0]);
    submit(r, &other, names[1]);
    for (int i = 0; i < 3; i++) {
        fake_pong(fake_serving(r->f, names[0]), (uint64_t)i);
        fake_turn(r->f, 1000);
    }
    assert_string_equal(rig_state_of(r, names[0]), "draining");
    submit(r, &later, names[0]);
    assert_int_equal(manager_unload(r->m, names[0], rig_outcome, &o, &r->err),
                     0);
    fake_settle(r->f);
    assert_int_equal(later.err.code, E_DRAINING);
    answered(r, &flies, names[0]);
    assert_int_equal(o.n, 1);
    assert_string_equal(rig_state_of(r, names[0]), "idle");
    answered(r, &other, names[1]);
    rig_end(r);
}

/* The second in line is served when the first has been, whatever is free. */
static void two_that_wait_do_not_hold_each_other(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){45, 45, 80, 90});
    struct asked a = {0}, b = {0}, c = {0}, d = {0};
    submit(r, &a, names[0]);
    submit(r, &b, names[1]);
    submit(r, &c, names[2]);
    submit(r, &d, names[3]);
    assert_string_equal(rig_state_of(r, names[2]), "loading");
    assert_string_equal(rig_state_of(r, names[3]), "loading");
    answered(r, &a, names[0]);
    assert_string_equal(rig_state_of(r, names[0]), "ready"); /* not enough */
    answered(r, &b, names[1]);
    assert_string_equal(rig_state_of(r, names[0]), "idle");
    assert_string_equal(rig_state_of(r, names[1]), "idle");
    assert_string_equal(rig_state_of(r, names[2]), "ready");
    assert_string_equal(rig_state_of(r, names[3]), "loading");
    answered(r, &c, names[2]);
    assert_string_equal(rig_state_of(r, names[3]), "ready");
    answered(r, &d, names[3]);
    rig_end(r);
}

struct reasons {
    char reason[64];
};

static void see_reason(void *ctx, const struct manager_model_view *v)
{
    struct reasons *s = ctx;
    snprintf(s->reason, sizeof(s->reason), "%s", v->reason);
}

static void whoever_waits_says_so_and_may_give_up(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){60, 60, 0, 0});
    struct asked a = {0}, b = {0};
    struct reasons s;
    submit(r, &a, names[0]);
    submit(r, &b, names[1]);
    assert_int_equal(manager_show(r->m, names[1], see_reason, &s, &r->err), 0);
    assert_string_equal(s.reason, "waiting for memory");
    manager_cancel(r->m, b.id); /* nobody wants it any more */
    answered(r, &a, names[0]);
    assert_string_equal(rig_state_of(r, names[1]), "idle");
    assert_string_equal(rig_state_of(r, names[0]), "ready");
    rig_end(r);
}

static void a_victim_that_dies_makes_room_too(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){60, 60, 0, 0});
    struct asked a = {0}, b = {0};
    submit(r, &a, names[0]);
    submit(r, &b, names[1]);
    fake_exit(fake_serving(r->f, names[0]), 1, 0);
    fake_settle(r->f);
    assert_string_equal(rig_state_of(r, names[1]), "ready");
    answered(r, &b, names[1]);
    fake_turn(r->f, 500);
    answered(r, &a, names[0]);
    rig_end(r);
}

/* ---- clients in a closed loop ---- */

enum { CLIENTS = 8, ROUNDS = 60 };

struct client {
    struct asked a;
    int at, rounds; /* which model next */
};

/* Answers whatever any worker has, one answer each; checks the budget. */
static void serve_some(struct rig *r, struct client *clients)
{
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &clients[i];
        const char *name = names[c->at];
        struct world_child *w = fake_serving(r->f, name);
        for (int k = w ? fake_count(w, FRAME_JOB) : 0; k-- > 0;)
            if (fake_got(w, FRAME_JOB, k)->job == c->a.id && !c->a.done)
                assert_true(fake_answer(w, c->a.id));
        fake_settle(r->f);
        assert_true(rig_reserved(r) <= 100 * MIB);
    }
}

static void three_that_fit_two_at_a_time_take_turns(void **state)
{
    (void)state;
    struct rig *r = begin((unsigned[]){45, 45, 45, 0});
    struct client clients[CLIENTS] = {{{0}, 0, 0}};
    struct moves m = {0};
    struct manager_subscription *s =
        manager_subscribe(r->m, UINT64_MAX, on_event, &m);
    r->config.queue_jobs = 100;
    int left = CLIENTS * ROUNDS, turns = 0;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i].at = i % 3;
        submit(r, &clients[i].a, names[i % 3]);
    }
    while (left > 0) {
        assert_true(turns++ < 4000);
        serve_some(r, clients);
        for (int i = 0; i < CLIENTS; i++) {
            struct client *c = &clients[i];
            if (!c->a.done || c->rounds == ROUNDS)
                continue;
            assert_int_equal(c->a.items, 1);
            left--;
            if (++c->rounds == ROUNDS)
                continue;
            c->at = (c->at + 1) % 3;
            c->a = (struct asked){0};
            submit(r, &c->a, names[c->at]);
        }
        for (int i = 0; i < r->f->n_children; i++)
            if (r->f->children[i]->alive &&
                r->f->children[i]->program == WORLD_WORKER)
                fake_pong(r->f->children[i], (uint64_t)turns);
        fake_turn(r->f, 20);
    }
    assert_true(m.n > 0);
    print_message("%d answers, %d moves to make room\n", CLIENTS * ROUNDS, m.n);
    manager_unsubscribe(r->m, s);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_is_idle_for_longest_goes),
        cmocka_unit_test(the_lowest_priority_goes_first),
        cmocka_unit_test(no_more_go_than_must),
        cmocka_unit_test(what_could_never_fit_sends_nobody_away),
        cmocka_unit_test(a_busy_one_goes_after_a_while_and_comes_back),
        cmocka_unit_test(an_operator_ends_what_was_to_come_back),
        cmocka_unit_test(two_that_wait_do_not_hold_each_other),
        cmocka_unit_test(whoever_waits_says_so_and_may_give_up),
        cmocka_unit_test(a_victim_that_dies_makes_room_too),
        cmocka_unit_test(three_that_fit_two_at_a_time_take_turns),
    };
    return cmocka_run_group_tests_name("manager_room", tests, NULL, NULL);
}
