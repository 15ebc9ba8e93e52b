#include "base/attr.h"
#include "base/mem.h"
#include "fake_world.h"
#include "fault.h"
#include "manager_rig.h"
#include "unit.h"

static struct rig *ready_rig(uint64_t credit_jobs)
{
    struct rig *r = rig_new();
    rig_know(r, RIG_MODEL, 1);
    r->f->credit_jobs = credit_jobs;
    rig_start(r);
    return r;
}

static void the_queue_is_bounded_in_jobs(void **state)
{
    (void)state;
    struct rig *r = ready_rig(0);
    struct asked a[RIG_QUEUE_JOBS + 1] = {0};
    struct manager_job like = {.priority = 5};
    rig_load(r);
    for (int i = 0; i < RIG_QUEUE_JOBS; i++)
        assert_int_equal(rig_try(r, &a[i], &like, 1, 10), 0);
    assert_int_equal(rig_try(r, &a[RIG_QUEUE_JOBS], &like, 1, 10),
                     -E_QUEUE_FULL);
    assert_true(manager_retry_after(r->m, RIG_MODEL) >= 1);
    rig_end(r);
    for (int i = 0; i < RIG_QUEUE_JOBS; i++)
        assert_int_equal(a[i].done, 1);
    assert_int_equal(a[RIG_QUEUE_JOBS].done, 0);
}

static void the_queue_is_bounded_in_bytes(void **state)
{
    (void)state;
    struct rig *r = ready_rig(0);
    struct asked a[3] = {0};
    struct manager_job like = {.priority = 5};
    enum { MOST = RIG_QUEUE_BYTES - MANAGER_PART_BYTES };
    rig_load(r);
    assert_int_equal(rig_try(r, &a[0], &like, 1, MOST + 1), -E_TOO_LARGE);
    assert_int_equal(rig_try(r, &a[0], &like, 1, MOST), 0);
    assert_int_equal(rig_try(r, &a[1], &like, 1, 1), -E_QUEUE_FULL);
    manager_cancel(r->m, a[0].id);
    assert_int_equal(rig_try(r, &a[2], &like, 1, MOST), 0);
    rig_end(r);
}

/* A thousand empty texts are not nothing, and neither are parameters. */
static void the_queue_counts_what_it_holds(void **state)
{
    (void)state;
    enum { MANY = RIG_QUEUE_BYTES / MANAGER_PART_BYTES };
    struct rig *r = ready_rig(0);
    struct asked a[3] = {0};
    struct buf params = BUF_MAX(8192);
    char long_text[RIG_QUEUE_BYTES] = "";
    struct wire_map m = wire_map_open(&params);
    memset(long_text, 'x', sizeof(long_text) - 1);
    wire_kz(&m, "stop", long_text);
    wire_map_close(&m);
    struct manager_job like = {.priority = 5},
                       wide = {.priority = 5, .params = buf_str(&params)};
    rig_load(r);
    assert_int_equal(rig_try(r, &a[0], &like, MANY + 1, 0), -E_TOO_LARGE);
    assert_int_equal(rig_try(r, &a[1], &wide, 1, 0), -E_TOO_LARGE);
    assert_int_equal(rig_try(r, &a[2], &like, MANY, 0), 0);
    buf_fini(&params);
    rig_end(r);
}

/* It would end with a protocol error, and take everybody's jobs along. */
static void parameters_that_no_server_could_read_are_refused(void **state)
{
    (void)state;
    struct rig *r = ready_rig(1);
    struct asked a = {0};
    struct buf params = BUF_MAX(256);
    struct wire_map m = wire_map_open(&params);
    wire_kbool(&m, "normalize", true);
    wire_kbool(&m, "normalize", false);
    wire_map_close(&m);
    struct manager_job like = {.priority = 5, .params = buf_str(&params)};
    rig_load(r);
    assert_int_equal(rig_try(r, &a, &like, 1, 1), -E_INVALID_REQUEST);
    assert_string_equal(r->err.msg,
                        "the parameters: frame body: a key appears twice");
    buf_fini(&params);
    rig_end(r);
}

static void jobs_go_only_within_the_credit(void **state)
{
    (void)state;
    struct rig *r = ready_rig(2);
    struct asked a[3] = {0};
    struct world_child *w = rig_load(r);
    for (int i = 0; i < 3; i++)
        rig_submit(r, &a[i], 1);
    assert_int_equal(fake_count(w, FRAME_JOB), 2);
    fake_answer(w, a[0].id); /* gives the credit for one more */
    fake_settle(r->f);
    assert_int_equal(fake_count(w, FRAME_JOB), 3);
    rig_end(r);
}

