/* tests/unit/test_pipeline.c - pooling on numbers that fit on a page. Against
 * sentence-transformers: tests/api/test_worker.py. */
#include "models.h"
#include "pipeline/embedder.h"
#include "pipeline/value.h"
#include <math.h>

/* Three tokens of two numbers. */
static const float rows[] = {1.0f, -2.0f, 3.0f, 4.0f, 5.0f, 0.0f};

static struct embedder with(enum pooling_mode mode)
{
    return (struct embedder){
        .modes = {mode}, .n_modes = 1, .hidden = 2, .pooled = 2, .dim = 2};
}

static void gives(enum pooling_mode mode, uint32_t skip, double a, double b)
{
    struct embedder e = with(mode);
    struct err err;
    float out[2];
    e.skip_prompt = skip > 0;
    assert_int_equal(embedder_run(&e, rows, 3, skip, out, &err), 0);
    assert_float_equal(out[0], a, 1e-6);
    assert_float_equal(out[1], b, 1e-6);
}

static void each_pooling_is_what_its_name_says(void **state)
{
    (void)state;
    gives(POOL_CLS, 0, 1, -2);
    gives(POOL_LAST, 0, 5, 0);
    gives(POOL_MAX, 0, 5, 4);
    gives(POOL_MEAN, 0, 3, 2.0 / 3);
    gives(POOL_MEAN_SQRT, 0, 9 / sqrt(3), 2 / sqrt(3));
    gives(POOL_WEIGHTED_MEAN, 0, (1 + 6 + 15) / 6.0, (-2 + 8) / 6.0);
}

static void a_prompt_left_out_does_not_count(void **state)
{
    (void)state;
    gives(POOL_CLS, 1, 3, 4);
    gives(POOL_MEAN, 1, 4, 2);
    gives(POOL_MAX, 2, 5, 0);
    gives(POOL_WEIGHTED_MEAN, 1, (6 + 15) / 5.0, 8 / 5.0);
    gives(POOL_MEAN, 3, 0, 0); /* nothing is left */
    gives(POOL_LAST, 3, 0, 0);
    gives(POOL_CLS, 3, 1, -2);
}

static void one_row_is_enough_where_one_is_read(void **state)
{
    (void)state;
    struct embedder e = with(POOL_LAST);
    uint32_t row = 99;
    assert_int_equal(embedder_rows(&e, 7, 0, &row), 1);
    assert_int_equal(row, 6);
    e = with(POOL_CLS);
    assert_int_equal(embedder_rows(&e, 7, 0, &row), 1);
    assert_int_equal(row, 0);
    e.skip_prompt = true;
    assert_int_equal(embedder_rows(&e, 7, 2, &row), 0);
    e = with(POOL_MEAN);
    assert_int_equal(embedder_rows(&e, 7, 0, &row), 0);
}

static void layers_follow_the_pooling(void **state)
{
    (void)state;
    struct err err;
    float weight[] = {1, 1, 0, 2, -1, 0}, bias[] = {0.5f, 0, 0}, out[3];
    struct embedder e = with(POOL_CLS);
    e.layers[0] = (struct layer){LAYER_DENSE, 2, 3, weight, bias, NULL};
    e.layers[1] =
        (struct layer){.kind = LAYER_NORMALIZE, .n_in = 3, .n_out = 3};
    e.n_layers = 2;
    e.dim = 3;
    assert_int_equal(embedder_run(&e, rows, 3, 0, out, &err), 0);
    double length = sqrt(0.25 + 16 + 1); /* -0.5, -4, -1 */
    assert_float_equal(out[0], -0.5 / length, 1e-6);
    assert_float_equal(out[1], -4 / length, 1e-6);
    assert_float_equal(out[2], -1 / length, 1e-6);
}

static void a_vector_of_zeros_stays_zero(void **state)
{
    (void)state;
    float v[] = {0, 0, 0};
    normalize_l2(v, 3);
    assert_float_equal(v[0], 0, 0);
    float tiny[] = {3e-13f, 0};
    normalize_l2(tiny, 2);
    assert_float_equal(tiny[0], 0.3, 1e-6);
}

static void a_tree_that_does_not_fit_says_so(void **state)
{
    (void)state;
    struct arena a = ARENA_MAX(400);
    struct value *map = value_new(&a, VALUE_MAP);
    assert_non_null(map);
    int n = 0;
    while (value_add_int(&a, map, "n", n))
        n++;
    assert_true(n > 0 && n < 10);
    assert_int_equal(map->count, n);
    assert_int_equal(value_get(map, "n")->i, 0);
    assert_null(value_get(map, "m"));
    assert_null(value_get(NULL, "n"));
    arena_fini(&a);
}

/* A model of two numbers with a Dense of 2 x 2 in the given type. */
static void put_dense(struct snapshot *s, const char *dtype, int bytes)
{
    struct buf b = BUF_MAX(4096);
    uint64_t n = 0;
    buf_add(&b, &n, sizeof(n));
    buf_addf(&b,
             "{\"linear.weight\":{\"dtype\":\"%s\",\"shape\":[2,2],"
             "\"data_offsets\":[0,%d]}}",
             dtype, 4 * bytes);
    n = b.len - sizeof(n);
    memcpy(b.p, &n, sizeof(n));
    for (int i = 0; i < 4 * bytes; i++)
        buf_putc(&b, 0);
    put_bytes(s, "2_Dense/model.safetensors", b.p, b.len);
    put_text(s, "2_Dense/config.json",
             "{\"in_features\":2,\"out_features\":2,\"bias\":false}");
    put_text(s, "1_Pooling/config.json", "{\"embedding_dimension\":2}");
    put_text(s, "modules.json",
             "[{\"type\":\"sentence_transformers.models.Transformer\","
             "\"path\":\"\"},{\"type\":\"sentence_transformers.models."
             "Pooling\",\"path\":\"1_Pooling\"},{\"type\":"
             "\"sentence_transformers.models.Dense\",\"path\":\"2_Dense\"}]");
    buf_fini(&b);
}

static void a_dense_of_another_number_type_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        int bytes, code;
    } cases[] = {{"F32", 4, 0},
                 {"F16", 2, 0},
                 {"F64", 8, -E_UNSUPPORTED_OPTION},
                 {"I32", 4, -E_UNSUPPORTED_OPTION}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int hidden = 0; hidden <= 2; hidden += 2) { /* 0: only checked */
            struct snapshot s = {0};
            struct embedder e;
            struct err err;
            put_dense(&s, cases[i].dtype, cases[i].bytes);
            int r = embedder_open(&e, &s, hidden, &err);
            assert_int_equal(r, cases[i].code);
            if (r == 0)
                embedder_fini(&e);
            else
                assert_non_null(strstr(err.msg, cases[i].dtype));
            snapshot_fini(&s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pooling_is_what_its_name_says),
        cmocka_unit_test(a_prompt_left_out_does_not_count),
        cmocka_unit_test(one_row_is_enough_where_one_is_read),
        cmocka_unit_test(layers_follow_the_pooling),
        cmocka_unit_test(a_vector_of_zeros_stays_zero),
        cmocka_unit_test(a_dense_of_another_number_type_is_refused),
        cmocka_unit_test(a_tree_that_does_not_fit_says_so),
    };
    return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
