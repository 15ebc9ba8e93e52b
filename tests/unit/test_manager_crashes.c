#include "base/attr.h"
#include "base/mem.h"
#include "fake_world.h"
#include "manager_rig.h"
#include "unit.h"
#include <signal.h>
#include <stdio.h>

static int setup(void **state)
{
    struct rig *r = rig_new();
    r->config.queue_jobs = 20;
    rig_know(r, RIG_MODEL, 1);
    rig_start(r);
    *state = r;
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)

static struct world_child *worker(struct rig *r)
{
    return fake_last(r->f, WORLD_WORKER);
}

static void kill_worker(struct rig *r)
{
    fake_exit(worker(r), 0, SIGKILL);
    fake_settle(r->f);
}

static void jobs_of_a_crash_are_retried_one_at_a_time(void **state)
{
    struct rig *r = *state;
    struct asked a[3] = {0}, later = {0};
    rig_load(r);
    for (int i = 0; i < 3; i++)
        rig_submit(r, &a[i], 1);
    kill_worker(r); /* the first pause is 0: it is up again */
    rig_submit(r, &later, 1);
    struct world_child *w = worker(r);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fake_count(w, FRAME_JOB), i + 1);
        assert_int_equal(fake_got(w, FRAME_JOB, i)->job, a[i].id);
        fake_answer(w, a[i].id);
        fake_settle(r->f);
        assert_int_equal(a[i].done, 1);
        assert_int_equal(a[i].failed, 0);
    }
    assert_int_equal(fake_count(w, FRAME_JOB), 4);
    fake_answer(w, later.id);
    assert_int_equal(later.done, 1);
}

static void items_that_were_answered_are_not_run_again(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    rig_load(r);
    rig_submit(r, &a, 4);
    assert_true(fake_answer_item(worker(r), a.id, 1));
    assert_true(fake_answer_item(worker(r), a.id, 2));
    kill_worker(r);
    const struct fake_sent *again = fake_got(worker(r), FRAME_JOB, 0);
    assert_int_equal(wire_get(again->body, "items")->count, 2);
    assert_true(fake_answer(worker(r), a.id));
    assert_int_equal(a.items, 4);
    assert_int_equal(a.failed, 0);
    assert_int_equal(a.done, 1);
}

static void a_job_that_kills_twice_is_answered_and_innocents_live(void **state)
{
    struct rig *r = *state;
    struct asked poison = {0}, innocent[2] = {0};
    rig_load(r);
    rig_submit(r, &poison, 1);
    rig_submit(r, &innocent[0], 1);
    rig_submit(r, &innocent[1], 1);
    kill_worker(r);
    assert_int_equal(fake_got(worker(r), FRAME_JOB, 0)->job, poison.id);
    kill_worker(r);
    assert_int_equal(poison.done, 1);
    assert_int_equal(poison.err.code, E_WORKER_CRASHED);
    fake_turn(r->f, 200);
    for (int i = 0; i < 2; i++) {
        assert_true(fake_answer(worker(r), innocent[i].id));
        fake_settle(r->f);
        assert_int_equal(innocent[i].done, 1);
        assert_int_equal(innocent[i].failed, 0);
    }
    assert_int_equal(fake_spawned(r->f, WORLD_WORKER), 3);
}

/* Texts of different lengths are different requests. */
static int try_text(struct rig *r, struct asked *a, size_t bytes)
{
    const struct manager_job like = {.priority = 5};
    int code = rig_try(r, a, &like, 1, bytes);
    fake_settle(r->f);
    return code;
}

static void falls(struct rig *r, int code, int signal)
{
    fake_exit(worker(r), code, signal);
    fake_settle(r->f);
    fake_turn(r->f, 300);
}

