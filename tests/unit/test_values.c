/* tests/unit/test_values.c - parameters from frames to trees and back. */
#include "unit.h"
#include "worker/worker.h"

static struct wire_node nodes[256];

static const struct value *read_tree(const struct buf *b, struct arena *a,
                                     int *ret)
{
    struct err err;
    const struct value *v = NULL;
    assert_true(wire_decode(buf_str(b), nodes, ARRAY_LEN(nodes), &err) > 0);
    *ret = value_read(nodes, a, &v, &err);
    return v;
}

static void a_tree_comes_back_as_it_went(void **state)
{
    (void)state;
    struct buf b = BUF_MAX(4096), back = BUF_MAX(4096);
    struct arena a = ARENA_MAX(1 << 16);
    struct wire_map m = wire_map_open(&b);
    wire_kbool(&m, "yes", true);
    wire_key(&m, "list");
    wire_put_array(&b, 4);
    wire_put_array(&b, 0);
    wire_put_map(&b, 0);
    wire_put_array(&b, 1);
    wire_put_text(&b, str_of("deep"));
    wire_put_null(&b);
    wire_kint(&m, "below", -7);
    wire_kfloat(&m, "half", 0.5);
    wire_ktext(&m, "empty", str_of(""));
    wire_map_close(&m);
    int r;
    const struct value *v = read_tree(&b, &a, &r);
    assert_int_equal(r, 0);
    assert_int_equal(v->count, 5);
    assert_int_equal(value_get(v, "list")->count, 4);
    assert_int_equal(value_get(v, "below")->i, -7);
    assert_true(value_get(v, "yes")->b);
    value_put(&back, v);
    assert_int_equal(back.failed, 0);
    int r2;
    struct arena a2 = ARENA_MAX(1 << 16);
    const struct value *again = read_tree(&back, &a2, &r2);
    assert_int_equal(r2, 0);
    assert_int_equal(again->count, 5);
    assert_int_equal(value_get(again, "below")->i, -7);
    assert_int_equal(value_get(again, "list")->last->kind, VALUE_NULL);
    arena_fini(&a2);
    arena_fini(&a);
    buf_fini(&back);
    buf_fini(&b);
}

static void what_no_task_takes_is_refused(void **state)
{
    (void)state;
    struct arena a = ARENA_MAX(1 << 16);
    struct buf b = BUF_MAX(64);
    int r;
    wire_put_bytes(&b, str_of("x"));
    read_tree(&b, &a, &r);
    assert_int_equal(r, -E_INVALID_REQUEST);
    buf_reset(&b);
    wire_put_uint(&b, UINT64_MAX);
    read_tree(&b, &a, &r);
    assert_int_equal(r, -E_INVALID_REQUEST);
    buf_fini(&b);
    arena_fini(&a);
}

static void one_that_is_too_large_is_refused(void **state)
{
    (void)state;
    struct arena a = ARENA_MAX(256);
    struct buf b = BUF_MAX(4096);
    int r;
    wire_put_array(&b, 100);
    for (int i = 0; i < 100; i++)
        wire_put_text(&b, str_of("some text"));
    read_tree(&b, &a, &r);
    assert_int_equal(r, -E_TOO_LARGE);
    buf_fini(&b);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_comes_back_as_it_went),
        cmocka_unit_test(what_no_task_takes_is_refused),
        cmocka_unit_test(one_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
