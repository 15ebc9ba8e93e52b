/* unit/test_cpu.c - levels, and the table that they fill. */
#include "kernels/cpu.h"
#include "kernels/kernels.h"
#include "unit.h"

static void a_cap_lowers_and_never_raises(void **state)
{
    (void)state;
    const uint32_t all = CPU_AVX2 | CPU_AVX512;
    assert_int_equal(cpu_cap(all, ""), all);
    assert_int_equal(cpu_cap(all, "avx512"), all);
    assert_int_equal(cpu_cap(all, "avx2"), CPU_AVX2);
    assert_int_equal(cpu_cap(all, "scalar"), 0);
    assert_int_equal(cpu_cap(CPU_AVX2, "avx512"), CPU_AVX2);
    assert_int_equal(cpu_cap(0, "avx2"), 0);
}

static void an_unknown_level_is_refused(void **state)
{
    (void)state;
    assert_int_equal(cpu_cap(CPU_AVX2, "AVX2"), -1);
    assert_int_equal(cpu_cap(CPU_AVX2, "neon"), -1);
    assert_int_equal(cpu_cap(CPU_AVX2, "avx"), -1);
}

static void a_level_brings_those_below_it(void **state)
{
    (void)state;
    const uint32_t isa = cpu_detect();
    assert_true(!(isa & CPU_AVX512) || (isa & CPU_AVX2));
}

static void every_level_fills_every_slot(void **state)
{
    (void)state;
    const uint32_t levels[] = {0, CPU_AVX2, CPU_AVX2 | CPU_AVX512};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct kernels k = {0};
        kernels_init(&k, levels[i]);
        assert_non_null(k.level);
        assert_true(k.gemm_f32.run && k.gemm_f32.tile_rows > 0);
        assert_true(k.attention_f32 && k.layernorm_f32 && k.softmax_f32);
        assert_true(k.act_f32 && k.add_f32 && k.scale_f32 && k.dot_f32);
    }
}

static void a_level_without_those_below_it_is_not_used(void **state)
{
    (void)state;
    struct kernels k;
    kernels_init(&k, CPU_AVX512);
    assert_string_equal(k.level, "scalar");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cap_lowers_and_never_raises),
        cmocka_unit_test(an_unknown_level_is_refused),
        cmocka_unit_test(a_level_brings_those_below_it),
        cmocka_unit_test(every_level_fills_every_slot),
        cmocka_unit_test(a_level_without_those_below_it_is_not_used),
    };
    return cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
}