static void a_request_that_kills_alone_is_refused_for_ten_minutes(void **state)
{
    struct rig *r = *state;
    struct asked first = {0}, again = {0}, other = {0}, later = {0};
    rig_load(r);
    assert_int_equal(try_text(r, &first, 20), 0);
    falls(r, 0, SIGSEGV);
    falls(r, 1, 0);
    assert_int_equal(first.err.code, E_WORKER_CRASHED);
    assert_int_equal(try_text(r, &again, 20), -E_WORKER_CRASHED);
    assert_non_null(strstr(r->err.msg, "it is refused for 600 s more"));
    assert_int_equal(try_text(r, &other, 21), 0);
    assert_true(fake_answer(worker(r), other.id));
    assert_int_equal(other.done, 1);
    r->f->now_ns += 601 * UINT64_C(1000000000);
    assert_int_equal(try_text(r, &later, 20), 0);
    manager_cancel(r->m, later.id);
}

static void whoever_is_killed_from_outside_blames_nobody(void **state)
{
    struct rig *r = *state;
    struct asked first = {0}, again = {0};
    rig_load(r);
    assert_int_equal(try_text(r, &first, 20), 0);
    falls(r, 0, SIGKILL);
    falls(r, 0, SIGKILL);
    assert_int_equal(first.err.code, E_WORKER_CRASHED);
    assert_int_equal(try_text(r, &again, 20), 0);
    manager_cancel(r->m, again.id);
}

static void pauses_double_from_nothing_to_ten_seconds(void **state)
{
    struct rig *r = *state;
    static const unsigned pauses[] = {0,    100,  200,  400,   800,
                                      1600, 3200, 6400, 10000, 10000};
    rig_load(r);
    for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
        int before = fake_spawned(r->f, WORLD_WORKER);
        kill_worker(r);
        if (pauses[i]) {
            assert_int_equal(fake_spawned(r->f, WORLD_WORKER), before);
            assert_string_equal(rig_state(r),
                                i < 5 ? "back_off" : "crash_loop");
            fake_turn(r->f, pauses[i] - 1);
            assert_int_equal(fake_spawned(r->f, WORLD_WORKER), before);
            fake_turn(r->f, 1);
        }
        fake_settle(r->f);
        assert_int_equal(fake_spawned(r->f, WORLD_WORKER), before + 1);
        assert_string_equal(rig_state(r), "ready");
    }
}

static void jitter_adds_at_most_a_quarter(void **state)
{
    struct rig *r = *state;
    rig_load(r);
    r->f->random = 24999999; /* of the 25 ms that 100 ms allow */
    kill_worker(r);
    kill_worker(r);
    fake_turn(r->f, 124);
    assert_string_equal(rig_state(r), "back_off");
    fake_turn(r->f, 1);
    fake_settle(r->f);
    assert_string_equal(rig_state(r), "ready");
}

static void an_answered_job_closes_the_breaker(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    rig_load(r);
    for (int i = 0; i < 5; i++) {
        kill_worker(r);
        fake_turn(r->f, 1000);
    }
    rig_submit(r, &a, 1);
    fake_answer(worker(r), a.id);
    kill_worker(r); /* counts as the first again: no pause */
    assert_string_equal(rig_state(r), "ready");
}

static void open_the_breaker(struct rig *r)
{
    rig_load(r);
    for (int i = 0; i < 5; i++) {
        kill_worker(r);
        fake_turn(r->f, 1000);
    }
    kill_worker(r);
    assert_string_equal(rig_state(r), "crash_loop");
}

static void the_breaker_refuses_and_probes_half_open(void **state)
{
    struct rig *r = *state;
    struct asked a = {0}, b[2] = {0};
    struct manager_job like = {.priority = 5};
    open_the_breaker(r);
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_CRASH_LOOP);
    assert_int_equal(manager_retry_after(r->m, RIG_MODEL), 2);
    fake_turn(r->f, 2000);
    assert_string_equal(rig_state(r), "ready");
    rig_submit(r, &b[0], 1);
    rig_submit(r, &b[1], 1);
    assert_int_equal(fake_count(worker(r), FRAME_JOB), 1); /* the probe */
    fake_answer(worker(r), b[0].id);
    fake_settle(r->f);
    fake_answer(worker(r), b[1].id);
    assert_int_equal(b[1].done, 1);
}

