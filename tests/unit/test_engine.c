#include "arch/recipe.h"
#include "base/clock.h"
#include "base/crew.h"
#include "engine/load.h"
#include "engine/pass.h"
#include "engine/queue.h"
#include "fault.h"
#include "models.h"
#include <math.h>
#include <semaphore.h>

enum { SEQS = 40 };

static struct engine *open_model(struct snapshot *s, const char *model,
                                 uint32_t isa, int threads)
{
    struct engine *e;
    struct err err = {0};
    struct engine_options o = {
        .threads = threads, .isa = isa, .mlm_head = true};
    *s = (struct snapshot){0};
    put_golden(s, model);
    if (engine_open(&e, s, &o, NULL, NULL, &err) < 0)
        fail_msg("%s: %s", model, err.msg);
    return e;
}

/* Sequences of 1 to max tokens, always the same; every third asks for logits
 * where there is a head, every fourth for some rows only. */
struct batch {
    struct engine_seq seqs[SEQS];
};

static void make_batch(struct batch *b, const struct engine *e, uint32_t vocab)
{
    struct engine_info info = engine_info(e);
    uint64_t x = 1;
    for (uint32_t i = 0; i < SEQS; i++) {
        uint32_t n = 1 + i * 13 % (uint32_t)info.max_tokens, n_rows = 0;
        uint32_t *ids = mem_zero(n, sizeof(*ids));
        uint32_t *rows = mem_zero(n, sizeof(*rows));
        for (uint32_t k = 0; k < n; k++) {
            x = x * 6364136223846793005 + 1442695040888963407;
            ids[k] = (uint32_t)(x >> 33) % vocab;
            if (k % 5 == 3 || k == n - 1)
                rows[n_rows++] = k;
        }
        bool logits = info.vocab && i % 3 == 0;
        size_t width = (size_t)(logits ? info.vocab : info.hidden);
        b->seqs[i] = (struct engine_seq){
            .ids = ids,
            .n = n,
            .output = logits ? ENGINE_LOGITS : ENGINE_HIDDEN,
            .rows = i % 4 == 1 ? rows : NULL,
            .n_rows = i % 4 == 1 ? n_rows : n,
            .out = mem_zero(n * width, sizeof(float)),
        };
        if (i % 4 != 1)
            free(rows);
    }
}

static void drop_batch(struct batch *b)
{
    for (size_t i = 0; i < SEQS; i++) {
        free((void *)b->seqs[i].ids);
        free((void *)b->seqs[i].rows);
        free(b->seqs[i].out);
    }
}

static size_t width_of(const struct engine *e, const struct engine_seq *seq)
{
    struct engine_info info = engine_info(e);
    return (size_t)(seq->output == ENGINE_LOGITS ? info.vocab : info.hidden);
}

static void assert_same_bits(const struct engine *e, const struct batch *a,
                             const struct batch *b)
{
    for (size_t i = 0; i < SEQS; i++)
        assert_memory_equal(a->seqs[i].out, b->seqs[i].out,
                            a->seqs[i].n_rows * width_of(e, &a->seqs[i]) *
                                sizeof(float));
}

/* Alone with one thread, alone with three (shared where long enough), all at
 * once with one, two and three threads, in two orders: the same bits. */
static void check_bits(const char *model, uint32_t isa)
{
    struct snapshot s;
    struct batch alone, other;
    struct engine *one = open_model(&s, model, isa, 1);
    uint32_t vocab = 37;
    make_batch(&alone, one, vocab);
    for (size_t i = 0; i < SEQS; i++)
        run_all(one, &alone.seqs[i], 1);
    for (int threads = 1; threads <= 3; threads++) {
        struct snapshot s2;
        struct engine *e = open_model(&s2, model, isa, threads);
        make_batch(&other, e, vocab);
        run_all(e, other.seqs, SEQS);
        assert_same_bits(e, &alone, &other);
        drop_batch(&other);
        make_batch(&other, e, vocab);
        for (size_t i = SEQS; i-- > 0;)
            run_all(e, &other.seqs[i], 1);
        assert_same_bits(e, &alone, &other);
        drop_batch(&other);
        engine_close(e);
        snapshot_fini(&s2);
    }
    drop_batch(&alone);
    engine_close(one);
    snapshot_fini(&s);
}

