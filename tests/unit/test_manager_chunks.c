/* tests/unit/test_manager_chunks.c - streams: chunks, their credit, and what
 * ends them. */
#include "base/attr.h"
#include "base/mem.h"
#include "fake_world.h"
#include "manager_rig.h"
#include "unit.h"
#include <signal.h>

enum { HEAD = 25, CREDIT = FRAME_CHUNK_MAX + 1000 };

struct scene {
    struct rig *r;
    struct world_child *w;
    struct asked a;
};

/* A ready worker that has a job of n items, which streams. */
static struct scene *begin(size_t n, uint64_t credit)
{
    struct scene *s = mem_new(struct scene);
    struct manager_job like = {.priority = 5, .credit = credit};
    s->r = rig_new();
    rig_know(s->r, RIG_MODEL, 1);
    s->r->f->credit_jobs = 5;
    rig_start(s->r);
    s->w = rig_load(s->r);
    s->a.streams = true;
    assert_int_equal(rig_try(s->r, &s->a, &like, n, 10), 0);
    fake_settle(s->r->f);
    return s;
}

static void end(struct scene *s)
{
    rig_end(s->r);
    free(s);
}

static bool chunk(struct scene *s, uint64_t item, const char *text)
{
    return fake_chunk(s->w, s->a.id, item, text);
}

static void chunks_are_told_before_the_item(void **state)
{
    (void)state;
    struct scene *s = begin(1, CREDIT);
    const struct fake_sent *job = fake_got(s->w, FRAME_JOB, 0);
    assert_int_equal(wire_uint(job->body, "credit", 0), CREDIT);
    assert_true(chunk(s, 0, "It "));
    assert_true(chunk(s, 0, "is"));
    assert_int_equal(s->a.chunks, 2);
    assert_string_equal(s->a.text, "It is");
    assert_int_equal(s->a.bytes, 2 * HEAD + 5);
    assert_int_equal(s->a.items, 0);
    assert_true(fake_answer_item(s->w, s->a.id, 0));
    assert_int_equal(s->a.items, 1);
    assert_int_equal(s->a.generated, 3);
    assert_int_equal(s->a.done, 1);
    end(s);
}

static void a_job_that_wants_none_gets_none(void **state)
{
    (void)state;
    struct rig *r = rig_new();
    struct asked a = {0};
    rig_know(r, RIG_MODEL, 1);
    r->f->credit_jobs = 1;
    rig_start(r);
    struct world_child *w = rig_load(r);
    rig_submit(r, &a, 1);
    assert_null(wire_get(fake_got(w, FRAME_JOB, 0)->body, "credit"));
    assert_false(fake_chunk(w, a.id, 0, "x"));
    rig_end(r);
}

static void every_job_has_credit_for_one_chunk(void **state)
{
    (void)state;
    struct scene *s = begin(1, 1);
    assert_int_equal(wire_uint(fake_got(s->w, FRAME_JOB, 0)->body, "credit", 0),
                     FRAME_CHUNK_MAX);
    end(s);
}

static void to_spend_more_breaks_the_protocol(void **state)
{
    (void)state;
    struct scene *s = begin(1, FRAME_CHUNK_MAX);
    char text[FRAME_CHUNK_MAX - 2 * HEAD + 1];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    /* Its length takes two bytes more than a short one's. */
    assert_true(chunk(s, 0, text));
    assert_int_equal(s->a.bytes, FRAME_CHUNK_MAX - HEAD + 2);
    manager_credit(s->r->m, s->a.id, 1);
    const struct fake_sent *given = fake_got(s->w, FRAME_CREDIT, 0);
    assert_int_equal(given->job, s->a.id);
    assert_int_equal(wire_uint(given->body, "bytes", 0), 1);
    assert_false(chunk(s, 0, "")); /* 25 bytes, and 24 are left */
    assert_int_equal(s->a.chunks, 1);
    end(s);
}

