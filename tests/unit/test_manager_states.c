#include "base/attr.h"
#include "manager/states.h"
#include "unit.h"
#include <string.h>

/* The tables once more, as words: what design.md allows and nothing else. */
static const char *const model_moves[][2] = {
    {"absent", "pulling"},      {"absent", "verifying"},
    {"pulling", "verifying"},   {"pulling", "absent"},
    {"pulling", "failed"},      {"verifying", "registered"},
    {"verifying", "failed"},    {"registered", "verifying"},
    {"registered", "removing"}, {"registered", "failed"},
    {"removing", "absent"},     {"removing", "failed"},
    {"failed", "pulling"},      {"failed", "verifying"},
    {"failed", "removing"},     {"failed", "absent"},
};
static const char *const instance_moves[][2] = {
    {"starting", "loading"}, {"starting", "gone"},  {"loading", "ready"},
    {"loading", "gone"},     {"ready", "draining"}, {"ready", "gone"},
    {"draining", "gone"},
};
static const char *const deployment_moves[][2] = {
    {"idle", "loading"},     {"loading", "ready"},
    {"loading", "failed"},   {"loading", "back_off"},
    {"loading", "idle"},     {"ready", "draining"},
    {"ready", "back_off"},   {"draining", "idle"},
    {"failed", "loading"},   {"failed", "idle"},
    {"back_off", "loading"}, {"back_off", "crash_loop"},
    {"back_off", "idle"},    {"crash_loop", "loading"},
    {"crash_loop", "idle"},
};

static bool listed(const char *const (*moves)[2], size_t n, const char *from,
                   const char *to)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(moves[i][0], from) && !strcmp(moves[i][1], to))
            return true;
    return false;
}

static void check(enum state_object object, int states,
                  const char *const (*moves)[2], size_t n)
{
    size_t allowed = 0;
    for (int from = 0; from < states; from++)
        for (int to = 0; to < states; to++) {
            bool may = state_may(object, from, to);
            assert_int_equal(may, listed(moves, n, state_name(object, from),
                                         state_name(object, to)));
            allowed += may;
        }
    assert_int_equal(allowed, n);
}

static void models_move_as_listed_and_no_other_way(void **state)
{
    (void)state;
    check(STATE_MODEL, MODEL_STATES, model_moves, ARRAY_LEN(model_moves));
}

static void instances_move_as_listed_and_no_other_way(void **state)
{
    (void)state;
    check(STATE_INSTANCE, INSTANCE_STATES, instance_moves,
          ARRAY_LEN(instance_moves));
}

static void deployments_move_as_listed_and_no_other_way(void **state)
{
    (void)state;
    check(STATE_DEPLOYMENT, DEPLOYMENT_STATES, deployment_moves,
          ARRAY_LEN(deployment_moves));
}

static void objects_have_names(void **state)
{
    (void)state;
    assert_string_equal(state_object_name(STATE_MODEL), "model");
    assert_string_equal(state_object_name(STATE_INSTANCE), "instance");
    assert_string_equal(state_object_name(STATE_DEPLOYMENT), "deployment");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_move_as_listed_and_no_other_way),
        cmocka_unit_test(instances_move_as_listed_and_no_other_way),
        cmocka_unit_test(deployments_move_as_listed_and_no_other_way),
        cmocka_unit_test(objects_have_names),
    };
    return cmocka_run_group_tests_name("manager_states", tests, NULL, NULL);
}