static void no_batch_and_no_thread_changes_a_bit(void **state)
{
    (void)state;
    uint32_t isa[8];
    size_t n = levels(isa);
    for (size_t i = 0; i < n; i++) {
        check_bits("bert", isa[i]);
        check_bits("bert_odd", isa[i]);
        check_bits("distilbert", isa[i]);
    }
}

static void wanted_rows_have_the_bits_of_all_rows(void **state)
{
    (void)state;
    struct snapshot s;
    struct engine *e = open_model(&s, "bert", cpu_detect(), 2);
    static const uint32_t rows[] = {0, 7, 39};
    uint32_t ids[40];
    for (uint32_t i = 0; i < 40; i++)
        ids[i] = i * 7 % 100;
    for (int output = ENGINE_HIDDEN; output <= ENGINE_LOGITS; output++) {
        static float all[40 * 100], some[3 * 100];
        size_t width = output == ENGINE_LOGITS ? 100 : 32;
        struct engine_seq seqs[2] = {
            {.ids = ids, .n = 40, .out = all},
            {.ids = ids, .n = 40, .out = some, .rows = rows, .n_rows = 3},
        };
        seqs[0].output = seqs[1].output = (enum engine_output)output;
        run_all(e, &seqs[0], 1);
        run_all(e, &seqs[1], 1);
        for (size_t i = 0; i < 3; i++)
            assert_memory_equal(some + i * width, all + rows[i] * width,
                                width * sizeof(float));
    }
    engine_close(e);
    snapshot_fini(&s);
}

static void token_types_count(void **state)
{
    (void)state;
    struct snapshot s;
    struct engine *e = open_model(&s, "bert", 0, 1);
    static const uint32_t ids[4] = {1, 2, 3, 4};
    static const uint8_t zeros[4] = {0}, pair[4] = {0, 0, 1, 1};
    float out[3][4 * 32];
    struct engine_seq seqs[3] = {
        {.ids = ids, .n = 4, .out = out[0]},
        {.ids = ids, .n = 4, .types = zeros, .out = out[1]},
        {.ids = ids, .n = 4, .types = pair, .out = out[2]},
    };
    run_all(e, seqs, 3);
    assert_memory_equal(out[0], out[1], sizeof(out[0]));
    assert_memory_not_equal(out[0], out[2], sizeof(out[0]));
    engine_close(e);
    snapshot_fini(&s);
}

