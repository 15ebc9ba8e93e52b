#include "fake_world.h"
#include "fault.h"
#include "manager_rig.h"
#include "unit.h"
#include <errno.h>

static void a_model_is_pulled_loaded_asked_and_unloaded(void **state)
{
    struct rig *r = *state;
    struct manager_pull pull = {RIG_MODEL, "secret"};
    struct outcome pulled = {0}, loaded = {0}, unloaded = {0};
    struct asked a = {0};
    uint64_t id;
    assert_int_equal(
        manager_pull(r->m, &pull, rig_outcome, &pulled, &id, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(pulled.n, 1);
    assert_int_equal(pulled.code, 0);
    assert_non_null(strstr(r->f->log, "put " RIG_MODEL " main;"));
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, rig_outcome, &loaded, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(loaded.n, 1);
    assert_int_equal(loaded.code, 0);
    rig_submit(r, &a, 2);
    struct world_child *w = fake_last(r->f, WORLD_WORKER);
    assert_true(fake_answer(w, a.id));
    fake_settle(r->f);
    assert_int_equal(a.items, 2);
    assert_int_equal(a.done, 1);
    assert_int_equal(
        manager_unload(r->m, RIG_MODEL, rig_outcome, &unloaded, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(unloaded.n, 1);
    assert_int_equal(fake_alive(r->f, WORLD_WORKER), 0);
    struct manager_status s;
    manager_status(r->m, &s);
    assert_int_equal(s.memory_reserved, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_model_is_pulled_loaded_asked_and_unloaded),
    };
    return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