static void what_was_taken_may_be_sent_again(void **state)
{
    (void)state;
    struct scene *s = begin(1, FRAME_CHUNK_MAX);
    for (int i = 0; i < 1000; i++) { /* far beyond the first credit */
        assert_true(chunk(s, 0, "0123456789"));
        manager_credit(s->r->m, s->a.id, HEAD + 10);
        fake_forget(s->w);
    }
    assert_int_equal(s->a.chunks, 1000);
    end(s);
}

static void a_chunk_has_a_largest_size(void **state)
{
    (void)state;
    struct scene *s = begin(1, 1 << 20);
    char text[FRAME_CHUNK_MAX];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    assert_false(chunk(s, 0, text));
    end(s);
}

static void chunks_of_what_is_answered_or_unknown_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct scene *s = begin(2, CREDIT);
        assert_true(fake_answer_item(s->w, s->a.id, 1));
        assert_true(chunk(s, 0, "fine"));
        if (i == 0)
            assert_false(chunk(s, 1, "it was answered"));
        else if (i == 1)
            assert_false(chunk(s, 2, "there is none"));
        else
            assert_false(fake_chunk(s->w, s->a.id + 1, 0, "whose?"));
        end(s);
    }
}

static void chunks_of_a_cancelled_job_are_dropped(void **state)
{
    (void)state;
    struct scene *s = begin(1, FRAME_CHUNK_MAX);
    assert_true(chunk(s, 0, "a"));
    manager_cancel(s->r->m, s->a.id);
    assert_int_equal(fake_count(s->w, FRAME_CANCEL), 1);
    assert_true(chunk(s, 0, "b"));
    manager_credit(s->r->m, s->a.id, 100); /* it is gone: no offence */
    assert_int_equal(fake_count(s->w, FRAME_CREDIT), 0);
    assert_true(fake_error(s->w, s->a.id, "cancelled", "cancelled"));
    assert_int_equal(s->a.chunks, 1);
    assert_int_equal(s->a.items + s->a.done + s->a.failed, 0);
    end(s);
}

static void the_credit_of_a_cancelled_job_still_has_its_end(void **state)
{
    (void)state;
    struct scene *s = begin(1, FRAME_CHUNK_MAX);
    int n = 0;
    manager_cancel(s->r->m, s->a.id);
    while (chunk(s, 0, "0123456789"))
        n++;
    assert_int_equal(n, FRAME_CHUNK_MAX / (HEAD + 10));
    end(s);
}

static void cancel_myself(struct asked *a)
{
    manager_cancel(((struct rig *)a->ctx)->m, a->id);
}

static void cancel_from_inside_a_chunk(void **state)
{
    (void)state;
    struct scene *s = begin(2, CREDIT);
    s->a.also = cancel_myself;
    s->a.ctx = s->r;
    assert_true(chunk(s, 0, "a"));
    assert_true(chunk(s, 1, "b"));
    assert_int_equal(s->a.chunks, 1);
    assert_true(fake_error(s->w, s->a.id, "cancelled", "cancelled"));
    end(s);
}

static void give_it_back(struct asked *a)
{
    if (a->items == 0)
        manager_credit(((struct rig *)a->ctx)->m, a->id, HEAD + 1);
}

static void credit_from_inside_a_chunk(void **state)
{
    (void)state;
    struct scene *s = begin(1, FRAME_CHUNK_MAX);
    s->a.also = give_it_back;
    s->a.ctx = s->r;
    for (int i = 0; i < 200; i++)
        assert_true(chunk(s, 0, "a"));
    assert_int_equal(fake_count(s->w, FRAME_CREDIT), 200);
    end(s);
}

static void a_stream_that_began_is_not_retried(void **state)
{
    (void)state;
    struct scene *s = begin(1, CREDIT);
    assert_true(chunk(s, 0, "It is"));
    fake_exit(s->w, 0, 9);
    fake_settle(s->r->f);
    assert_int_equal(s->a.done, 1);
    assert_int_equal(s->a.err.code, E_WORKER_CRASHED);
    assert_non_null(strstr(s->a.err.msg, "the stream ended"));
    end(s);
}