static void bad_sequences_are_refused_by_name(void **state)
{
    (void)state;
    struct snapshot s, s2;
    struct engine *e = open_model(&s, "bert", 0, 1);
    struct engine *body = open_model(&s2, "bert_odd", 0, 1);
    struct err err;
    static const uint32_t ids[41] = {1, 100}, good[2] = {1, 99};
    static const uint8_t types[2] = {0, 2};
    static const uint32_t rows[3] = {1, 1, 2}, far[1] = {2};
    const struct {
        struct engine *engine;
        struct engine_seq seq;
        int code;
        const char *says;
    } cases[] = {
        {e, {.ids = ids, .n = 0}, -E_INVALID_REQUEST, "without tokens"},
        {e, {.ids = ids, .n = 41}, -E_INPUT_TOO_LONG, "41 tokens"},
        {e, {.ids = ids, .n = 2}, -E_INVALID_REQUEST, "token 1 has the id 100"},
        {e,
         {.ids = good, .n = 2, .types = types},
         -E_INVALID_REQUEST,
         "token 1 has the type 2"},
        {e,
         {.ids = good, .n = 2, .rows = rows, .n_rows = 3},
         -E_INVALID_REQUEST,
         "3 wanted rows"},
        {e,
         {.ids = good, .n = 2, .rows = rows, .n_rows = 0},
         -E_INVALID_REQUEST,
         "0 wanted rows"},
        {e,
         {.ids = good, .n = 2, .rows = rows, .n_rows = 2},
         -E_INVALID_REQUEST,
         "wanted row 1 is 1"},
        {e,
         {.ids = good, .n = 2, .rows = far, .n_rows = 1},
         -E_INVALID_REQUEST,
         "wanted row 0 is 2"},
        {body,
         {.ids = rows, .n = 2, .output = ENGINE_LOGITS},
         -E_UNSUPPORTED_TASK,
         "no language-model head"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_seq seq = cases[i].seq;
        assert_int_equal(engine_submit(cases[i].engine, &seq, &err),
                         cases[i].code);
        if (!strstr(err.msg, cases[i].says))
            fail_msg("%s", err.msg);
    }
    engine_close(e);
    engine_close(body);
    snapshot_fini(&s);
    snapshot_fini(&s2);
}

/* A first sequence whose done() keeps the one thread until it is let go. */
struct gate {
    struct answers answers;
    sem_t entered, go;
};

static void hold(struct engine_seq *seq, int code)
{
    struct gate *g = seq->ctx;
    sem_post(&g->entered);
    sem_wait(&g->go);
    seq->ctx = &g->answers;
    count_answer(seq, code);
}

static void a_cancelled_sequence_is_not_run(void **state)
{
    (void)state;
    struct snapshot s;
    struct engine *e = open_model(&s, "bert", 0, 1);
    struct gate g = {.answers = ANSWERS_INIT};
    struct err err;
    static const uint32_t ids[3] = {1, 2, 3};
    float out[4][3 * 32] = {{0}};
    struct engine_seq seqs[4];
    sem_init(&g.entered, 0, 0);
    sem_init(&g.go, 0, 0);
    for (int i = 0; i < 4; i++)
        seqs[i] = (struct engine_seq){.ids = ids,
                                      .n = 3,
                                      .out = out[i],
                                      .done = i ? count_answer : hold,
                                      .ctx = i ? (void *)&g.answers : &g};
    assert_int_equal(engine_submit(e, &seqs[0], &err), 0);
    sem_wait(&g.entered);
    for (int i = 1; i < 4; i++)
        assert_int_equal(engine_submit(e, &seqs[i], &err), 0);
    engine_cancel(e, &seqs[3]);
    engine_cancel(e, &seqs[1]);
    sem_post(&g.go);
    wait_answers(&g.answers, 4);
    assert_int_equal(g.answers.cancelled, 2);
    assert_true(out[1][0] == 0 && out[3][0] == 0 && out[2][0] != 0);
    assert_memory_equal(out[0], out[2], sizeof(out[0]));
    engine_close(e);
    snapshot_fini(&s);
}

/* Cancels the sequence when the leader looks for the second time. */
struct stopper {
    struct engine_seq *seq;
    int looks;
};

static void stop_at_the_second_look(void *ctx)
{
    struct stopper *s = ctx;
    if (++s->looks == 2)
        s->seq->state_ = SEQ_CANCELLED;
}

static void a_running_sequence_stops_between_two_layers(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct recipe r;
    struct block weights, memory;
    struct crew *crew;
    struct err err;
    put_golden(&s, "bert_odd");
    assert_int_equal(recipe_open(&r, &s, false, &err), 0);
    assert_int_equal(block_open(&weights, r.plan.weights, false, &err), 0);
    assert_int_equal(block_open(&memory, plan_work(&r.plan), false, &err), 0);
    assert_int_equal(crew_open(&crew, 1, &err), 0);
    assert_int_equal(load_weights(weights.at, &r.plan, crew, NULL, NULL, &err),
                     0);
    struct machine machine = {.plan = &r.plan, .weights = weights.at};
    kernels_init(&machine.kernels, 0);
    static const uint32_t ids[2] = {1, 2};
    float out[2 * 42] = {0};
    struct engine_seq seq = {.ids = ids, .n = 2, .out = out};
    struct engine_seq *seqs[1] = {&seq};
    for (int cancel = 0; cancel <= 1; cancel++) {
        struct stopper stopper = {.seq = &seq, .looks = cancel ? 0 : 100};
        struct pass pass = {.machine = &machine,
                            .n_members = 1,
                            .between = stop_at_the_second_look,
                            .ctx = &stopper};
        struct work work = {.scratch = memory.at};
        float *at = memory.at + plan_scratch(&r.plan);
        for (int b = 0; b < PLAN_BUFFERS; b++) {
            work.buffers[b] = pass.buffers[b] = at;
            at += b == PLAN_QKV_A ? 0 : 8 * r.plan.stride[b];
        }
        out[0] = 0;
        seq.state_ = SEQ_RUNNING;
        pass_prepare(&pass, seqs, 1);
        pass_run(&pass, 0, &work);
        assert_int_equal(stopper.looks, cancel ? 2 : 103);
        assert_int_equal(out[0] != 0, !cancel);
    }
    crew_close(crew);
    block_close(&memory);
    block_close(&weights);
    recipe_fini(&r);
    snapshot_fini(&s);
}

static void closing_answers_everything_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 3; threads++) {
        struct snapshot s;
        struct engine *e = open_model(&s, "bert", 0, threads);
        struct answers a = ANSWERS_INIT;
        struct batch b;
        struct err err;
        make_batch(&b, e, 37);
        for (size_t i = 0; i < SEQS; i++) {
            b.seqs[i].done = count_answer;
            b.seqs[i].ctx = &a;
            assert_int_equal(engine_submit(e, &b.seqs[i], &err), 0);
        }
        for (size_t i = 0; i < SEQS; i += 3)
            engine_cancel(e, &b.seqs[i]);
        engine_close(e);
        assert_int_equal(a.n, SEQS);
        drop_batch(&b);
        snapshot_fini(&s);
    }
}

