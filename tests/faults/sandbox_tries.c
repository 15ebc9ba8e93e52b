/* tests/faults/sandbox_tries.c - a worker that tries to break out.
 *
 * A child becomes a worker by the worker's own worker_start(), and then,
 * instead of waiting for a model, makes each system call of sandbox_tries.def,
 * once on its main thread and once on a compute thread. One line for each; the
 * exit status says whether any was let through. Before, another child makes the
 * same calls without a sandbox, so that a try which proves nothing is seen.
 */
#include "base/crew.h"
#include "worker/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#define P(x) (long)(x)

enum {
    MUST = 1,
    ANY = 2,
    IN = 4,
    MODEL_FD = 100,
    MEMFD_FD = 101,
    SKIPPED = 77
};
enum { PARENT = -1000001, MODEL = -1000002, MEMFD = -1000003, PAGE = -1000004 };

static char scratch[4096];
static char *no_words[] = {NULL};
static struct open_how open_how;
static struct clone_args clone_how = {.exit_signal = SIGCHLD};

static const struct
try {
    const char *what;
    int flags;
    long call, a[6];
}
tries[] = {
#define TRY(what, flags, call, ...) {what, flags, SYS_##call, {__VA_ARGS__}},
#include "sandbox_tries.def"
#undef TRY
};

struct place {
    long parent;
    void *page;
    bool outside;
    bool reached[ARRAY_LEN(tries)];
    int n, let_through;
    const char *thread;
};

static long real(const struct place *p, long a)
{
    switch (a) {
    case PARENT:
        return p->parent;
    case MODEL:
        return MODEL_FD;
    case MEMFD:
        return MEMFD_FD;
    case PAGE:
        return (long)p->page;
    default:
        return a;
    }
}

/* Whether the call got past the sandbox: it worked, or failed for a reason of
 * its own. */
static bool reached(struct place *p, const struct try *t, int *ret_errno)
{
    long a[6];
    pid_t self = getpid();
    for (int i = 0; i < 6; i++)
        a[i] = real(p, t->a[i]);
    errno = 0;
    long r = syscall(t->call, a[0], a[1], a[2], a[3], a[4], a[5]);
    *ret_errno = r < 0 ? errno : 0;
    if (getpid() != self)
        _exit(0); /* a new process: the old one reports it */
    if (r >= 0 || t->flags & ANY)
        return r >= 0;
    return errno != EPERM && errno != EACCES && errno != ENOSYS;
}

static void try_all(struct place *p)
{
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        int e;
        if (p->outside && tries[i].flags & IN)
            continue;
        p->reached[i] = reached(p, &tries[i], &e);
        p->n++;
        p->let_through += p->reached[i];
        if (p->outside)
            continue;
        printf("%s %s: %s: %s\n", p->reached[i] ? "not ok" : "ok", p->thread,
               tries[i].what, e ? strerror(e) : "let through");
    }
}

static void *nothing(void *ctx)
{
    return ctx;
}

static void try_thread(struct place *p)
{
    pthread_t t;
    int r = pthread_create(&t, NULL, nothing, NULL);
    p->n++;
    p->let_through += r == 0;
    printf("%s %s: a new thread: %s\n", r ? "ok" : "not ok", p->thread,
           strerror(r));
}

static void on_crew(void *ctx, int i)
{
    if (i > 0)
        return;
    ((struct place *)ctx)->thread = "compute thread";
    try_all(ctx);
}

/* In the child; its end of the socketpair is descriptor 3. */
static int inside(struct place *p)
{
    struct worker w = {.wake_fd = -1, .term_fd = -1, .statm_fd = -1};
    struct err err;
    list_init(&w.jobs);
    if (worker_start(&w, &err) < 0) {
        printf("not ok: the worker did not start: %s\n", err.msg);
        return 1;
    }
    if (!w.sandbox.seccomp)
        return SKIPPED;
    p->thread = "main thread";
    try_all(p);
    try_thread(p);
    crew_work(w.crew, on_crew, p);
    crew_wait(w.crew);
    printf("%d tries, %d let through\n", p->n, p->let_through);
    fflush(stdout);
    bool all = p->n == 2 * (int)ARRAY_LEN(tries) + 1;
    return p->let_through > 0 || !all;
}

static int status_of(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    printf("not ok: the child died of signal %d\n", WTERMSIG(status));
    return 1;
}

/* Without a sandbox: each MUST has to reach the kernel. */
static int outside(struct place *p)
{
    int useless = 0, got = 0;
    p->outside = true;
    setpgid(0, 0);
    try_all(p);
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        got += p->reached[i];
        if (p->reached[i] || !(tries[i].flags & MUST))
            continue;
        printf("not ok outside: %s proves nothing: it is denied to everybody\n",
               tries[i].what);
        useless++;
    }
    printf("outside the sandbox %d of %zu tries reach the kernel\n", got,
           ARRAY_LEN(tries));
    fflush(stdout);
    return useless > 0;
}

static int no_frame(void *ctx, struct frame *f, struct err *err)
{
    (void)ctx;
    (void)f;
    (void)err;
    return 0;
}

static int greet(int fd)
{
    struct channel *c = channel_open(fd, no_frame, NULL);
    struct wire_map m = wire_map_open(channel_begin(c, FRAME_HELLO, 0));
    wire_kuint(&m, "version", FRAME_VERSION);
    wire_kz(&m, "build", "test");
    wire_kz(&m, "kind", "daemon");
    wire_kuint(&m, "threads", 2);
    wire_kbool(&m, "degraded", true);
    wire_map_close(&m);
    return channel_send(c, NULL, 0);
}

static int model_file(void)
{
    char name[] = "/tmp/berth-tries-XXXXXX";
    int rw = mkstemp(name);
    if (rw < 0 || ftruncate(rw, 4096) || write(rw, "model", 5) != 5)
        return -1;
    int ro = open(name, O_RDONLY);
    unlink(name);
    close(rw);
    return ro;
}

static int run(struct place *p, int (*fn)(struct place *), int channel)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid != 0)
        return pid < 0 ? 1 : status_of(pid);
    if (dup2(channel, WORKER_CHANNEL_FD) < 0)
        _exit(1);
    int r = fn(p);
    fflush(stdout);
    _exit(r);
}

int main(void)
{
    static struct place p;
    int pair[2], model = model_file(), memfd = memfd_create("tries", 0);
    p.parent = getpid();
    p.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (model < 0 || memfd < 0 || ftruncate(memfd, 4096) ||
        dup2(model, MODEL_FD) < 0 || dup2(memfd, MEMFD_FD) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || greet(pair[0]) < 0)
        return 1;
    int control = run(&p, outside, memfd);
    int r = run(&p, inside, pair[1]);
    return r ? r : control;
}
