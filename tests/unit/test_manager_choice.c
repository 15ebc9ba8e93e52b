/* Which kind of inference server serves a model, why, and what it is told. */
#include "base/attr.h"
#include "fake_world.h"
#include "manager_rig.h"
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

#define MIB     (UINT64_C(1) << 20)
#define TF      "/backends/transformers"
#define UNKNOWN "RobertaForTokenClassification"
#define GOOD    "native: everything in it is supported"

struct row {
    const char *backend, *dtype, *device; /* of the configuration */
    const char *unsupported;              /* what the inspector finds */
    bool installed;
    const char *reason; /* of the view, once loaded; NULL: refused */
    const char *error;  /* part of the sentence */
};

static const struct row table[] = {
    {NULL, NULL, NULL, NULL, false, GOOD, NULL},
    {NULL, NULL, NULL, NULL, true, GOOD, NULL},
    {"auto", "float32", "auto", NULL, true, GOOD, NULL},
    {"native", "auto", "cpu", NULL, true, "native: asked for", NULL},
    {"transformers", NULL, NULL, NULL, true, "transformers: asked for", NULL},
    {NULL, NULL, NULL, UNKNOWN, true,
     "transformers: " UNKNOWN ": no table has it", NULL},
    {NULL, "bfloat16", NULL, NULL, true,
     "transformers: the native engine computes in f32, not in bf16", NULL},
    {NULL, NULL, "cuda:1", NULL, true,
     "transformers: the native engine runs on the device cpu, not on cuda:1",
     NULL},
    {NULL, NULL, NULL, UNKNOWN, false, NULL,
     UNKNOWN ": no table has it. The Transformers backend is there for that, "
             "but is not installed: berth backend install transformers"},
    {"native", NULL, NULL, UNKNOWN, true, NULL,
     "cannot be served: " UNKNOWN ": no table has it"},
    {"native", "f16", NULL, NULL, true, NULL,
     "the native engine computes in f32, not in f16"},
    {"native", NULL, "xla", NULL, true, NULL, "not on xla"},
    {"transformers", NULL, NULL, NULL, false, NULL,
     "which is not installed: berth backend install transformers"},
};

struct seen {
    char backend[32], wanted[32], reason[400], task[64];
    char instance[32], device[16];
    uint64_t need, reserved;
    int64_t keep_alive_s;
    int priority;
    bool pin;
};

static void see(void *ctx, const struct manager_model_view *v)
{
    struct seen *s = ctx;
    *s = (struct seen){.need = v->need_bytes,
                       .keep_alive_s = v->keep_alive_s,
                       .priority = v->priority,
                       .pin = v->pin};
    snprintf(s->backend, sizeof(s->backend), "%s", v->backend);
    snprintf(s->wanted, sizeof(s->wanted), "%s", v->backend_wanted);
    snprintf(s->reason, sizeof(s->reason), "%s", v->backend_reason);
    snprintf(s->task, sizeof(s->task), "%s", v->task);
    if (v->n_instances == 0)
        return;
    s->reserved = v->instances[0].reserved_bytes;
    snprintf(s->instance, sizeof(s->instance), "%s", v->instances[0].backend);
    snprintf(s->device, sizeof(s->device), "%s", v->instances[0].device);
}

static struct seen look(struct rig *r)
{
    struct seen s;
    assert_int_equal(manager_show(r->m, RIG_MODEL, see, &s, &r->err), 0);
    return s;
}

static struct rig *begin(const struct manager_model_config *model)
{
    struct rig *r = rig_new();
    r->config.memory_bytes = 4096 * MIB;
    r->config.models = model;
    r->config.n_models = model != NULL;
    rig_know(r, RIG_MODEL, 1);
    return r;
}

static void check_row(const struct row *row)
{
    const struct manager_model_config model = {.name = RIG_MODEL,
                                               .backend = row->backend,
                                               .dtype = row->dtype,
                                               .device = row->device};
    struct rig *r = begin(&model);
    struct outcome o = {0};
    r->f->backend = row->installed ? TF : NULL;
    r->f->unsupported = row->unsupported;
    rig_start(r);
    struct seen before = look(r);
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    struct seen s = look(r);
    assert_string_equal(s.wanted, row->backend ? row->backend : "auto");
    assert_string_equal(s.backend, before.backend); /* known before, too */
    assert_string_equal(s.reason, before.reason);
    if (row->reason) {
        assert_int_equal(o.code, 0);
        assert_string_equal(s.reason, row->reason);
        assert_int_equal(strncmp(row->reason, s.backend, strlen(s.backend)), 0);
        assert_string_equal(s.instance, s.backend);
    } else {
        assert_true(o.code < 0);
        assert_non_null(strstr(o.err.msg, row->error));
        assert_string_equal(s.backend, "");
        assert_string_equal(rig_state(r), "failed");
    }
    rig_end(r);
}