static void a_probe_that_dies_opens_it_again(void **state)
{
    struct rig *r = *state;
    open_the_breaker(r);
    fake_turn(r->f, 2000);
    kill_worker(r);
    assert_string_equal(rig_state(r), "crash_loop");
}

static void an_operator_need_not_wait_for_the_pause(void **state)
{
    struct rig *r = *state;
    open_the_breaker(r);
    rig_load(r);
    assert_string_equal(rig_state(r), "ready");
}

static void jobs_that_wait_when_the_breaker_opens_are_told(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    struct outcome loaded = {0};
    r->f->deaf_workers = true;
    rig_submit(r, &a, 1);
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &loaded, &r->err), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(a.done, 0);
        kill_worker(r);
        fake_turn(r->f, 1000);
    }
    assert_int_equal(a.done, 1);
    assert_int_equal(a.err.code, E_CRASH_LOOP);
    assert_int_equal(loaded.code, -E_CRASH_LOOP);
    r->f->deaf_workers = false;
}

static void a_job_whose_deadline_ends_in_the_pause_is_refused(void **state)
{
    struct rig *r = *state;
    struct asked a = {0}, b = {0};
    rig_load(r);
    for (int i = 0; i < 4; i++) {
        kill_worker(r);
        if (i < 3)
            fake_turn(r->f, 500);
    }
    assert_string_equal(rig_state(r), "back_off"); /* 400 ms */
    struct manager_job hasty = {.priority = 5,
                                .deadline_ns = r->f->now_ns + 100000000},
                       patient = {.priority = 5};
    assert_int_equal(rig_try(r, &a, &hasty, 1, 10), -E_BACK_OFF);
    assert_int_equal(rig_try(r, &b, &patient, 1, 10), 0);
    fake_turn(r->f, 500);
    fake_answer(worker(r), b.id);
    assert_int_equal(b.done, 1);
}

static void a_restart_that_cannot_start_tries_again(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    rig_load(r);
    rig_submit(r, &a, 1);
    r->f->refuses_spawn = true;
    kill_worker(r);
    assert_string_equal(rig_state(r), "back_off");
    r->f->refuses_spawn = false;
    fake_turn(r->f, 200);
    assert_true(fake_answer(worker(r), a.id));
    assert_int_equal(a.done, 1);
    assert_int_equal(a.failed, 0);
}

static void see_words(void *ctx, const struct manager_model_view *v)
{
    struct err *seen = ctx;
    snprintf(seen->msg, sizeof(seen->msg), "%s|%s", v->reason, v->last_words);
}

static void last_words_are_kept(void **state)
{
    struct rig *r = *state;
    struct err seen = {0};
    struct world_child *w = rig_load(r);
    w->ears->line(w->ctx, str_of("loading"));
    w->ears->line(w->ctx, str_of("assertion \x1b[1m failed"));
    fake_exit(w, 3, 0);
    fake_settle(r->f);
    fake_exit(worker(r), 3, 0);
    assert_int_equal(manager_show(r->m, RIG_MODEL, see_words, &seen, &r->err),
                     0);
    assert_non_null(strstr(seen.msg, "exit 3|"));
    assert_true(str_is(manager_log(r->m, RIG_MODEL),
                       "loading\nassertion ?[1m failed\n"));
}

/* ---- hangs ---- */

static void a_worker_without_progress_is_aborted_then_killed(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 1);
    fake_pong(w, 5);
    fake_turn(r->f, 1000);
    fake_pong(w, 6);
    for (int i = 0; i < 3; i++) {
        fake_turn(r->f, 1000);
        fake_pong(w, 6); /* it answers, but nothing moves */
        assert_int_equal(w->signal, 0);
    }
    fake_turn(r->f, 1000);
    assert_int_equal(w->signal, SIGABRT);
    assert_true(w->alive);
    fake_turn(r->f, 1000);
    assert_false(w->alive);
    assert_int_equal(w->signal, SIGKILL);
    fake_answer(worker(r), a.id);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.failed, 0);
}