static void nothing_is_allocated_between_submit_and_done(void **state)
{
    (void)state;
    struct snapshot s;
    struct engine *e = open_model(&s, "bert", cpu_detect(), 2);
    struct batch b;
    make_batch(&b, e, 37);
    fault_hits = 0;
    fault_countdown = 1; /* the next allocation fails, and is counted */
    run_all(e, b.seqs, SEQS);
    for (size_t i = 0; i < SEQS; i++)
        run_all(e, &b.seqs[i], 1);
    assert_int_equal(fault_countdown, 1);
    fault_countdown = 0;
    assert_int_equal(fault_hits, 0);
    drop_batch(&b);
    engine_close(e);
    snapshot_fini(&s);
}

static void counters_move_and_times_are_filled_in(void **state)
{
    (void)state;
    struct snapshot s;
    struct engine *e = open_model(&s, "bert", 0, 1);
    uint64_t before[4], after[4];
    static const uint32_t ids[1] = {1};
    float out[32];
    struct engine_seq seq = {.ids = ids, .n = 1, .out = out};
    assert_int_equal(engine_progress(e, before, 4), 1);
    run_all(e, &seq, 1);
    assert_int_equal(engine_progress(e, after, 4), 1);
    assert_true(after[0] > before[0]);
    assert_true(seq.queued_ns && seq.started_ns >= seq.queued_ns &&
                seq.ended_ns >= seq.started_ns &&
                seq.ended_ns <= clock_now_ns());
    engine_close(e);
    snapshot_fini(&s);
}

static void a_hired_crew_is_given_back(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct crew *crew;
    struct err err;
    assert_int_equal(crew_open(&crew, 2, &err), 0);
    put_golden(&s, "bert");
    for (int turn = 0; turn < 3; turn++) {
        struct engine *e;
        struct engine_options o = {.threads = 2, .crew = crew};
        assert_int_equal(engine_open(&e, &s, &o, NULL, NULL, &err), 0);
        engine_close(e);
    }
    crew_close(crew);
    snapshot_fini(&s);
}

struct seen {
    int calls;
    uint64_t done, all;
};

