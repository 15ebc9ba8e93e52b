#include "daemon/settings.h"
#include "unit.h"

static void a_file_overrides_defaults(void **state)
{
    (void)state;
    struct settings s;
    struct err err;
    settings_init(&s);
    assert_string_equal(s.listen[0], "127.0.0.1:7337");
    assert_null(s.listen[1]);
    assert_int_equal(s.body_bytes, 16 << 20);
    assert_string_equal(s.sandbox, "strict");
    int r = settings_read(&s, "f",
                          str_of("listen: [\"127.0.0.1:1\", '[::1]:2']\n"
                                 "memory: 4 GiB # a comment\n"
                                 "queue_jobs: 0x40\n"
                                 "log_level: debug\n"
                                 "default_model: no\n"
                                 "models:\n"
                                 "  - name: a/b\n"
                                 "    preload: true\n"
                                 "  - {name: c, alias: d, revision: 12}\n"),
                          &err);
    assert_int_equal(r, -E_INVALID_REQUEST); /* the revision is a number */
    assert_non_null(strstr(err.msg, "f, line 9, column 35: revision"));
    r = settings_read(&s, "f", str_of("models: [{name: c, revision: \"12\"}]"),
                      &err);
    assert_int_equal(r, 0);
    assert_string_equal(s.listen[1], "[::1]:2");
    assert_int_equal(s.memory, 4LL << 30);
    assert_int_equal(s.queue_jobs, 64);
    assert_string_equal(s.default_model, "no"); /* only true and false are */
    assert_int_equal(s.n_models, 1);
    assert_string_equal(s.models[0].revision, "12");
    assert_int_equal(settings_read(&s, "f", str_of("# nothing\n"), &err), 0);
    assert_int_equal(settings_read(&s, "f",
                                   str_of("{\"queue_jobs\": 7, \"hosts\": []}"),
                                   &err),
                     0);
    assert_int_equal(s.queue_jobs, 7);
    settings_fini(&s);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"queue_jobs: many\n",
         "f, line 1, column 13: queue_jobs is 'many', it should be a whole "
         "number"},
        {"\n\nqueue_jobs: 0", "f, line 3, column 13: queue_jobs is 0"},
        {"queue_jobs: [1]", "f, line 1, column 13: queue_jobs is an array"},
        {"queue_jobs:", "f, line 1, column 12: queue_jobs is null"},
        {"queue_jobs: 1.5", "queue_jobs is a number"},
        {"idle_s: 1\nqueue: 3", "f, line 2, column 1: there is no key 'queue'"},
        {"listen:\n  - a\n  - [b]", "f, line 3, column 5: listen holds"},
        {"memory: 4 gigs", "memory is '4 gigs', it should be a size"},
        {"memory: 99999999999 TiB", "should be a size"},
        {"memory: -1", "memory is -1"},
        {"sandbox: none", "sandbox is 'none', it should be one of strict"},
        {"models: {}", "f, line 1, column 9: models is an object"},
        {"models:\n - alias: x",
         "f, line 2, column 4: an entry of models has no"},
        {"models:\n - name: x\n   preload: 1",
         "f, line 3, column 13: preload of a model is true or false"},
        {"models:\n - name: x\n   colour: red", "line 3, column 12"},
        {"models:\n - name: x\n   backend: onnx",
         "f, line 3, column 13: backend is 'onnx', it should be auto, native"},
        {"models:\n - name: x\n   dtype: f8",
         "f, line 3, column 11: dtype is 'f8'"},
        {"models: [{name: x, device: gpu}]",
         "f, line 1, column 28: device is 'gpu', it should be cpu, cuda"},
        {"models: [{name: x, task: a b}]", "column 26: task is 'a b'"},
        {"models: [{name: x, priority: 0}]",
         "column 30: priority of a model should be a number from 1 to 9"},
        {"models: [{name: x, keep_alive: 10d}]",
         "column 32: keep_alive is '10d', it should be seconds, a time"},
        {"models: [{name: x, keep_alive: 0}]", "keep_alive is '0'"},
        {"keep_alive: -2", "f, line 1, column 13: keep_alive is -2"},
        {"keep_alive: 0", "keep_alive is 0, it should be 1 or more, or -1"},
        {"keep_alive: soon", "keep_alive is 'soon', it should be a whole"},
        {"idle_s: -1", "idle_s is -1, it should be between"},
        {"transformers: 1", "f, line 1, column 15: transformers is an integer, "
                            "it should have keys"},
        {"transformers:\n  standby: 9", "f, line 2, column 12: "},
        {"transformers:\n  standbys: 1",
         "f, line 2, column 3: there is no key 'standbys'"},
        {"transformers_standby: 1",
         "f, line 1, column 1: there is no key 'transformers_standby'"},
        {"models: [x]", "f, line 1, column 10: an entry of models is a string"},
        {"- a", "f, line 1, column 1: a configuration has keys"},
        {"idle_s: 1\nidle_s: 2", "f: line 2, column 1: the key 'idle_s' comes"},
        {"idle_s: &x 1", "f: line 1, column 9: anchors are not supported"},
        {"idle_s: *x", "aliases are not supported"},
        {"idle_s: !!int 1", "tags are not supported"},
        {"<<: {a: b}", "merge keys are not supported"},
        {"[a]: b", "a key must be a plain word"},
        {"a: b\n---\nc: d", "only one document is read"},
        {"idle_s: {", "f: line "},
        {"\tidle_s: 1", "f: line 1"},
        {"a: \xff", "f: line"},
        {"[[[[[[[[[[[[[[[[[[[[", "too deep"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct settings s;
        struct err err = {0};
        settings_init(&s);
        assert_true(settings_read(&s, "f", str_of(bad[i].text), &err) < 0);
        if (!strstr(err.msg, bad[i].message))
            fail_msg("%s\n    %s\n    %s", bad[i].text, err.msg,
                     bad[i].message);
        settings_fini(&s);
    }
}

