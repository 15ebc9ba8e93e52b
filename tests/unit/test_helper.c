#include "base/helper.h"
#include "base/loop.h"
#include "base/mem.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>

struct work {
    struct loop *l;
    int worked, done;
    bool other_thread;
    pthread_t self;
    pthread_mutex_t hold;
};

static void work(void *ctx)
{
    struct work *w = ctx;
    pthread_mutex_lock(&w->hold);
    w->worked++;
    w->other_thread = !pthread_equal(w->self, pthread_self());
    pthread_mutex_unlock(&w->hold);
}

static void done(void *ctx)
{
    struct work *w = ctx;
    assert_true(pthread_equal(w->self, pthread_self()));
    w->done++;
    pthread_mutex_lock(&w->hold);
    assert_true(w->worked >= w->done);
    pthread_mutex_unlock(&w->hold);
}

static int setup(void **state)
{
    struct work *w = mem_new(struct work);
    w->l = loop_new();
    w->self = pthread_self();
    pthread_mutex_init(&w->hold, NULL);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct work *w = *state;
    loop_free(w->l);
    pthread_mutex_destroy(&w->hold);
    free(w);
    return 0;
}

static void works_elsewhere_and_answers_here(void **state)
{
    struct work *w = *state;
    struct helper *h;
    struct err err;
    assert_int_equal(helper_open(&h, w->l, 8, &err), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(helper_run(h, work, done, w), 0);
        while (w->done == i)
            loop_turn(w->l, 1000);
    }
    assert_true(w->other_thread);
    assert_int_equal(w->worked, 1000);
    helper_close(h);
}

static void refuses_past_its_limit(void **state)
{
    struct work *w = *state;
    struct helper *h;
    struct err err;
    assert_int_equal(helper_open(&h, w->l, 3, &err), 0);
    pthread_mutex_lock(&w->hold);
    for (int i = 0; i < 3; i++)
        assert_int_equal(helper_run(h, work, done, w), 0);
    assert_int_equal(helper_run(h, work, done, w), -EAGAIN);
    pthread_mutex_unlock(&w->hold);
    while (w->done < 3)
        loop_turn(w->l, 1000);
    assert_int_equal(helper_run(h, work, done, w), 0);
    helper_close(h);
    assert_int_equal(w->done, 4); /* closing finishes what was accepted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(works_elsewhere_and_answers_here, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refuses_past_its_limit, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
