/* The test program is its own child: started under the name berth-worker it
 * does what the daemon's HELLO tells it in "build". */
#include "base/clock.h"
#include "base/fs.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "manager/supervisor.h"
#include "unit.h"
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the child ---- */

struct self {
    struct channel *channel;
    int argc;
    char **argv;
};

static void say(struct channel *c, const char *text)
{
    struct wire_map m = wire_map_open(channel_begin(c, FRAME_LOG, 0));
    wire_kz(&m, "level", "info");
    wire_kz(&m, "text", text);
    wire_map_close(&m);
    if (channel_send(c, NULL, 0) < 0)
        _exit(99);
}

static int count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n - 3; /* ".", ".." and the folder itself */
}

static void say_its_arguments(struct channel *c, int argc, char **argv)
{
    struct buf text = BUF_MAX(4000);
    for (int i = 1; i < argc; i++)
        buf_addf(&text, "[%s]", argv[i]);
    buf_putc(&text, 0);
    say(c, text.p);
    buf_fini(&text);
}

static void say_what_was_inherited(struct channel *c)
{
    extern char **environ;
    char text[256];
    int death = 0, variables = 0;
    sigset_t blocked;
    struct sigaction pipe;
    while (environ[variables])
        variables++;
    prctl(PR_GET_PDEATHSIG, &death);
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    sigaction(SIGPIPE, NULL, &pipe);
    snprintf(text, sizeof(text),
             "descriptors %d variables %d death %d leader %d usr1 %d pipe %d",
             count_descriptors(), variables, death, getsid(0) == getpid(),
             sigismember(&blocked, SIGUSR1), pipe.sa_handler == SIG_DFL);
    say(c, text);
}

static int on_order(void *ctx, struct frame *f, struct err *err)
{
    const struct self *self = ctx;
    struct channel *c = self->channel;
    struct str order = wire_text(f->body, "build");
    (void)err;
    if (str_is(order, "inherited"))
        say_what_was_inherited(c);
    if (str_is(order, "arguments"))
        say_its_arguments(c, self->argc, self->argv);
    if (str_is(order, "malformed") &&
        write(channel_fd(c), "nonsense........", 16))
        return 0;
    if (str_is(order, "words") &&
        write(STDERR_FILENO, "one\ntwo\nand half a li", 21) < 0)
        _exit(98);
    if (str_is(order, "many"))
        for (int i = 0; i < 200; i++) /* what a socket holds */
            say(c, "again");
    if (str_is(order, "many") || str_is(order, "words"))
        _exit(3);
    if (str_is(order, "die"))
        raise(SIGSEGV);
    return 0;
}

static int child_main(int argc, char **argv)
{
    struct self self = {NULL, argc, argv};
    struct err err;
    self.channel = channel_open(3, on_order, &self);
    for (;;) {
        struct pollfd p = {3, POLLIN, 0};
        poll(&p, 1, -1);
        if (channel_read(self.channel, &err) <= 0)
            _exit(0);
    }
}

/* ---- the test ---- */

struct scene {
    struct loop *l;
    struct supervisor *s;
    char dir[64], heard[4096];
    int frames, lines, pid;
    bool broken, gone;
    struct err err;
    struct world_exit how;
    struct world_child *c;
};

static int on_frame(void *ctx, struct frame *f, struct err *err)
{
    struct scene *s = ctx;
    (void)err;
    s->frames++;
    str_to_z(wire_text(f->body, "text"), s->heard, sizeof(s->heard));
    return 0;
}

static void on_line(void *ctx, struct str line)
{
    struct scene *s = ctx;
    size_t n = strlen(s->heard);
    s->lines++;
    snprintf(s->heard + n, sizeof(s->heard) - n, "[%.*s]", STR_FMT(line));
}

static void on_broken(void *ctx, const struct err *err)
{
    struct scene *s = ctx;
    s->broken = true;
    s->err = *err;
}

static void on_gone(void *ctx, const struct world_exit *how)
{
    struct scene *s = ctx;
    s->gone = true;
    s->how = *how;
}

static const struct world_ears ears = {on_frame, on_line, on_broken, on_gone};

