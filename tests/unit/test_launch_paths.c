/* tests/unit/test_launch_paths.c - what a virtual environment lets be read. The
 * test program stands for the interpreter. */
#include "unit.h"
#include "worker/launch_paths.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct scene {
    char dir[64];
    struct launch_paths p;
    struct err err;
};

static const char *at(const struct scene *s, const char *name)
{
    static char path[2][FS_PATH_MAX];
    static int i;
    i = !i;
    assert_int_equal(fs_join(path[i], s->dir, name), 0);
    return path[i];
}

static void put(const struct scene *s, const char *name, const char *text)
{
    struct err err;
    assert_int_equal(fs_write_atomic(at(s, name), str_of(text), 0700, &err), 0);
}

static int setup(void **state)
{
    static struct scene s;
    s = (struct scene){.dir = "/tmp/berth-launch-XXXXXX"};
    assert_non_null(mkdtemp(s.dir));
    assert_int_equal(mkdir(at(&s, "bin"), 0700), 0);
    s.p.python_fd = -1;
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    launch_paths_fini(&s->p);
    unlink(at(s, "bin/python"));
    unlink(at(s, "pyvenv.cfg"));
    assert_int_equal(rmdir(at(s, "bin")), 0);
    assert_int_equal(rmdir(s->dir), 0);
    return 0;
}

static bool has(const struct path_list *list, const char *path)
{
    for (int i = 0; i < list->n; i++)
        if (!strcmp(list->v[i], path))
            return true;
    return false;
}

static void self(char *out)
{
    assert_non_null(realpath("/proc/self/exe", out));
}

static void an_environment_leads_to_its_interpreter_and_libraries(void **state)
{
    struct scene *s = *state;
    char exe[FS_PATH_MAX];
    self(exe);
    assert_int_equal(symlink(exe, at(s, "bin/python")), 0);
    put(s, "pyvenv.cfg", "version = 3\nhome = /opt/python/bin\nhomely = /x\n");
    assert_int_equal(launch_paths_find(&s->p, s->dir, "cpu", &s->err), 0);
    assert_string_equal(s->p.python, at(s, "bin/python"));
    assert_true(has(&s->p.read, s->dir));
    assert_true(has(&s->p.read, "/opt/python/lib"));
    assert_true(has(&s->p.read, "/proc/cpuinfo"));
    assert_false(has(&s->p.read, "/x"));
    assert_false(has(&s->p.read, "/"));
    assert_true(has(&s->p.execute, exe));
    assert_int_equal(s->p.execute.n, 2); /* and its loader */
    assert_int_equal(access(s->p.execute.v[1], X_OK), 0);
    assert_int_equal(s->p.devices.n, 0);
    assert_null(s->p.read.v[s->p.read.n]);
}

static void an_environment_without_its_file_has_what_its_link_says(void **state)
{
    struct scene *s = *state;
    char exe[FS_PATH_MAX];
    self(exe);
    assert_int_equal(symlink(exe, at(s, "bin/python")), 0);
    assert_int_equal(launch_paths_find(&s->p, s->dir, "no device", &s->err), 0);
    assert_true(has(&s->p.execute, exe));
    assert_int_equal(s->p.devices.n, 0);
}

static void what_is_no_program_is_refused(void **state)
{
    struct scene *s = *state;
    put(s, "bin/python", "#!/bin/sh\n");
    assert_int_equal(launch_paths_find(&s->p, s->dir, "cpu", &s->err),
                     -E_INTERNAL);
    assert_non_null(strstr(s->err.msg, "no 64-bit program"));
}

static void a_program_that_lies_about_its_loader_is_refused(void **state)
{
    struct scene *s = *state;
    char exe[FS_PATH_MAX];
    struct buf b = BUF_MAX(64 << 20);
    self(exe);
    assert_int_equal(fs_read(AT_FDCWD, exe, &b, &s->err), 0);
    for (size_t i = 0; i + 8 < b.len && i < 4096; i++)
        if (!memcmp(b.p + i, "/ld-", 4)) { /* its end is no NUL any more */
            memset(b.p + i, 'x', strlen(b.p + i) + 1);
            break;
        }
    assert_int_equal(
        fs_write_atomic(at(s, "bin/python"), buf_str(&b), 0700, &s->err), 0);
    buf_fini(&b);
    assert_int_equal(launch_paths_find(&s->p, s->dir, "cpu", &s->err),
                     -E_INTERNAL);
}

static void a_backend_that_is_not_there_is_named(void **state)
{
    struct scene *s = *state;
    assert_int_equal(launch_paths_find(&s->p, at(s, "none"), "cpu", &s->err),
                     -E_INTERNAL);
    assert_non_null(strstr(s->err.msg, "/none: No such file"));
}

static void folders_are_added_up_to_a_limit(void **state)
{
    struct scene *s = *state;
    int n = 0;
    while (launch_paths_read(&s->p, "/m", &s->err) == 0)
        n++;
    assert_int_equal(n, LAUNCH_PATHS_MAX);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_environment_leads_to_its_interpreter_and_libraries),
        TEST(an_environment_without_its_file_has_what_its_link_says),
        TEST(what_is_no_program_is_refused),
        TEST(a_program_that_lies_about_its_loader_is_refused),
        TEST(a_backend_that_is_not_there_is_named),
        TEST(folders_are_added_up_to_a_limit),
    };
    return cmocka_run_group_tests_name("launch_paths", tests, NULL, NULL);
}