static void the_table_of_choices(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        check_row(&table[i]);
}

static void what_the_transformers_server_is_told(void **state)
{
    (void)state;
    const struct manager_model_config model = {
        .name = RIG_MODEL, .backend = "transformers", .task = "fill-mask"};
    struct rig *r = begin(&model);
    struct outcome o = {0};
    struct asked a = {0};
    r->f->backend = TF;
    rig_start(r);
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o.code, 0);
    assert_int_equal(fake_spawned(r->f, WORLD_WORKER), 0);
    struct world_child *w = fake_last(r->f, WORLD_TRANSFORMERS);
    assert_string_equal(w->launch, TF " cpu /cache/" RIG_MODEL);
    assert_int_equal(wire_uint(fake_got(w, FRAME_HELLO, 0)->body, "memory", 1),
                     0);
    const struct fake_sent *load = fake_got(w, FRAME_LOAD, 0);
    assert_int_equal(load->n_fds, 0);
    assert_true(str_is(wire_text(load->body, "folder"),
                       "/cache/" RIG_MODEL "/snapshots/" RIG_COMMIT));
    assert_true(str_is(wire_text(load->body, "root"), "/cache/" RIG_MODEL));
    assert_true(str_is(wire_text(wire_get(load->body, "options"), "task"),
                       "fill-mask"));
    assert_true(wire_uint(load->body, "memory", 0) > 500 * MIB);
    const struct wire_node *files = wire_get(load->body, "files");
    assert_int_equal(files->count, 2);
    assert_null(wire_get(wire_first(files), "fd"));
    assert_int_equal(wire_uint(wire_first(files), "size", 0), 1000);
    rig_submit(r, &a, 1); /* its task is the declared one */
    assert_true(str_is(wire_text(fake_got(w, FRAME_JOB, 0)->body, "task"),
                       "fill-mask"));
    assert_string_equal(look(r).task, "fill-mask");
    fake_answer(w, a.id);
    rig_end(r);
}

/* An interpreter, the weights in the type that is used, room to work. */
static void what_it_needs_goes_by_dtype_and_device(void **state)
{
    (void)state;
    static const struct {
        const char *dtype, *device;
        uint64_t mib;
    } rows[] = {
        {"exact", "cpu", 480 + 400}, {"f32", "cpu", 480 + 400},
        {"bf16", "cpu", 480 + 200},  {"f16", "cpu", 480 + 200},
        {"auto", "cpu", 480 + 150},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct manager_model_config model = {.name = RIG_MODEL,
                                                   .backend = "transformers",
                                                   .dtype = rows[i].dtype,
                                                   .device = rows[i].device};
        struct rig *r = begin(&model);
        r->f->backend = TF;
        r->f->parameters = 100 * MIB;
        r->f->tensor_bytes = 150 * MIB;
        rig_start(r);
        assert_int_equal(look(r).need, rows[i].mib * MIB);
        rig_end(r);
    }
}

static void a_device_has_a_budget_of_its_own(void **state)
{
    (void)state;
    const struct manager_model_config model = {.name = RIG_MODEL,
                                               .device = "cuda:1"};
    struct rig *r = begin(&model);
    struct outcome o = {0};
    r->config.memory_bytes = 450 * MIB; /* the interpreter, not the weights */
    r->f->backend = TF;
    r->f->parameters = 1000 * MIB;
    rig_start(r);
    assert_int_equal(
        manager_load(r->m, RIG_MODEL, NULL, rig_outcome, &o, &r->err), 0);
    fake_settle(r->f);
    assert_int_equal(o.code, 0);
    assert_string_equal(look(r).device, "cuda:1");
    assert_int_equal(look(r).reserved, 352 * MIB);
    rig_end(r);
}

/* Imports and compilation leave its counters where they are. */
static void it_may_be_silent_for_longer(void **state)
{
    (void)state;
    const struct manager_model_config model = {.name = RIG_MODEL,
                                               .backend = "transformers"};
    struct rig *r = begin(&model);
    struct asked a = {0};
    r->f->backend = TF;
    rig_start(r);
    rig_submit(r, &a, 1);
    struct world_child *w = fake_last(r->f, WORLD_TRANSFORMERS);
    assert_int_equal(fake_count(w, FRAME_JOB), 1);
    fake_turn(r->f, 9000);
    assert_int_equal(w->signal, 0);
    fake_turn(r->f, 3000);
    assert_int_not_equal(w->signal, 0);
    rig_end(r);
}