static void see(void *ctx, const char *phase, uint64_t done, uint64_t all)
{
    struct seen *seen = ctx;
    assert_true(done <= all);
    if (strcmp(phase, "packing") != 0)
        return;
    assert_true(done >= seen->done);
    seen->calls++;
    seen->done = done;
    seen->all = all;
}

static void loading_reports_every_byte(void **state)
{
    (void)state;
    struct snapshot s = {0};
    struct engine *e;
    struct err err;
    struct seen seen = {0};
    struct engine_options o = {.threads = 2};
    put_golden(&s, "bert_odd");
    assert_int_equal(engine_open(&e, &s, &o, see, &seen, &err), 0);
    assert_true(seen.calls >= 1 && seen.all > 0);
    assert_int_equal(seen.done, seen.all);
    engine_close(e);
    snapshot_fini(&s);
}

/* The model's weights with one number replaced by NaN. */
static void weights_that_give_no_numbers_are_refused(void **state)
{
    (void)state;
    struct snapshot whole = {0}, s = {0};
    struct engine *e;
    struct err err;
    struct engine_options o = {.threads = 1};
    const float nan = NAN;
    put_golden(&whole, "bert");
    for (size_t i = 0; i < whole.n; i++) {
        const struct snapshot_file *f = &whole.files[i];
        char *p = mem_zero(1, f->size);
        assert_int_equal(pread(f->fd, p, f->size, 0), f->size);
        put_bytes(&s, f->name, p, f->size);
        free(p);
    }
    struct tensors t;
    assert_int_equal(tensors_open(&t, &s, "", &err), 0);
    const struct tensor *norm =
        tensors_find(&t, "bert.embeddings.LayerNorm.weight");
    assert_int_equal(
        pwrite(norm->file->fd, &nan, sizeof(nan), (off_t)norm->offset), 4);
    tensors_fini(&t);
    assert_int_equal(engine_open(&e, &s, &o, NULL, NULL, &err),
                     -E_DAMAGED_FILE);
    assert_non_null(strstr(err.msg, "not numbers"));
    snapshot_fini(&s);
    snapshot_fini(&whole);
}

static void short_work_goes_first_but_the_long_does_not_starve(void **state)
{
    (void)state;
    struct queue q = {0};
    const uint64_t wait = 500 * (uint64_t)QUEUE_NS_PER_TOKEN;
    struct engine_seq seq[5] = {
        {.n = 510, .queued_ns = 1000},
        {.n = 10, .queued_ns = 1000},
        {.n = 10, .queued_ns = 1000 + wait - 1}, /* just before it is due */
        {.n = 10, .queued_ns = 1000 + wait + 1}, /* just after */
        {.n = 11, .queued_ns = 1000},
    };
    for (int i = 0; i < 5; i++)
        queue_push(&q, &seq[i]);
    assert_int_equal(q.tokens, 551);
    static const int order[] = {1, 2, 0, 3};
    queue_remove(&q, &seq[4]);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(queue_pop(&q), &seq[order[i]]);
    assert_null(queue_pop(&q));
    assert_int_equal(q.n, 0);
    assert_int_equal(q.tokens, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_batch_and_no_thread_changes_a_bit),
        cmocka_unit_test(wanted_rows_have_the_bits_of_all_rows),
        cmocka_unit_test(token_types_count),
        cmocka_unit_test(bad_sequences_are_refused_by_name),
        cmocka_unit_test(a_cancelled_sequence_is_not_run),
        cmocka_unit_test(a_running_sequence_stops_between_two_layers),
        cmocka_unit_test(closing_answers_everything_once),
        cmocka_unit_test(nothing_is_allocated_between_submit_and_done),
        cmocka_unit_test(counters_move_and_times_are_filled_in),
        cmocka_unit_test(a_hired_crew_is_given_back),
        cmocka_unit_test(loading_reports_every_byte),
        cmocka_unit_test(weights_that_give_no_numbers_are_refused),
        cmocka_unit_test(short_work_goes_first_but_the_long_does_not_starve),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
