/* tests/golden/test_golden.c - tiny models against what Transformers computes.
 *
 * Every model of make_golden.py, at every kernel level of this machine, with
 * one thread and with two. Hidden states are layer-normed, of size about 1 and
 * at most 5 here; f32 rounds each of the few hundred sums behind one at 6e-8,
 * which Transformers does too, in another order: 1e-5 is three times what is
 * seen. Logits are sums of such states, so their bound is relative to the
 * largest.
 */
#include "model/safetensors.h"
#include "models.h"
#include <math.h>

enum { SEQS = 6 };
#define HIDDEN_ABS 1e-5
#define LOGITS_REL 1e-5

struct golden {
    struct snapshot files, outputs;
    struct tensors tensors;
    struct engine *engine;
};

static void open_golden(struct golden *g, const char *model, uint32_t isa,
                        int threads)
{
    char dir[2048];
    struct err err = {0};
    struct engine_options o = {
        .threads = threads, .isa = isa, .mlm_head = true};
    *g = (struct golden){0};
    put_golden(&g->files, model);
    snprintf(dir, sizeof(dir), "%s/golden/%s", getenv("BERTH_TESTS"), model);
    put_file(&g->outputs, dir, "golden.safetensors", "model.safetensors");
    assert_int_equal(tensors_open(&g->tensors, &g->outputs, "", &err), 0);
    if (engine_open(&g->engine, &g->files, &o, NULL, NULL, &err) < 0)
        fail_msg("%s: %s", model, err.msg);
}

static void close_golden(struct golden *g)
{
    engine_close(g->engine);
    tensors_fini(&g->tensors);
    snapshot_fini(&g->outputs);
    snapshot_fini(&g->files);
}

/* The reference's tensor "what.i", or NULL. */
static float *read_golden(const struct golden *g, const char *what, int i,
                          size_t *n)
{
    char name[64];
    struct err err;
    snprintf(name, sizeof(name), "%s.%d", what, i);
    const struct tensor *t = tensors_find(&g->tensors, name);
    if (!t)
        return NULL;
    float *v = mem_try(t->elements, sizeof(*v));
    assert_int_equal(tensor_read(t, 0, t->elements, v, NULL, &err), 0);
    *n = t->elements;
    return v;
}

static void make_seq(const struct golden *g, int i, struct engine_seq *seq)
{
    size_t n, n_types;
    float *ids = read_golden(g, "ids", i, &n);
    float *types = read_golden(g, "types", i, &n_types);
    uint32_t *id = mem_try(n, sizeof(*id));
    uint8_t *type = mem_try(n, sizeof(*type));
    assert_int_equal(n, n_types);
    for (size_t k = 0; k < n; k++) {
        id[k] = (uint32_t)ids[k];
        type[k] = (uint8_t)types[k];
    }
    free(ids);
    free(types);
    *seq = (struct engine_seq){.ids = id, .types = type, .n = (uint32_t)n};
}

static void drop_seq(struct engine_seq *seq)
{
    free((void *)seq->ids);
    free((void *)seq->types);
    free(seq->out);
}

/* The largest difference, and the largest value of the reference. */
static double distance(const float *a, const float *b, size_t n, double *scale)
{
    double worst = 0;
    *scale = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - b[i]), v = fabs((double)b[i]);
        assert_true(isfinite(a[i]));
        worst = d > worst ? d : worst;
        *scale = v > *scale ? v : *scale;
    }
    return worst;
}

/* All sequences at once, as one kind of output; the largest error, relative to
 * the scale of each for logits. */
static double run_output(struct golden *g, enum engine_output output)
{
    struct engine_seq seqs[SEQS];
    float *want[SEQS];
    size_t n[SEQS] = {0};
    double worst = 0, scale;
    const char *what = output == ENGINE_HIDDEN ? "hidden" : "logits";
    for (int i = 0; i < SEQS; i++) {
        make_seq(g, i, &seqs[i]);
        want[i] = read_golden(g, what, i, &n[i]);
        assert_non_null(want[i]);
        seqs[i].output = output;
        seqs[i].out = mem_try(n[i], sizeof(float));
    }
    run_all(g->engine, seqs, SEQS);
    for (int i = 0; i < SEQS; i++) {
        double d = distance(seqs[i].out, want[i], n[i], &scale);
        d /= output == ENGINE_HIDDEN ? 1 : scale;
        worst = d > worst ? d : worst;
        free(want[i]);
        drop_seq(&seqs[i]);
    }
    return worst;
}

static void compare(const char *model, bool head)
{
    uint32_t isa[8];
    size_t n = levels(isa);
    for (size_t l = 0; l < n; l++)
        for (int threads = 1; threads <= 2; threads++) {
            struct golden g;
            open_golden(&g, model, isa[l], threads);
            struct engine_info info = engine_info(g.engine);
            assert_int_equal(info.vocab != 0, head);
            double hidden = run_output(&g, ENGINE_HIDDEN);
            double logits = head ? run_output(&g, ENGINE_LOGITS) : 0;
            print_message("%s %s, %d threads: hidden %.1e, logits %.1e\n",
                          model, info.level, threads, hidden, logits);
            assert_true(hidden <= HIDDEN_ABS);
            assert_true(logits <= LOGITS_REL);
            close_golden(&g);
        }
}

static void bert(void **state)
{
    (void)state;
    compare("bert", true);
}

static void bert_of_odd_sizes_old_names_and_shards(void **state)
{
    (void)state;
    compare("bert_odd", false);
}

static void distilbert(void **state)
{
    (void)state;
    compare("distilbert", true);
}

static void distilbert_in_bf16(void **state)
{
    (void)state;
    compare("distilbert_half", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bert),
        cmocka_unit_test(bert_of_odd_sizes_old_names_and_shards),
        cmocka_unit_test(distilbert),
        cmocka_unit_test(distilbert_in_bf16),
    };
    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