/* Its folder comes later than the configuration that names it. */
static void what_is_declared_may_be_added(void **state)
{
    (void)state;
    const struct manager_model_config model = {
        .name = "mine", .backend = "transformers", .preload = true};
    struct rig *r = begin(&model);
    struct outcome o = {0};
    r->f->backend = TF;
    rig_start(r);
    assert_int_equal(
        manager_add(r->m, "mine", "/srv/mine", rig_outcome, &o, &r->err), 0);
    assert_int_equal(
        manager_add(r->m, "mine", "/srv/mine", rig_outcome, &o, &r->err),
        -E_CONFLICT);
    fake_settle(r->f);
    assert_int_equal(o.code, 0);
    assert_int_equal(rig_ask(r, "mine", NULL)->code, 0);
    assert_string_equal(fake_serving(r->f, "mine")->launch,
                        TF " cpu /srv/mine");
    rig_end(r);
}

/* ---- variants ---- */

#define BY_NATIVE       RIG_MODEL "#native"
#define BY_TRANSFORMERS RIG_MODEL "#transformers"

struct names {
    char list[1024];
};

static void add_name(void *ctx, const struct manager_model_view *v)
{
    struct names *s = ctx;
    size_t n = strlen(s->list);
    snprintf(s->list + n, sizeof(s->list) - n, "%s ", v->name);
}

static const char *listed(struct rig *r, struct names *s)
{
    s->list[0] = 0;
    manager_list(r->m, add_name, s);
    return s->list;
}

static void submit_to(struct rig *r, struct asked *a, const char *name)
{
    struct manager_job like = {.priority = 5, .model = name};
    assert_int_equal(rig_try(r, a, &like, 1, 10), 0);
    fake_settle(r->f);
}

static void unloaded(struct rig *r, const char *name)
{
    struct outcome o = {0};
    assert_int_equal(manager_unload(r->m, name, rig_outcome, &o, &r->err), 0);
    fake_turn(r->f, 20);
    assert_int_equal(o.n, 1);
    assert_int_equal(o.code, 0);
}

static void one_model_by_both_beside_what_is_deployed(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    struct asked a = {0}, b = {0}, c = {0};
    struct names s;
    r->f->backend = TF;
    rig_start(r);
    struct world_child *deployed = rig_load(r);
    const char *stored = strstr(r->f->log, "put ");
    assert_non_null(stored);
    submit_to(r, &a, BY_NATIVE);
    struct world_child *native = fake_last(r->f, WORLD_WORKER);
    assert_ptr_not_equal(native, deployed);
    assert_int_equal(rig_ask(r, BY_TRANSFORMERS, NULL)->code, 0);
    struct world_child *python = fake_last(r->f, WORLD_TRANSFORMERS);
    submit_to(r, &b, BY_TRANSFORMERS);
    submit_to(r, &c, RIG_MODEL);
    assert_true(fake_answer(native, a.id));
    assert_true(fake_answer(python, b.id));
    assert_true(fake_answer(deployed, c.id));
    assert_int_equal(a.done + b.done + c.done, 3);
    assert_string_equal(listed(r, &s),
                        RIG_MODEL " " BY_NATIVE " " BY_TRANSFORMERS " ");
    assert_int_equal(manager_match(r->m, str_of(BY_NATIVE "/pipeline/x")),
                     strlen(BY_NATIVE));
    assert_int_equal(fake_spawned(r->f, WORLD_INSPECTOR), 1);
    unloaded(r, BY_NATIVE);
    unloaded(r, BY_TRANSFORMERS);
    assert_string_equal(listed(r, &s), RIG_MODEL " ");
    assert_string_equal(rig_state(r), "ready");
    assert_null(strstr(stored + 1, "put "));
    rig_end(r);
}

static void a_variant_that_is_not_used_goes(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    struct names s;
    rig_start(r);
    assert_int_equal(rig_ask(r, BY_NATIVE, NULL)->code, 0);
    assert_string_equal(listed(r, &s), RIG_MODEL " " BY_NATIVE " ");
    for (int i = 0; i < 62; i++) {
        fake_pong(fake_last(r->f, WORLD_WORKER), (uint64_t)i);
        fake_turn(r->f, 1000);
        if (!fake_last(r->f, WORLD_WORKER))
            break;
    }
    assert_int_equal(fake_alive(r->f, WORLD_WORKER), 0);
    assert_string_equal(listed(r, &s), RIG_MODEL " ");
    rig_end(r);
}