static void backends_and_times_are_read(void **state)
{
    (void)state;
    struct settings s;
    struct err err = {0};
    settings_init(&s);
    assert_int_equal(s.keep_alive, 300);
    assert_int_equal(s.transformers_standby, 1);
    int r = settings_read(
        &s, "f",
        str_of("keep_alive: 10m\n"
               "transformers: {standby: 0}\n"
               "models:\n"
               "  - {name: a, backend: transformers, dtype: bfloat16, "
               "device: \"cuda:1\", task: fill-mask, priority: 7, "
               "keep_alive: -1}\n"
               "  - {name: b, keep_alive: 2h, dtype: ''}\n"),
        &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(r, 0);
    assert_int_equal(s.keep_alive, 600);
    assert_int_equal(s.transformers_standby, 0);
    assert_string_equal(s.models[0].backend, "transformers");
    assert_string_equal(s.models[0].device, "cuda:1");
    assert_string_equal(s.models[0].task, "fill-mask");
    assert_int_equal(s.models[0].priority, 7);
    assert_int_equal(s.models[0].keep_alive_s, -1);
    assert_int_equal(s.models[1].keep_alive_s, 7200);
    assert_null(s.models[1].dtype);
    assert_int_equal(settings_read(&s, "f", str_of("keep_alive: -1"), &err), 0);
    assert_int_equal(s.keep_alive, -1);
    settings_fini(&s);
}

static char *variables(const char *name)
{
    static char jobs[] = "9", addresses[] = "127.0.0.1:1, [::1]:2,";
    static char standby[] = "3";
    if (!strcmp(name, "BERTH_TRANSFORMERS_STANDBY"))
        return standby;
    if (!strcmp(name, "BERTH_QUEUE_JOBS"))
        return jobs;
    return strcmp(name, "BERTH_LISTEN") ? NULL : addresses;
}

static char *wrong_variable(const char *name)
{
    static char text[] = "9x";
    return strcmp(name, "BERTH_IDLE_S") ? NULL : text;
}

static void the_environment_and_flags_come_last(void **state)
{
    (void)state;
    struct settings s;
    struct err err;
    settings_init(&s);
    assert_int_equal(settings_read(&s, "f", str_of("queue_jobs: 3"), &err), 0);
    assert_int_equal(settings_environment(&s, variables, &err), 0);
    assert_int_equal(s.queue_jobs, 9);
    assert_int_equal(s.transformers_standby, 3);
    assert_string_equal(s.listen[0], "127.0.0.1:1");
    assert_string_equal(s.listen[1], "[::1]:2");
    assert_null(s.listen[2]);
    assert_int_equal(settings_environment(&s, wrong_variable, &err),
                     -E_INVALID_REQUEST);
    assert_non_null(strstr(err.msg, "BERTH_IDLE_S: idle_s is '9x'"));
    assert_int_equal(settings_set(&s, "listen", "[::1]:3", "--listen", &err),
                     0);
    assert_string_equal(s.listen[0], "[::1]:3");
    assert_int_equal(settings_set(&s, "nothing", "1", "--nothing", &err),
                     -E_INVALID_REQUEST);
    settings_fini(&s);
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t bytes;
    } good[] = {{"1024", 1024},   {"1KiB", 1024},       {"2 mib", 2 << 20},
                {"3MB", 3000000}, {"1 TiB", 1LL << 40}, {"0", 0}};
    struct settings s;
    struct err err;
    settings_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(settings_set(&s, "memory", good[i].text, "x", &err),
                         0);
        assert_int_equal(s.memory, good[i].bytes);
    }
    static const char *const bad[] = {"", " 1", "1 B B", "1kk", "-1", "1e3"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_true(settings_set(&s, "memory", bad[i], "x", &err) < 0);
    settings_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_overrides_defaults),
        cmocka_unit_test(backends_and_times_are_read),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(the_environment_and_flags_come_last),
        cmocka_unit_test(sizes_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
