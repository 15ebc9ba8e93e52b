/* worker/launch.c - berth-worker --launch: gives up what the Transformers
 * server does not need, then becomes it, on the same channel.
 *
 * The daemon's HELLO says how much memory there is and whether a weaker sandbox
 * will do; it is looked at and left where it is, for the server reads it too.
 */
#include "base/jsonw.h"
#include "base/mem.h"
#include "worker/launch_paths.h"
#include "worker/worker.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    READ_MAX = 32,          /* folders of models */
    HELLO_MAX = 16384,      /* bytes of the daemon's */
    HELLO_NODES = 512,      /* values in it */
    FILES_MAX = 1024,       /* open at once: a model may be many */
    FILES_MIN = 64,         /* without which no interpreter starts */
    RESERVE = 256 << 20,    /* RLIMIT_DATA above what the daemon allows: what
                               torch's libraries map and never touch */
    THREAD_BYTES = 24 << 20 /* and for each thread: stacks, of which a server
                               has up to three */
};

struct launch {
    struct worker *w;
    const char *backend, *device, *read[READ_MAX];
    int n_read;
    struct launch_paths paths;
};

static int read_arguments(struct launch *l, int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--backend"))
            l->backend = argv[i + 1];
        else if (!strcmp(argv[i], "--device"))
            l->device = argv[i + 1];
        else if (!strcmp(argv[i], "--read") && l->n_read < READ_MAX)
            l->read[l->n_read++] = argv[i + 1];
        else
            return -EINVAL;
    }
    return argc % 2 == 0 && l->backend && l->device ? 0 : -EINVAL;
}

/* ---- the daemon's HELLO ---- */

/* Its length once the frame in bytes[n] is whole, 0 before. */
static int64_t whole_hello(const char *bytes, size_t n,
                           struct frame_header *ret, struct err *err)
{
    if (n < FRAME_HEADER)
        return 0;
    int r = frame_header_read(bytes, ret, err);
    if (r < 0)
        return r;
    if (ret->type != FRAME_HELLO)
        return err_set(err, E_INVALID_REQUEST, "%s before HELLO",
                       frame_type_name(ret->type));
    if (ret->length > HELLO_MAX - FRAME_HEADER)
        return err_set(err, E_INVALID_REQUEST, "a HELLO of %u bytes",
                       ret->length);
    return n >= FRAME_HEADER + ret->length
               ? (int64_t)(FRAME_HEADER + ret->length)
               : 0;
}

/* Looks until all of it is there. What has been looked at makes a socket
 * readable for ever, so what is waited for is its getting more: EPOLLET. */
static int64_t peek_hello(int epoll, char *bytes, struct frame_header *h,
                          struct err *err)
{
    bool over = false;
    for (;;) {
        ssize_t n =
            recv(WORKER_CHANNEL_FD, bytes, HELLO_MAX, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return err_set(err, errno, "cannot read from the daemon: %s",
                           strerror(errno));
        int64_t r = whole_hello(bytes, n > 0 ? (size_t)n : 0, h, err);
        if (r != 0)
            return r;
        struct epoll_event e = {0};
        if (n == 0 || over)
            return err_set(err, EPIPE, "the daemon left before its HELLO");
        if (epoll_wait(epoll, &e, 1, -1) < 0 && errno != EINTR)
            return err_set(err, errno, "cannot wait: %s", strerror(errno));
        over = e.events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR);
    }
}

static int read_hello(struct worker *w, struct err *err)
{
    char bytes[HELLO_MAX];
    struct wire_node nodes[HELLO_NODES];
    struct frame_header h;
    struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, WORKER_CHANNEL_FD, &e))
        return err_set(err, errno, "cannot wait for the daemon: %s",
                       strerror(errno));
    int64_t r = peek_hello(epoll, bytes, &h, err);
    close(epoll);
    if (r > 0)
        r = frame_body_read(FRAME_HELLO, str_n(bytes + FRAME_HEADER, h.length),
                            nodes, HELLO_NODES, err);
    if (r < 0)
        return (int)r;
    w->hello.threads = (int)wire_uint(nodes, "threads", 0);
    w->hello.memory = wire_uint(nodes, "memory", 0);
    w->hello.degraded = wire_bool(nodes, "degraded", false);
    return 0;
}

