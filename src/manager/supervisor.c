/* manager/supervisor.c - the real world's children: listen and reap. */
#include "manager/supervisor.h"
#include "base/fs.h"
#include "base/list.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "manager/spawn.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 4096, /* longer ones are told in pieces */
    LAST_READS = 64,       /* of a channel whose process is gone */
    ARGUMENTS_MAX = 64,
};

struct supervisor {
    struct loop *loop;
    char *programs;
    struct list children;
};

struct world_child {
    struct list link;
    struct supervisor *s;
    const struct world_ears *ears;
    void *ctx;
    int pid;
    bool reading, writing; /* the channel still works in this direction */
    struct channel *channel;
    struct loop_fd socket, output, process;
    char line[LINE_MAX_BYTES];
    size_t n_line;
};

struct supervisor *supervisor_open(struct loop *loop, const char *programs)
{
    struct supervisor *s = mem_new(struct supervisor);
    s->loop = loop;
    s->programs = mem_strdup(programs);
    list_init(&s->children);
    signal(SIGCHLD, SIG_DFL); /* ignored, children would reap themselves */
    return s;
}

static void child_free(struct world_child *c)
{
    struct loop *l = c->s->loop;
    loop_unwatch(l, &c->socket);
    loop_unwatch(l, &c->output);
    loop_unwatch(l, &c->process);
    channel_close(c->channel);
    close(c->output.fd);
    close(c->process.fd);
    list_del(&c->link);
    free(c);
}

void supervisor_close(struct supervisor *s)
{
    if (!s)
        return;
    while (!list_empty(&s->children)) {
        struct world_child *c =
            list_of(s->children.next, struct world_child, link);
        siginfo_t info;
        pidfd_send_signal(c->process.fd, SIGKILL, NULL, 0);
        while (waitid(P_PIDFD, (id_t)c->process.fd, &info, WEXITED) &&
               errno == EINTR)
            ;
        child_free(c);
    }
    free(s->programs);
    free(s);
}

/* ---- its standard error, line by line ---- */

static void tell_line(struct world_child *c)
{
    if (c->n_line)
        c->ears->line(c->ctx, str_n(c->line, c->n_line));
    c->n_line = 0;
}

static void take_bytes(struct world_child *c, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n' || c->n_line == sizeof(c->line))
            tell_line(c);
        if (p[i] != '\n')
            c->line[c->n_line++] = p[i];
    }
}

/* False when there is nothing (more) to read. */
static bool read_output(struct world_child *c)
{
    char bytes[LINE_MAX_BYTES];
    ssize_t n = read(c->output.fd, bytes, sizeof(bytes));
    if (n > 0)
        take_bytes(c, bytes, (size_t)n);
    else if (n == 0)
        loop_unwatch(c->s->loop, &c->output);
    return n > 0;
}

static void on_output(struct loop_fd *w, uint32_t events)
{
    (void)events;
    read_output(w->ctx);
}

/* ---- its frames ---- */

static void watch_channel(struct world_child *c)
{
    struct loop *l = c->s->loop;
    uint32_t events = (c->reading ? EPOLLIN : 0u);
    if (c->writing && channel_wants_write(c->channel))
        events |= EPOLLOUT;
    if (events == 0)
        loop_unwatch(l, &c->socket); /* a closed socket would never be quiet */
    else
        loop_change(l, &c->socket, events);
}

static int on_frame(void *ctx, struct frame *frame, struct err *err)
{
    struct world_child *c = ctx;
    return c->ears->frame(c->ctx, frame, err);
}

static void read_frames(struct world_child *c)
{
    struct err err = {0};
    int r = channel_read(c->channel, &err);
    if (r > 0)
        return;
    if (r == -EPIPE || r == -ECONNRESET) /* it died: no breach of protocol */
        err = (struct err){0};
    c->reading = false;
    c->ears->broken(c->ctx, &err);
}