static int setup(void **state)
{
    struct scene *s = mem_new(struct scene);
    char self[FS_PATH_MAX], link[FS_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    assert_true(n > 0);
    self[n] = 0;
    snprintf(s->dir, sizeof(s->dir), "/tmp/berth-programs-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(fs_join(link, s->dir, "berth-worker"), 0);
    assert_int_equal(symlink(self, link), 0);
    s->l = loop_new();
    s->s = supervisor_open(s->l, s->dir);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    char link[FS_PATH_MAX];
    assert_int_equal(fs_join(link, s->dir, "berth-worker"), 0);
    supervisor_close(s->s);
    loop_free(s->l);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(s->dir), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
    assert_int_equal(errno, ECHILD);
    free(s);
    return 0;
}

static void order_from(struct scene *s, const char *what,
                       enum world_program program,
                       const struct world_launch *launch)
{
    s->c = supervisor_spawn(s->s, program, launch, &ears, s, &s->pid, &s->err);
    assert_non_null(s->c);
    struct wire_map m = wire_map_open(supervisor_begin(s->c, FRAME_HELLO, 0));
    wire_kuint(&m, "version", 1);
    wire_kz(&m, "build", what);
    wire_kz(&m, "kind", "daemon");
    wire_map_close(&m);
    assert_int_equal(supervisor_send(s->c, NULL, 0), 0);
}

static void order(struct scene *s, const char *what)
{
    order_from(s, what, WORLD_WORKER, NULL);
}

static void until(struct scene *s, const bool *flag)
{
    while (!*flag)
        loop_turn(s->l, 1000);
}

static void a_child_inherits_nothing(void **state)
{
    struct scene *s = *state;
    sigset_t usr1, old;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, &old);
    signal(SIGPIPE, SIG_IGN);
    setenv("HF_TOKEN", "secret", 1);
    order(s, "inherited");
    sigprocmask(SIG_SETMASK, &old, NULL);
    while (s->frames == 0)
        loop_turn(s->l, 1000);
    assert_string_equal(s->heard, "descriptors 4 variables 0 death 9 leader 1 "
                                  "usr1 0 pipe 1");
    supervisor_signal(s->c, SIGTERM);
    until(s, &s->gone);
    assert_string_equal(s->how.text, "killed by SIGTERM");
    assert_int_equal(s->how.signal, SIGTERM);
}

static void a_program_is_told_what_it_is_for(void **state)
{
    static const char *const read[] = {"/m", "/n", NULL};
    static const struct {
        enum world_program program;
        struct world_launch launch;
        const char *want;
    } rows[] = {
        {WORLD_WORKER, {0}, ""},
        {WORLD_INSPECTOR, {0}, "[--inspect]"},
        {WORLD_TRANSFORMERS,
         {"/b/transformers", "cpu", read},
         "[--launch][--backend][/b/transformers][--device][cpu][--read][/m]"
         "[--read][/n]"},
    };
    struct scene *s = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        s->frames = 0;
        s->gone = false;
        order_from(s, "arguments", rows[i].program,
                   rows[i].launch.backend ? &rows[i].launch : NULL);
        while (s->frames == 0)
            loop_turn(s->l, 1000);
        assert_string_equal(s->heard, rows[i].want);
        supervisor_signal(s->c, SIGTERM);
        until(s, &s->gone);
    }
}

static void more_folders_than_there_is_room_for_are_refused(void **state)
{
    const char *read[100] = {0};
    const struct world_launch launch = {"/b", "cpu", read};
    struct scene *s = *state;
    for (size_t i = 0; i + 1 < ARRAY_LEN(read); i++)
        read[i] = "/m";
    assert_null(supervisor_spawn(s->s, WORLD_TRANSFORMERS, &launch, &ears, s,
                                 &s->pid, &s->err));
}

static void what_it_wrote_before_it_died_is_heard(void **state)
{
    struct scene *s = *state;
    order(s, "words");
    until(s, &s->gone);
    assert_string_equal(s->heard, "[one][two][and half a li]");
    assert_string_equal(s->how.text, "exit 3");
    assert_int_equal(s->how.code, 3);
}

static void frames_sent_before_it_died_are_heard(void **state)
{
    struct scene *s = *state;
    order(s, "many");
    until(s, &s->gone);
    assert_int_equal(s->frames, 200);
}

static void a_death_has_a_name(void **state)
{
    struct scene *s = *state;
    order(s, "die");
    until(s, &s->gone);
    /* A sanitizer makes an exit of it, and says so. */
    assert_true(s->how.signal == SIGSEGV || s->lines > 0);
    assert_int_equal(s->err.code, 0); /* no breach of protocol */
}

static void malformed_bytes_break_the_channel(void **state)
{
    struct scene *s = *state;
    order(s, "malformed");
    until(s, &s->broken);
    assert_int_equal(s->err.code, E_INVALID_REQUEST);
    assert_false(s->gone);
    supervisor_signal(s->c, SIGKILL);
    until(s, &s->gone);
    assert_string_equal(s->how.text, "killed by SIGKILL");
}

static void closing_reaps_what_still_lives(void **state)
{
    struct scene *s = *state;
    order(s, "inherited");
    while (s->frames == 0)
        loop_turn(s->l, 1000);
    assert_int_equal(kill(s->pid, 0), 0);
}

static void a_program_that_is_missing_is_named(void **state)
{
    struct scene *s = *state;
    assert_null(supervisor_spawn(s->s, WORLD_FETCHER, NULL, &ears, s, &s->pid,
                                 &s->err));
    assert_non_null(strstr(s->err.msg, "berth-fetch: No such file"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_child_inherits_nothing),
        TEST(a_program_is_told_what_it_is_for),
        TEST(more_folders_than_there_is_room_for_are_refused),
        TEST(what_it_wrote_before_it_died_is_heard),
        TEST(frames_sent_before_it_died_are_heard),
        TEST(a_death_has_a_name),
        TEST(malformed_bytes_break_the_channel),
        TEST(closing_reaps_what_still_lives),
        TEST(a_program_that_is_missing_is_named),
    };
    if (argc > 0 && str_ends(str_of(argv[0]), "/berth-worker"))
        return child_main(argc, argv);
    return cmocka_run_group_tests_name("supervisor", tests, NULL, NULL);
}
