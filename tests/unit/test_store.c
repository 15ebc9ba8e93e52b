#include "base/fs.h"
#include "base/mem.h"
#include "store/store.h"
#include "unit.h"
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct home {
    char dir[64], set_aside[256];
    struct store *s;
    struct err err;
};

static int setup(void **state)
{
    struct home *h = mem_new(struct home);
    snprintf(h->dir, sizeof(h->dir), "/tmp/berth-store-XXXXXX");
    assert_non_null(mkdtemp(h->dir));
    assert_int_equal(store_open(&h->s, h->dir, h->set_aside, &h->err), 0);
    assert_string_equal(h->set_aside, "");
    *state = h;
    return 0;
}

static int drop(const char *path, const struct stat *st, int type,
                struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct home *h = *state;
    store_close(h->s);
    assert_int_equal(nftw(h->dir, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(h);
    return 0;
}

static void again(struct home *h)
{
    store_close(h->s);
    h->s = NULL;
    assert_int_equal(store_open(&h->s, h->dir, h->set_aside, &h->err), 0);
}

static char *z(const char *text)
{
    return (char *)(uintptr_t)text;
}

static struct store_file files[2] = {
    {.size = 612,
     .inode = 7,
     .device = 8,
     .mtime_ns = -5,
     .ctime_ns = 9,
     .hash = "aa"},
    {.size = UINT64_C(1) << 40, .inode = UINT64_MAX},
};

static struct store_model sample(void)
{
    files[0].name = z("1_Pooling/config.json");
    files[1].name = z("model.safetensors");
    return (struct store_model){.id = z("org/model"),
                                .revision = z("main"),
                                .commit = z("c0ffee"),
                                .origin = z("pulled"),
                                .dir = z(""),
                                .bytes = 5,
                                .wall_ms = 6,
                                .files = files,
                                .n_files = 2};
}

static void what_was_put_is_there_after_a_restart(void **state)
{
    struct home *h = *state;
    struct store_model m = sample();
    struct store_content c;
    assert_int_equal(store_put_model(h->s, &m, &h->err), 0);
    m.commit = z("beef");
    m.plan = z("a\0b");
    m.plan_bytes = 3;
    m.plan_build = z("1.0");
    assert_int_equal(store_put_model(h->s, &m, &h->err), 0);
    assert_int_equal(store_put_alias(h->s, "mini", "org/model", &h->err), 0);
    assert_int_equal(store_put_alias(h->s, "old", "org/model", &h->err), 0);
    assert_int_equal(store_put_alias(h->s, "old", NULL, &h->err), 0);
    again(h);
    assert_int_equal(store_read(h->s, &c, &h->err), 0);
    assert_int_equal(c.n_models, 1);
    assert_string_equal(c.models[0].commit, "beef");
    assert_int_equal(c.models[0].plan_bytes, 3);
    assert_memory_equal(c.models[0].plan, "a\0b", 3);
    assert_string_equal(c.models[0].plan_build, "1.0");
    assert_int_equal(c.models[0].n_files, 2);
    assert_string_equal(c.models[0].files[0].name, "1_Pooling/config.json");
    assert_string_equal(c.models[0].files[0].hash, "aa");
    assert_int_equal(c.models[0].files[0].mtime_ns, -5);
    assert_true(c.models[0].files[1].size == UINT64_C(1) << 40);
    assert_true(c.models[0].files[1].inode == UINT64_MAX);
    assert_int_equal(c.n_aliases, 1);
    assert_string_equal(c.aliases[0].target, "org/model");
    store_content_fini(&c);
}

static void a_dropped_model_takes_its_files_along(void **state)
{
    struct home *h = *state;
    struct store_model m = sample();
    struct store_content c;
    assert_int_equal(store_put_model(h->s, &m, &h->err), 0);
    assert_int_equal(store_drop_model(h->s, "org/model", "main", &h->err), 0);
    assert_int_equal(store_drop_model(h->s, "org/model", "main", &h->err), 0);
    m.n_files = 0;
    assert_int_equal(store_put_model(h->s, &m, &h->err), 0);
    assert_int_equal(store_read(h->s, &c, &h->err), 0);
    assert_int_equal(c.n_models, 1);
    assert_int_equal(c.models[0].n_files, 0);
    store_content_fini(&c);
}

static void nobody_else_may_read_it(void **state)
{
    struct home *h = *state;
    char path[FS_PATH_MAX];
    struct stat st;
    assert_int_equal(fs_join(path, h->dir, "berth.db"), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void overwrite(const char *path, off_t at, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, strlen(text), at), strlen(text));
    close(fd);
}

static void a_damaged_file_is_set_aside(void **state)
{
    struct home *h = *state;
    char path[FS_PATH_MAX];
    struct store_model m = sample();
    struct store_content c;
    assert_int_equal(fs_join(path, h->dir, "berth.db"), 0);
    for (off_t at = 0; at < 8192; at += 4096) {
        assert_int_equal(store_put_model(h->s, &m, &h->err), 0);
        store_close(h->s);
        h->s = NULL;
        overwrite(path, at, "this is no page of a database, is it? Not one.");
        assert_int_equal(store_open(&h->s, h->dir, h->set_aside, &h->err), 0);
        assert_non_null(strstr(h->set_aside, "berth.db.damaged-"));
        assert_int_equal(store_read(h->s, &c, &h->err), 0);
        assert_int_equal(c.n_models, 0);
        store_content_fini(&c);
    }
}

static void a_newer_scheme_is_refused(void **state)
{
    struct home *h = *state;
    char path[FS_PATH_MAX];
    assert_int_equal(fs_join(path, h->dir, "berth.db"), 0);
    store_close(h->s);
    h->s = NULL;
    /* user_version: four bytes, big-endian, at 60 of the header */
    overwrite(path, 60, "\1\1\1\1");
    assert_int_equal(store_open(&h->s, h->dir, h->set_aside, &h->err),
                     -E_CONFLICT);
    h->s = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_there_after_a_restart,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_dropped_model_takes_its_files_along,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_else_may_read_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_set_aside, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_newer_scheme_is_refused, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