static void on_socket(struct loop_fd *w, uint32_t events)
{
    struct world_child *c = w->ctx;
    if (events & EPOLLOUT && channel_flush(c->channel) < 0)
        c->writing = false;
    if (c->reading && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_frames(c);
    watch_channel(c);
}

struct buf *supervisor_begin(struct world_child *c, enum frame_type type,
                             uint64_t job)
{
    return channel_begin(c->channel, type, job);
}

int supervisor_send(struct world_child *c, const int *fds, int n_fds)
{
    int r = channel_send(c->channel, fds, n_fds);
    if (r == -EPIPE || r == -ECONNRESET) {
        c->writing = false; /* its end is about to be seen */
        r = 0;
    }
    if (c->socket.active)
        watch_channel(c);
    return r;
}

void supervisor_signal(struct world_child *c, int signal)
{
    pidfd_send_signal(c->process.fd, signal, NULL, 0);
}

/* ---- its end ---- */

static struct world_exit how_it_ended(const siginfo_t *info)
{
    struct world_exit how = {0};
    if (info->si_code == CLD_EXITED) {
        how.code = info->si_status;
        snprintf(how.text, sizeof(how.text), "exit %d", how.code);
        return how;
    }
    const char *name = sigabbrev_np(info->si_status);
    how.signal = info->si_status;
    snprintf(how.text, sizeof(how.text), "killed by SIG%s", name ? name : "?");
    return how;
}

static void on_process(struct loop_fd *w, uint32_t events)
{
    (void)events;
    struct world_child *c = w->ctx;
    siginfo_t info = {0};
    if (waitid(P_PIDFD, (id_t)w->fd, &info, WEXITED | WNOHANG) ||
        info.si_pid == 0)
        return;
    /* What it had sent before it died counts. */
    for (int i = 0; i < LAST_READS && c->reading; i++)
        read_frames(c);
    for (int i = 0; i < LAST_READS && read_output(c); i++)
        ;
    tell_line(c);
    struct world_exit how = how_it_ended(&info);
    const struct world_ears *ears = c->ears;
    void *ctx = c->ctx;
    child_free(c);
    ears->gone(ctx, &how);
}

/* ---- its beginning ---- */

/* argv, [ARGUMENTS_MAX + 1], for a program at path. */
static int put_arguments(const char **argv, const char *path,
                         enum world_program program,
                         const struct world_launch *launch, struct err *err)
{
    int n = 0;
    argv[n++] = path;
    if (program == WORLD_INSPECTOR)
        argv[n++] = "--inspect";
    if (program == WORLD_TRANSFORMERS) {
        argv[n++] = "--launch";
        argv[n++] = "--backend";
        argv[n++] = launch->backend;
        argv[n++] = "--device";
        argv[n++] = launch->device;
    }
    for (const char *const *p = launch ? launch->read : NULL; p && *p; p++) {
        if (n + 2 > ARGUMENTS_MAX)
            return err_set(err, E_INTERNAL, "too many folders to read");
        argv[n++] = "--read";
        argv[n++] = *p;
    }
    argv[n] = NULL;
    return 0;
}

static struct world_child *listen_to(struct supervisor *s,
                                     const struct spawned *p)
{
    struct world_child *c = mem_new(struct world_child);
    c->s = s;
    c->pid = p->pid;
    c->reading = c->writing = true;
    c->channel = channel_open(p->socket, on_frame, c);
    c->socket = (struct loop_fd){on_socket, c, p->socket, EPOLLIN, false};
    c->output = (struct loop_fd){on_output, c, p->output, EPOLLIN, false};
    c->process = (struct loop_fd){on_process, c, p->pidfd, EPOLLIN, false};
    list_add(&s->children, &c->link);
    return c;
}

static int watch_all(struct world_child *c)
{
    struct loop *l = c->s->loop;
    int r = loop_watch(l, &c->socket);
    if (r == 0)
        r = loop_watch(l, &c->output);
    return r == 0 ? loop_watch(l, &c->process) : r;
}

struct world_child *supervisor_spawn(struct supervisor *s,
                                     enum world_program program,
                                     const struct world_launch *launch,
                                     const struct world_ears *ears, void *ctx,
                                     int *ret_pid, struct err *err)
{
    char path[FS_PATH_MAX];
    const char *argv[ARGUMENTS_MAX + 1];
    struct spawned p;
    const struct spawn what = {
        .path = path,
        .argv = argv,
        .first_to_die = program != WORLD_FETCHER,
    };
    const char *name =
        program == WORLD_FETCHER ? "berth-fetch" : "berth-worker";
    if (fs_join(path, s->programs, name) < 0) {
        err_set(err, ENAMETOOLONG, "the path of the programs is too long");
        return NULL;
    }
    if (put_arguments(argv, path, program, launch, err) < 0 ||
        spawn_child(&what, &p, err) < 0)
        return NULL;
    struct world_child *c = listen_to(s, &p);
    c->ears = ears;
    c->ctx = ctx;
    int r = watch_all(c);
    if (r < 0) {
        siginfo_t info;
        err_set(err, E_INTERNAL, "cannot watch a process: %s", strerror(-r));
        supervisor_signal(c, SIGKILL);
        waitid(P_PIDFD, (id_t)p.pidfd, &info, WEXITED);
        child_free(c);
        return NULL;
    }
    *ret_pid = p.pid;
    return c;
}