/* Which job (by its place in a) the nth JOB frame was. */
static int nth_job(const struct world_child *w, const struct asked *a, int n,
                   int nth)
{
    const struct fake_sent *s = fake_got(w, FRAME_JOB, nth);
    for (int i = 0; i < n && s; i++)
        if (a[i].id == s->job)
            return i;
    return -1;
}

/* Lets the worker answer one job at a time and notes the order. */
static void run_all(struct rig *r, struct world_child *w, struct asked *a,
                    int n, int *order)
{
    struct wire_map m = fake_begin(w, FRAME_CREDIT, 0);
    wire_kuint(&m, "jobs", 1);
    assert_true(fake_say(w, &m));
    for (int i = 0; i < n; i++) {
        order[i] = nth_job(w, a, n, i);
        assert_true(order[i] >= 0);
        fake_answer(w, a[order[i]].id);
        fake_settle(r->f);
    }
}

static void priority_then_deadline_then_arrival_decide(void **state)
{
    (void)state;
    struct rig *r = ready_rig(0);
    r->config.queue_jobs = 10;
    rig_end(r);
    r = rig_new();
    r->config.queue_jobs = 10;
    rig_know(r, RIG_MODEL, 1);
    r->f->credit_jobs = 0;
    rig_start(r);
    uint64_t soon = r->f->now_ns + 10 * UINT64_C(1000000000), late = 2 * soon;
    const struct manager_job like[] = {
        {.priority = 5, .deadline_ns = late},
        {.priority = 5, .deadline_ns = soon},
        {.priority = 5, .deadline_ns = late},
        {.priority = 9, .deadline_ns = late},
        {.priority = 0, .deadline_ns = soon},
    };
    struct asked a[5] = {0};
    int order[5], want[] = {3, 1, 0, 2, 4};
    struct world_child *w = rig_load(r);
    for (int i = 0; i < 5; i++)
        assert_int_equal(rig_try(r, &a[i], &like[i], 1, 10), 0);
    run_all(r, w, a, 5, order);
    assert_memory_equal(order, want, sizeof(want));
    rig_end(r);
}

static void callers_take_turns(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    r->config.queue_jobs = 10;
    rig_know(r, RIG_MODEL, 1);
    r->f->credit_jobs = 0;
    rig_start(r);
    struct manager_job greedy = {.priority = 5, .caller = "greedy"},
                       modest = {.priority = 5, .caller = "modest"};
    struct asked a[6] = {0};
    int order[6], want[] = {0, 4, 1, 5, 2, 3};
    struct world_child *w = rig_load(r);
    for (int i = 0; i < 6; i++)
        assert_int_equal(rig_try(r, &a[i], i < 4 ? &greedy : &modest, 1, 10),
                         0);
    run_all(r, w, a, 6, order);
    assert_memory_equal(order, want, sizeof(want));
    rig_end(r);
}

static void a_deadline_drops_a_job_before_it_costs(void **state)
{
    (void)state;
    struct rig *r = ready_rig(0);
    struct asked a = {0};
    struct manager_job like = {.priority = 5,
                               .deadline_ns = r->f->now_ns + 50000000};
    struct world_child *w = rig_load(r);
    assert_int_equal(rig_try(r, &a, &like, 1, 10), 0);
    fake_turn(r->f, 49);
    assert_int_equal(a.done, 0);
    fake_turn(r->f, 2);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.failed, 1);
    assert_int_equal(a.err.code, E_DEADLINE);
    assert_int_equal(fake_count(w, FRAME_JOB), 0);
    like.deadline_ns = r->f->now_ns;
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_DEADLINE);
    rig_end(r);
}

static void a_running_job_past_its_deadline_is_cancelled(void **state)
{
    (void)state;
    struct rig *r = ready_rig(5);
    struct asked a = {0};
    struct manager_job like = {.priority = 5,
                               .deadline_ns = r->f->now_ns + 50000000};
    struct world_child *w = rig_load(r);
    assert_int_equal(rig_try(r, &a, &like, 2, 10), 0);
    fake_settle(r->f);
    assert_int_equal(fake_count(w, FRAME_JOB), 1);
    fake_turn(r->f, 60);
    assert_int_equal(a.err.code, E_DEADLINE);
    assert_int_equal(fake_count(w, FRAME_CANCEL), 1);
    /* What the worker still says about it is no offence. */
    assert_true(fake_answer_item(w, a.id, 0));
    assert_true(fake_error(w, a.id, "cancelled", "cancelled"));
    assert_int_equal(a.items, 0);
    rig_end(r);
}