static void one_that_did_not_is(void **state)
{
    (void)state;
    struct scene *s = begin(2, CREDIT);
    assert_true(fake_answer_item(s->w, s->a.id, 0));
    fake_exit(s->w, 0, 9);
    fake_turn(s->r->f, 2000); /* the pause after a crash */
    struct world_child *w = fake_last(s->r->f, WORLD_WORKER);
    assert_ptr_not_equal(w, s->w);
    const struct fake_sent *job = fake_got(w, FRAME_JOB, 0);
    assert_int_equal(wire_uint(job->body, "credit", 0), CREDIT);
    assert_int_equal(wire_get(job->body, "items")->count, 1);
    assert_true(fake_chunk(w, s->a.id, 0, "b"));
    assert_int_equal(s->a.last_item, 1); /* of the job, not of the frame */
    assert_true(fake_answer_item(w, s->a.id, 0));
    assert_int_equal(s->a.done, 1);
    end(s);
}

/* The worker answers PINGs, and its counters stand still. */
static int seconds_it_lives(struct scene *s)
{
    int n = 0;
    for (; n < 30 && s->w->signal == 0; n++) {
        fake_turn(s->r->f, 1000);
        fake_pong(s->w, 1);
    }
    return n;
}

static void a_stream_without_credit_is_not_hung(void **state)
{
    (void)state;
    struct scene *s = begin(1, FRAME_CHUNK_MAX);
    assert_true(chunk(s, 0, "It is"));
    assert_int_equal(seconds_it_lives(s), 30);
    manager_credit(s->r->m, s->a.id, 1000);
    assert_true(seconds_it_lives(s) < 10);
    assert_int_equal(s->w->signal, SIGABRT);
    end(s);
}

static void a_cancelled_one_must_still_end(void **state)
{
    (void)state;
    struct scene *s = begin(1, FRAME_CHUNK_MAX);
    assert_true(chunk(s, 0, "It is"));
    manager_cancel(s->r->m, s->a.id);
    assert_true(seconds_it_lives(s) < 10);
    end(s);
}

static void a_deadline_ends_a_stream(void **state)
{
    (void)state;
    struct scene *s = begin(1, CREDIT);
    assert_true(chunk(s, 0, "It is"));
    for (int i = 0; i < 310; i++) {
        fake_turn(s->r->f, 1000);
        fake_pong(s->w, (uint64_t)i);
        fake_forget(s->w);
    }
    assert_int_equal(s->a.done, 1);
    assert_int_equal(s->a.err.code, E_DEADLINE);
    assert_true(fake_error(s->w, s->a.id, "cancelled", "cancelled"));
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_told_before_the_item),
        cmocka_unit_test(a_job_that_wants_none_gets_none),
        cmocka_unit_test(every_job_has_credit_for_one_chunk),
        cmocka_unit_test(to_spend_more_breaks_the_protocol),
        cmocka_unit_test(what_was_taken_may_be_sent_again),
        cmocka_unit_test(a_chunk_has_a_largest_size),
        cmocka_unit_test(chunks_of_what_is_answered_or_unknown_are_refused),
        cmocka_unit_test(chunks_of_a_cancelled_job_are_dropped),
        cmocka_unit_test(the_credit_of_a_cancelled_job_still_has_its_end),
        cmocka_unit_test(cancel_from_inside_a_chunk),
        cmocka_unit_test(credit_from_inside_a_chunk),
        cmocka_unit_test(a_stream_that_began_is_not_retried),
        cmocka_unit_test(one_that_did_not_is),
        cmocka_unit_test(a_stream_without_credit_is_not_hung),
        cmocka_unit_test(a_cancelled_one_must_still_end),
        cmocka_unit_test(a_deadline_ends_a_stream),
    };
    return cmocka_run_group_tests_name("manager_chunks", tests, NULL, NULL);
}