static void a_worker_that_moves_is_left_alone(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 1);
    for (uint64_t i = 0; i < 60; i++) {
        fake_turn(r->f, 1000);
        fake_pong(w, i);
    }
    assert_int_equal(w->signal, 0);
    fake_answer(w, a.id);
    assert_int_equal(a.done, 1);
}

static void an_idle_worker_need_only_answer(void **state)
{
    struct rig *r = *state;
    struct world_child *w = rig_load(r);
    for (int i = 0; i < 60; i++) {
        fake_turn(r->f, 1000);
        fake_pong(w, 5);
    }
    assert_int_equal(w->signal, 0);
    fake_turn(r->f, 13000);
    assert_int_equal(w->signal, SIGKILL);
}

/* A daemon that was stopped for a minute finds one PING unanswered, not 60. */
static void a_sleep_of_the_daemon_is_no_hang(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 1);
    fake_turn(r->f, 1000);
    fake_pong(w, 1);
    r->f->now_ns += 60 * UINT64_C(1000000000);
    fake_settle(r->f);
    fake_pong(w, 2);
    fake_turn(r->f, 1000);
    assert_int_equal(w->signal, 0);
    fake_answer(w, a.id);
}

static void loading_has_its_limit(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    r->f->deaf_workers = true;
    rig_submit(r, &a, 1);
    struct world_child *w = worker(r);
    struct wire_map m = fake_begin(w, FRAME_HELLO, 0);
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", "test");
    wire_kz(&m, "kind", "native");
    assert_true(fake_say(w, &m));
    fake_turn(r->f, 119000);
    assert_int_equal(w->signal, 0);
    fake_turn(r->f, 1000);
    assert_int_equal(w->signal, SIGABRT);
    r->f->deaf_workers = false;
    manager_cancel(r->m, a.id);
}

static void a_child_that_never_greets_is_killed(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    r->f->deaf_workers = true;
    rig_submit(r, &a, 1);
    struct world_child *w = worker(r);
    r->f->deaf_workers = false;
    fake_turn(r->f, 9900);
    assert_int_equal(w->signal, 0);
    fake_turn(r->f, 200);
    assert_int_equal(w->signal, SIGKILL);
    fake_answer(worker(r), a.id);
    assert_int_equal(a.done, 1);
}

/* ---- what a child says is outside data ---- */

static struct wire_map done_frame(struct world_child *w, uint64_t job,
                                  uint64_t item)
{
    struct wire_map m = fake_begin(w, FRAME_DONE, job);
    wire_kuint(&m, "item", item);
    return m;
}

static void expect_killed(struct rig *r, struct world_child *w,
                          struct wire_map m)
{
    assert_false(fake_say(w, &m));
    assert_int_equal(w->signal, SIGKILL);
    fake_settle(r->f);
    assert_false(w->alive);
}

static void an_answer_to_an_unknown_job_kills(void **state)
{
    struct rig *r = *state;
    struct world_child *w = rig_load(r);
    expect_killed(r, w, done_frame(w, 4711, 0));
    assert_string_equal(rig_state(r), "ready"); /* another one */
}

static void an_answer_to_an_unknown_item_kills(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 2);
    expect_killed(r, w, done_frame(w, a.id, 2));
    fake_answer(worker(r), a.id);
    assert_int_equal(a.items, 2);
    assert_int_equal(a.done, 1);
}

static void a_second_answer_kills(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 2);
    assert_true(fake_answer_item(w, a.id, 1));
    expect_killed(r, w, done_frame(w, a.id, 1));
    assert_int_equal(a.items, 1);
    fake_answer(worker(r), a.id);
    assert_int_equal(a.items, 2);
}

static void frames_out_of_turn_kill(void **state)
{
    struct rig *r = *state;
    struct world_child *w = rig_load(r);
    struct wire_map m = fake_begin(w, FRAME_PING, 0);
    wire_kuint(&m, "time_ns", 1);
    expect_killed(r, w, m);
    w = worker(r);
    assert_false(fake_ready(w)); /* a second READY */
    fake_turn(r->f, 1000);
    w = worker(r);
    m = fake_begin(w, FRAME_HELLO, 0);
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", "test");
    wire_kz(&m, "kind", "native");
    expect_killed(r, w, m);
}