static void cancel_while_the_model_loads(void **state)
{
    (void)state;
    struct rig *r = ready_rig(5);
    struct asked a = {0}, b = {0};
    struct manager_job like = {.priority = 5};
    assert_int_equal(rig_try(r, &a, &like, 1, 10), 0);
    assert_int_equal(rig_try(r, &b, &like, 1, 10), 0);
    manager_cancel(r->m, a.id);
    fake_settle(r->f);
    struct world_child *w = fake_last(r->f, WORLD_WORKER);
    assert_int_equal(fake_count(w, FRAME_JOB), 1);
    fake_answer(w, b.id);
    fake_settle(r->f);
    assert_int_equal(a.done + a.items + a.failed, 0);
    assert_int_equal(b.done, 1);
    rig_end(r);
}

static void cancel_while_it_waits(void **state)
{
    (void)state;
    struct rig *r = ready_rig(0);
    struct asked a = {0};
    rig_load(r);
    rig_submit(r, &a, 1);
    manager_cancel(r->m, a.id);
    manager_cancel(r->m, a.id);
    fake_settle(r->f);
    struct manager_status s;
    manager_status(r->m, &s);
    assert_int_equal(s.jobs_queued, 0);
    assert_int_equal(a.done + a.failed, 0);
    rig_end(r);
}

static void cancel_while_it_runs(void **state)
{
    (void)state;
    struct rig *r = ready_rig(1);
    struct asked a = {0}, b = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 3);
    rig_submit(r, &b, 1);
    assert_true(fake_answer_item(w, a.id, 1));
    manager_cancel(r->m, a.id);
    assert_int_equal(fake_count(w, FRAME_CANCEL), 1);
    assert_true(fake_answer_item(w, a.id, 0));
    assert_true(fake_error(w, a.id, "cancelled", "cancelled"));
    assert_int_equal(a.items, 1);
    assert_int_equal(a.done + a.failed, 0);
    struct wire_map m = fake_begin(w, FRAME_CREDIT, 0);
    wire_kuint(&m, "jobs", 1);
    wire_kuint(&m, "bytes", 100);
    assert_true(fake_say(w, &m));
    fake_answer(w, b.id);
    assert_int_equal(b.done, 1);
    rig_end(r);
}

static void cancel_myself(struct asked *a)
{
    struct rig *r = a->ctx;
    manager_cancel(r->m, a->id);
}

static void cancel_from_inside_an_answer(void **state)
{
    (void)state;
    struct rig *r = ready_rig(1);
    struct asked a = {.also = cancel_myself, .ctx = r}, last = a;
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 3);
    assert_true(fake_answer_item(w, a.id, 1));
    assert_true(fake_answer_item(w, a.id, 0));
    assert_true(fake_answer_item(w, a.id, 2));
    assert_int_equal(a.items, 1);
    assert_int_equal(a.done, 0);
    struct wire_map m = fake_begin(w, FRAME_CREDIT, 0);
    wire_kuint(&m, "jobs", 1);
    wire_kuint(&m, "bytes", 100);
    assert_true(fake_say(w, &m));
    rig_submit(r, &last, 1);
    assert_true(fake_answer_item(w, last.id, 0)); /* its last item */
    assert_int_equal(last.items, 1);
    assert_int_equal(last.done, 0);
    rig_end(r);
}

static void cancel_of_a_failure_that_waits_to_be_told(void **state)
{
    (void)state;
    struct rig *r = ready_rig(0);
    struct asked a = {0}, b = {0};
    struct outcome o = {0};
    struct manager_job like = {.priority = 5};
    assert_int_equal(rig_try(r, &a, &like, 1, 10), 0);
    assert_int_equal(rig_try(r, &b, &like, 1, 10), 0);
    assert_int_equal(manager_unload(r->m, RIG_MODEL, rig_outcome, &o, &r->err),
                     0);
    assert_int_equal(b.done, 0); /* never from inside the call */
    manager_cancel(r->m, a.id);
    fake_settle(r->f);
    assert_int_equal(a.done + a.failed, 0);
    assert_int_equal(b.done, 1);
    assert_int_equal(b.err.code, E_DRAINING);
    assert_int_equal(o.n, 1);
    rig_end(r);
}

static void items_that_fail_leave_the_others_alone(void **state)
{
    (void)state;
    struct rig *r = ready_rig(2);
    struct asked a = {0}, b = {0};
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 3);
    struct wire_map m = fake_begin(w, FRAME_ERROR, a.id);
    wire_kz(&m, "code", "input_too_long");
    wire_kz(&m, "text", "too long");
    wire_kuint(&m, "item", 1);
    assert_true(fake_say(w, &m));
    assert_true(fake_answer_item(w, a.id, 2));
    assert_true(fake_answer_item(w, a.id, 0));
    assert_int_equal(a.items, 2);
    assert_int_equal(a.failed, 1);
    assert_int_equal(a.err.code, E_INPUT_TOO_LONG);
    assert_int_equal(a.done, 1);
    rig_submit(r, &b, 3);
    assert_true(fake_answer_item(w, b.id, 1));
    assert_true(fake_error(w, b.id, "unsupported_option", "what?"));
    assert_int_equal(b.items, 1);
    assert_int_equal(b.failed, 2);
    assert_int_equal(b.done, 1);
    rig_end(r);
}