static void what_a_variant_is_not(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    struct outcome o = {0};
    struct asked a = {0};
    struct manager_pull pull = {BY_NATIVE, NULL};
    struct manager_job like = {.priority = 5, .model = RIG_MODEL "#onnx"};
    const struct manager_wish wish = {.backend = "native"};
    uint64_t id;
    struct names s;
    rig_start(r);
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_INVALID_REQUEST);
    like.model = "#native";
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_INVALID_REQUEST);
    like.model = "org/none#native";
    assert_int_equal(rig_try(r, &a, &like, 1, 10), -E_MODEL_NOT_FOUND);
    assert_int_equal(
        manager_remove(r->m, BY_NATIVE, true, rig_outcome, &o, &r->err),
        -E_INVALID_REQUEST);
    assert_int_equal(
        manager_alias(r->m, "mini", BY_NATIVE, rig_outcome, &o, &r->err),
        -E_INVALID_REQUEST);
    assert_int_equal(manager_pull(r->m, &pull, rig_outcome, &o, &id, &r->err),
                     -E_INVALID_REQUEST);
    assert_int_equal(manager_verify(r->m, BY_NATIVE, rig_outcome, &o, &r->err),
                     -E_INVALID_REQUEST);
    assert_int_equal(
        manager_add(r->m, BY_NATIVE, "/srv/x", rig_outcome, &o, &r->err),
        -E_INVALID_REQUEST);
    assert_int_equal(
        manager_load(r->m, BY_NATIVE, &wish, rig_outcome, &o, &r->err),
        -E_INVALID_REQUEST);
    struct outcome *missing = rig_ask(r, BY_TRANSFORMERS, NULL);
    assert_int_equal(missing->code, -E_UNSUPPORTED_ARCHITECTURE);
    fake_turn(r->f, 20);
    assert_string_equal(listed(r, &s), RIG_MODEL " ");
    rig_end(r);
}

static void a_model_that_goes_takes_its_variants_along(void **state)
{
    (void)state;
    struct rig *r = begin(NULL);
    struct outcome o = {0};
    rig_start(r);
    assert_int_equal(rig_ask(r, BY_NATIVE, NULL)->code, 0);
    assert_int_equal(
        manager_remove(r->m, RIG_MODEL, true, rig_outcome, &o, &r->err), 0);
    fake_turn(r->f, 20);
    assert_int_equal(o.n, 1);
    assert_int_equal(fake_alive(r->f, WORLD_WORKER), 0);
    rig_end(r);
}

static void what_is_not_known_is_refused_at_the_start(void **state)
{
    (void)state;
    static const struct manager_model_config bad[] = {
        {.name = RIG_MODEL, .backend = "onnx"},
        {.name = RIG_MODEL, .dtype = "f8"},
        {.name = RIG_MODEL, .device = "cuda:8"},
        {.name = RIG_MODEL, .device = "gpu"},
        {.name = RIG_MODEL, .task = "Fill Mask"},
        {.name = RIG_MODEL, .priority = 10},
        {.name = RIG_MODEL, .keep_alive_s = -2},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct rig *r = begin(&bad[i]);
        assert_int_equal(manager_new(&r->m, &r->config, &r->f->w, &r->err),
                         -E_INVALID_REQUEST);
        assert_non_null(strstr(r->err.msg, "models[0]"));
        fake_free(r->f);
        free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_choices),
        cmocka_unit_test(what_the_transformers_server_is_told),
        cmocka_unit_test(what_it_needs_goes_by_dtype_and_device),
        cmocka_unit_test(a_device_has_a_budget_of_its_own),
        cmocka_unit_test(it_may_be_silent_for_longer),
        cmocka_unit_test(what_is_declared_may_be_added),
        cmocka_unit_test(one_model_by_both_beside_what_is_deployed),
        cmocka_unit_test(a_variant_that_is_not_used_goes),
        cmocka_unit_test(what_a_variant_is_not),
        cmocka_unit_test(a_model_that_goes_takes_its_variants_along),
        cmocka_unit_test(what_is_not_known_is_refused_at_the_start),
    };
    return cmocka_run_group_tests_name("manager_choice", tests, NULL, NULL);
}