/* ---- descriptors ---- */

/* The program's descriptor gets a number that is out of reach afterwards: as
 * high as there may be files, and closed by the exec. */
static int place_program(struct launch *l, int *ret_fd, struct err *err)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return err_set(err, errno, "cannot read RLIMIT_NOFILE");
    if (files.rlim_max <= FILES_MIN)
        return err_set(err, EMFILE,
                       "a limit of %llu open files is too low for the "
                       "Transformers server",
                       (unsigned long long)files.rlim_max);
    int fd = files.rlim_max > FILES_MAX ? FILES_MAX : (int)files.rlim_max - 1;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) ||
        close_range(WORKER_CHANNEL_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) ||
        dup3(l->paths.python_fd, fd, O_CLOEXEC) < 0)
        return err_set(err, errno, "cannot place a descriptor: %s",
                       strerror(errno));
    *ret_fd = fd;
    return 0;
}

/* A rule of Landlock is about an inode, and the kernel makes another for the
 * same file of /proc once it has forgotten the name. A descriptor that stays
 * open keeps it in mind. */
static int pin_proc(struct launch *l, struct err *err)
{
    for (int i = 0; i < l->paths.read.n; i++) {
        const char *path = l->paths.read.v[i];
        if (!str_starts(str_of(path), "/proc/"))
            continue;
        if (open(path, O_PATH) < 0 && errno != ENOENT)
            return err_set(err, errno, "cannot open %s: %s", path,
                           strerror(errno));
    }
    return 0;
}