static void what_a_model_cannot_do_is_refused_by_name(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    rig_know(r, RIG_MODEL, 1);
    r->f->refuses_spawn = true; /* so that no inspector says it at the start */
    rig_start(r);
    r->f->refuses_spawn = false;
    struct asked early = {0}, late = {0};
    struct manager_job like = {.priority = 5, .task = "translation"};
    assert_int_equal(rig_try(r, &early, &like, 1, 10), 0); /* not yet known */
    fake_settle(r->f);
    assert_int_equal(early.done, 1);
    assert_int_equal(early.err.code, E_UNSUPPORTED_TASK);
    assert_int_equal(rig_try(r, &late, &like, 1, 10), -E_UNSUPPORTED_TASK);
    assert_non_null(strstr(r->err.msg, "translation"));
    rig_end(r);
}

static void what_is_not_here_is_refused(void **state)
{
    struct rig *r = *state;
    struct asked a = {0};
    struct manager_job like = {.priority = 5};
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_MODEL_NOT_FOUND);
    assert_non_null(strstr(r->err.msg, "berth pull " RIG_MODEL));
}

static void shapes_that_no_frame_takes_are_refused(void **state)
{
    (void)state;
    struct rig *r = ready_rig(2);
    struct asked a = {0};
    struct manager_job like = {.priority = 5}, odd = {.priority = 10};
    assert_int_equal(rig_try(r, &a, &like, 0, 1), -E_TOO_LARGE);
    assert_int_equal(rig_try(r, &a, &like, FRAME_ITEMS_MAX + 1, 0),
                     -E_TOO_LARGE);
    assert_int_equal(rig_try(r, &a, &odd, 1, 1), -E_INVALID_REQUEST);
    rig_end(r);
}

static void a_submit_survives_every_allocation_failure(void **state)
{
    (void)state;
    struct rig *r = ready_rig(2);
    struct asked a = {0};
    int refused = 0, accepted = 0;
    static struct part p = {.kind = PART_TEXT, .data = {"text", 4}};
    struct item item = {1, &p};
    struct manager_job job = {.model = RIG_MODEL,
                              .items = &item,
                              .n_items = 1,
                              .priority = 5,
                              .caller = "me"};
    rig_load(r);
    for (long n = 1; n <= 2; n++) { /* the job, and its arena's block */
        fault_countdown = n;
        int code = manager_submit(r->m, &job, &a.id, &r->err);
        fault_countdown = 0;
        refused += code == -E_INSUFFICIENT_MEMORY;
        accepted += code == 0;
    }
    assert_int_equal(refused, 2);
    assert_int_equal(accepted, 0);
    struct manager_status s;
    manager_status(r->m, &s);
    assert_int_equal(s.jobs_queued + s.jobs_running, 0);
    rig_end(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_queue_is_bounded_in_jobs),
        cmocka_unit_test(the_queue_is_bounded_in_bytes),
        cmocka_unit_test(the_queue_counts_what_it_holds),
        cmocka_unit_test(parameters_that_no_server_could_read_are_refused),
        cmocka_unit_test(jobs_go_only_within_the_credit),
        cmocka_unit_test(priority_then_deadline_then_arrival_decide),
        cmocka_unit_test(callers_take_turns),
        cmocka_unit_test(a_deadline_drops_a_job_before_it_costs),
        cmocka_unit_test(a_running_job_past_its_deadline_is_cancelled),
        cmocka_unit_test(cancel_while_the_model_loads),
        cmocka_unit_test(cancel_while_it_waits),
        cmocka_unit_test(cancel_while_it_runs),
        cmocka_unit_test(cancel_from_inside_an_answer),
        cmocka_unit_test(cancel_of_a_failure_that_waits_to_be_told),
        cmocka_unit_test(items_that_fail_leave_the_others_alone),
        cmocka_unit_test(what_a_model_cannot_do_is_refused_by_name),
        RIG_TEST(what_is_not_here_is_refused),
        cmocka_unit_test(shapes_that_no_frame_takes_are_refused),
        cmocka_unit_test(a_submit_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests_name("manager_jobs", tests, NULL, NULL);
}
