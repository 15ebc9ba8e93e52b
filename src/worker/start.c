/* worker/start.c - from the first instruction to the worker's own HELLO: what
 * is given up, and in which order. Threads start before the filter closes
 * clone(), asleep, and are handed to the engine later; so no filter rule lets a
 * thread be born once there is a byte of a model to read. */
#include "base/crew.h"
#include "kernels/cpu.h"
#include "worker/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

/* Whoever made the socketpair; 0 when the kernel does not say (another pid
 * namespace). */
static int daemon_pid(void)
{
    struct ucred peer = {0};
    socklen_t n = sizeof(peer);
    if (getsockopt(WORKER_CHANNEL_FD, SOL_SOCKET, SO_PEERCRED, &peer, &n))
        return -1;
    return peer.pid;
}

/* SIGTERM is read from a descriptor; the terminal's signals are the daemon's
 * business; a file or a peer that says no must be an error and not a death. */
static int set_signals(struct worker *w, struct err *err)
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ};
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    last_words_arm(w->signal_stack, sizeof(w->signal_stack));
    sigprocmask(SIG_BLOCK, &term, NULL);
    w->term_fd = signalfd(-1, &term, SFD_NONBLOCK | SFD_CLOEXEC);
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (w->term_fd < 0 || w->wake_fd < 0)
        return err_set(err, errno, "no descriptor to wait on: %s",
                       strerror(errno));
    w->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    return 0;
}

static int wait_for_hello(struct worker *w, struct err *err)
{
    while (w->phase == WORKER_GREETING) {
        struct pollfd p = {WORKER_CHANNEL_FD, POLLIN, 0};
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            return err_set(err, errno, "cannot wait: %s", strerror(errno));
        int r = worker_read(w, err);
        if (r == 0)
            return err_set(err, EPIPE, "the daemon left before its HELLO");
        if (r < 0)
            return r;
    }
    return 0;
}

static int choose_isa(struct worker *w, struct err *err)
{
    int64_t isa = cpu_cap(cpu_detect(), w->hello.isa);
    if (isa < 0)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "\"%s\" is no kernel level; there are scalar, avx2 and "
                       "avx512",
                       w->hello.isa);
    w->isa = (uint32_t)isa;
    return 0;
}

static int thread_count(const struct worker *w)
{
    cpu_set_t cpus;
    int n = w->hello.threads;
    if (n <= 0 && sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        n = CPU_COUNT(&cpus);
    return n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
}

static int give_up_rights(struct worker *w, struct err *err)
{
    w->rules = (struct sandbox_rules){
        .kind = SANDBOX_WORKER,
        .data_bytes = w->hello.memory ? w->hello.memory + WORKER_RESERVE : 0,
        .file_bytes = FRAME_DATA_MAX,
        .degraded = w->hello.degraded,
    };
    int r = sandbox_enter(&w->rules, &w->sandbox, err);
    if (r == 0 && !w->inspect)
        r = crew_open(&w->crew, thread_count(w), err);
    if (r == 0)
        r = sandbox_seal(&w->rules, &w->sandbox, err);
    if (r == 0)
        r = sandbox_probe(&w->rules, &w->sandbox, err);
    return r;
}

int worker_follow(struct err *err)
{
    int parent = daemon_pid();
    if (parent < 0)
        return err_set(err, EBADF,
                       "berth-worker is started by berthd, with its end of a "
                       "socketpair as descriptor %d",
                       WORKER_CHANNEL_FD);
    return sandbox_follow_parent(parent, err);
}

int worker_start(struct worker *w, struct err *err)
{
    int r = worker_follow(err);
    if (r == 0)
        r = worker_open(w, err);
    if (r == 0)
        r = set_signals(w, err);
    if (r == 0)
        r = wait_for_hello(w, err);
    if (r == 0)
        r = choose_isa(w, err);
    if (r == 0)
        r = give_up_rights(w, err);
    if (r < 0)
        return r;
    say_hello(w);
    say_sandbox(w);
    return 0;
}