/* What it prints goes where its errors go: to the daemon's log. */
static int place_descriptors(struct launch *l, int *ret_fd, struct err *err)
{
    int r = place_program(l, ret_fd, err);
    if (r == 0)
        r = pin_proc(l, err);
    if (r == 0 && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        r = err_set(err, errno, "no standard error: %s", strerror(errno));
    if (r == 0 && fcntl(WORKER_CHANNEL_FD, F_SETFD, 0))
        r = err_set(err, errno, "no channel: %s", strerror(errno));
    return r;
}

/* ---- the sandbox ---- */

static uint64_t data_bytes(const struct worker *w)
{
    uint64_t threads = w->hello.threads > 0 ? (uint64_t)w->hello.threads : 1;
    return w->hello.memory ? w->hello.memory + RESERVE + threads * THREAD_BYTES
                           : 0;
}

static int give_up_rights(struct launch *l, struct err *err)
{
    struct worker *w = l->w;
    int exec_fd = -1, r = place_descriptors(l, &exec_fd, err);
    if (r < 0)
        return r;
    w->rules = (struct sandbox_rules){
        .kind = SANDBOX_PYTHON,
        .read = (const char *const *)l->paths.read.v,
        .execute = (const char *const *)l->paths.execute.v,
        .devices = (const char *const *)l->paths.devices.v,
        .exec_fd = exec_fd,
        .data_bytes = data_bytes(w),
        .file_bytes = FRAME_DATA_MAX,
        .degraded = w->hello.degraded,
    };
    r = sandbox_enter(&w->rules, &w->sandbox, err);
    if (r == 0)
        r = sandbox_seal(&w->rules, &w->sandbox, err);
    if (r == 0)
        r = sandbox_probe(&w->rules, &w->sandbox, err);
    return r;
}

/* ---- the server ---- */

/* What of the sandbox is in force, for the server to say in STATUS. */
static void put_sandbox(struct buf *out, const struct worker *w)
{
    const struct sandbox_state *s = &w->sandbox;
    struct jsonw j = jsonw_to(out);
    buf_puts(out, "BERTH_SANDBOX=");
    jsonw_object(&j);
    jsonw_kbool(&j, "no_new_privs", s->no_new_privs);
    jsonw_kbool(&j, "rlimits", s->rlimits);
    jsonw_kbool(&j, "landlock", s->landlock);
    jsonw_kint(&j, "landlock_abi", s->landlock_abi);
    jsonw_kbool(&j, "seccomp", s->seccomp);
    jsonw_kbool(&j, "exec_memory", true);
    jsonw_kbool(&j, "device_files", *w->rules.devices != NULL);
    jsonw_kbool(&j, "degraded", s->degraded);
    jsonw_end_object(&j);
    buf_putc(out, 0);
}

/* All that the interpreter gets to know, each with a NUL behind it. torch wants
 * a folder for what it never compiles; the Hub is never asked; OpenBLAS, which
 * only torch's relatives use, would start threads at its import, and a thread
 * that is there already keeps what it may read when the server gives up more.
 */
static void put_environment(struct buf *out, const struct worker *w)
{
    static const char fixed[] = "TORCHINDUCTOR_CACHE_DIR=/\0"
                                "HF_HUB_OFFLINE=1\0"
                                "OPENBLAS_NUM_THREADS=1";
    put_sandbox(out, w);
    buf_add(out, fixed, sizeof(fixed));
    if (w->hello.threads > 0)
        buf_addf(out, "OMP_NUM_THREADS=%d%c", w->hello.threads, 0);
}

/* Returns only when it fails. Isolated from what else there is for Python, no
 * bytecode written, nothing buffered, a trace of where it was when it dies. */
static int become(struct launch *l, struct err *err)
{
    const char *argv[] = {l->paths.python,
                          "-I",
                          "-B",
                          "-u",
                          "-X",
                          "utf8",
                          "-X",
                          "faulthandler",
                          "-m",
                          "berth_transformers",
                          NULL};
    enum { VARIABLES_MAX = 16 };
    char *environment[VARIABLES_MAX] = {NULL};
    struct buf text = BUF_MAX(65536);
    put_environment(&text, l->w);
    if (text.failed)
        return err_set(err, ENOMEM, "out of memory");
    int n = 0;
    for (char *p = text.p; p < text.p + text.len && n + 1 < VARIABLES_MAX;
         p += strlen(p) + 1)
        environment[n++] = p;
    syscall(SYS_execveat, l->w->rules.exec_fd, "", argv, environment,
            AT_EMPTY_PATH);
    int code = errno;
    buf_fini(&text);
    return err_set(err, E_INTERNAL, "cannot run %s: %s", l->paths.python,
                   strerror(code));
}

/* The terminal's signals are the daemon's business; an interpreter that finds
 * them ignored leaves them so. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
}

static int launch(struct launch *l, struct err *err)
{
    int r = worker_follow(err);
    if (r == 0)
        r = read_hello(l->w, err);
    if (r == 0)
        r = launch_paths_find(&l->paths, l->backend, l->device, err);
    for (int i = 0; r == 0 && i < l->n_read; i++)
        r = launch_paths_read(&l->paths, l->read[i], err);
    if (r == 0 && chdir("/"))
        r = err_set(err, errno, "cannot leave the folder: %s", strerror(errno));
    if (r == 0)
        r = give_up_rights(l, err);
    return r == 0 ? become(l, err) : r;
}

int worker_launch(struct worker *w, int argc, char **argv)
{
    struct launch l = {.w = w, .paths.python_fd = -1};
    struct err err, none;
    if (read_arguments(&l, argc, argv) < 0)
        return -EINVAL;
    list_init(&w->jobs);
    ignore_signals();
    int r = launch(&l, &err);
    if (r != -EBADF && worker_open(w, &none) == 0)
        w->over = r == -EPIPE;
    worker_end(w, &err);
    launch_paths_fini(&l.paths);
    return 1;
}