static void say_hello_as(struct rig *r, uint64_t version, const char *kind)
{
    struct world_child *w = worker(r);
    struct wire_map m = fake_begin(w, FRAME_HELLO, 0);
    wire_kuint(&m, "version", version);
    wire_kz(&m, "build", "test");
    wire_kz(&m, "kind", kind);
    expect_killed(r, w, m);
    fake_turn(r->f, 1000);
}

static void a_wrong_greeting_kills(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    r->f->deaf_workers = true;
    rig_submit(r, &a, 1);
    say_hello_as(r, FRAME_VERSION + 1, "native");
    say_hello_as(r, FRAME_VERSION, "inspect");
    assert_false(fake_ready(worker(r))); /* before HELLO */
    r->f->deaf_workers = false;
    manager_cancel(r->m, a.id);
}

static void credit_beyond_reason_is_capped(void **state)
{
    struct rig *r = *state;
    struct world_child *w = rig_load(r);
    struct asked a = {0};
    for (int i = 0; i < 3; i++) {
        struct wire_map m = fake_begin(w, FRAME_CREDIT, 0);
        wire_kuint(&m, "jobs", INT32_MAX);
        wire_kuint(&m, "bytes", INT64_MAX);
        assert_true(fake_say(w, &m));
    }
    rig_submit(r, &a, 1);
    fake_answer(w, a.id);
    assert_int_equal(a.done, 1);
}

static void what_a_worker_refuses_is_the_deployments_failure(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    r->f->deaf_workers = true;
    rig_submit(r, &a, 1);
    struct world_child *w = worker(r);
    assert_true(
        fake_error(w, 0, "damaged_file", "config.json: no hidden_size"));
    fake_exit(w, 1, 0);
    fake_settle(r->f);
    assert_string_equal(rig_state(r), "failed");
    assert_int_equal(a.err.code, E_DAMAGED_FILE);
    assert_string_equal(a.err.msg, "config.json: no hidden_size");
    fake_turn(r->f, 20000);
    assert_int_equal(fake_spawned(r->f, WORLD_WORKER), 1); /* not by itself */
    r->f->deaf_workers = false;
    rig_load(r); /* asked again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(jobs_of_a_crash_are_retried_one_at_a_time),
        TEST(items_that_were_answered_are_not_run_again),
        TEST(a_job_that_kills_twice_is_answered_and_innocents_live),
        TEST(a_request_that_kills_alone_is_refused_for_ten_minutes),
        TEST(whoever_is_killed_from_outside_blames_nobody),
        TEST(pauses_double_from_nothing_to_ten_seconds),
        TEST(jitter_adds_at_most_a_quarter),
        TEST(an_answered_job_closes_the_breaker),
        TEST(the_breaker_refuses_and_probes_half_open),
        TEST(a_probe_that_dies_opens_it_again),
        TEST(an_operator_need_not_wait_for_the_pause),
        TEST(jobs_that_wait_when_the_breaker_opens_are_told),
        TEST(a_job_whose_deadline_ends_in_the_pause_is_refused),
        TEST(a_restart_that_cannot_start_tries_again),
        TEST(last_words_are_kept),
        TEST(a_worker_without_progress_is_aborted_then_killed),
        TEST(a_worker_that_moves_is_left_alone),
        TEST(an_idle_worker_need_only_answer),
        TEST(a_sleep_of_the_daemon_is_no_hang),
        TEST(loading_has_its_limit),
        TEST(a_child_that_never_greets_is_killed),
        TEST(an_answer_to_an_unknown_job_kills),
        TEST(an_answer_to_an_unknown_item_kills),
        TEST(a_second_answer_kills),
        TEST(frames_out_of_turn_kill),
        TEST(a_wrong_greeting_kills),
        TEST(credit_beyond_reason_is_capped),
        TEST(what_a_worker_refuses_is_the_deployments_failure),
    };
    return cmocka_run_group_tests_name("manager_crashes", tests, NULL, NULL);
}
