/* daemon/daemon.c - berthd from its start to its end. */
#include "daemon/daemon.h"
#include "base/clock.h"
#include "base/helper.h"
#include "base/jsonw.h"
#include "base/log.h"
#include "daemon/daemon_parts.h"
#include "daemon/home.h"
#include "manager/world.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { HELPER_QUEUE = 1024 };
static const uint64_t LAST_ANSWERS_NS = 5ull * 1000 * 1000 * 1000;
static const uint64_t LAST_EVENTS_NS = 10 * 1000 * 1000;

/* ---- signals ------------------------------------------------------------ */

static void begin_to_stop(struct daemon *d)
{
    log_info("daemon: stopping: requests under way finish first");
    sd_notify(0, "STOPPING=1");
    api_drain(d->api);
    http_last_answers(d->http);
    http_collect(d->http); /* what was sent by now is ours to answer */
    d->phase = DAEMON_COLLECTS;
}

static void on_signal(struct loop_fd *w, uint32_t events)
{
    (void)events;
    struct daemon *d = w->ctx;
    struct signalfd_siginfo info;
    if (read(w->fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGHUP) {
        log_warn("daemon: the configuration is read at start only");
    } else if (d->phase <= DAEMON_RUNS) {
        begin_to_stop(d);
    } else {
        log_warn("daemon: a second signal: ending at once");
        _exit(1);
    }
}

static int watch_signals(struct daemon *d, struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    int fd = sigprocmask(SIG_BLOCK, &set, NULL)
                 ? -1
                 : signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_set(err, errno, "cannot watch for signals");
    d->signals = (struct loop_fd){
        .fn = on_signal, .ctx = d, .fd = fd, .events = EPOLLIN};
    int r = loop_watch(d->loop, &d->signals);
    return r < 0 ? err_set(err, -r, "cannot watch for signals") : 0;
}

static void on_watchdog(struct loop_timer *t)
{
    struct daemon *d = t->ctx;
    sd_notify(0, "WATCHDOG=1");
    loop_timer_set(d->loop, t, clock_now_ns() + d->watchdog_ns);
}

static void watch_dog(struct daemon *d)
{
    uint64_t us;
    if (sd_watchdog_enabled(0, &us) <= 0)
        return;
    d->watchdog_ns = us * 1000 / 3;
    d->watchdog = (struct loop_timer){.fn = on_watchdog, .ctx = d};
    on_watchdog(&d->watchdog);
}

/* ---- start -------------------------------------------------------------- */

static int start_manager(struct daemon *d, struct err *err)
{
    int r = fs_program_dir(d->programs);
    if (r < 0)
        return err_set(err, -r, "cannot tell where berthd itself is");
    r = level_ask(d->programs, d->isa, d->level, err);
    if (r < 0)
        return r;
    r = setup_backends(d, err);
    if (r < 0)
        return r;
    r = helper_open(&d->helper, d->loop, HELPER_QUEUE, err);
    if (r < 0)
        return r;
    struct world_options w = {.loop = d->loop,
                              .helper = d->helper,
                              .programs = d->programs,
                              .home = d->home,
                              .cache = d->cache,
                              .backends = d->backends};
    d->world = world_open(&w, err);
    if (!d->world)
        return -err->code;
    struct manager_config config = setup_manager(d);
    return manager_new(&d->manager, &config, d->world, err);
}

static int start_http(struct daemon *d, struct err *err)
{
    struct http_config http = setup_http(d);
    struct api_config config = setup_api(d);
    d->api = api_new(d->loop, d->manager, d->helper, &config);
    api_serve(d->api, &http);
    int r = http_new(&d->http, d->loop, &http, err);
    if (r < 0)
        return r;
    api_set_http(d->api, d->http);
    return 0;
}

static int accept_requests(struct daemon *d, struct err *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < d->n_listening; i++) {
        const struct listening *l = &d->listening[i];
        r = http_listen(d->http, l->fd, l->unix_socket ? HTTP_UNIX : HTTP_TCP,
                        err);
    }
    d->n_listening = 0; /* they are http's now */
    return r;
}

static int announce(struct daemon *d, struct err *err)
{
    struct buf b = BUF_MAX(16384), list = BUF_MAX(4096);
    struct jsonw w = jsonw_to(&b);
    jsonw_object(&w);
    jsonw_kint(&w, "pid", getpid());
    jsonw_key(&w, "listen");
    jsonw_array(&w);
    for (size_t i = 0; i < d->n_texts; i++) {
        jsonw_z(&w, d->texts[i]);
        buf_addf(&list, "%s%s", i ? ", " : "", d->texts[i]);
    }
    jsonw_end_array(&w);
    jsonw_kz(&w, "socket", d->socket);
    jsonw_kz(&w, "version", BERTH_VERSION);
    jsonw_end_object(&w);
    buf_putc(&b, '\n');
    int r = home_announce(d->home, buf_str(&b), err);
    log_info("daemon: berthd %s listens on %.*s and %s, home %s, models in %s, "
             "kernels %s, %d threads",
             BERTH_VERSION, STR_FMT(buf_str(&list)), d->socket, d->home,
             d->cache, d->level, d->threads);
    buf_fini(&b);
    buf_fini(&list);
    return r;
}

static int start(struct daemon *d, const struct daemon_options *o,
                 struct err *err)
{
    int r = home_find(o->home, getenv, d->home, err);
    if (r == 0)
        r = setup_config(d, o, err);
    if (r == 0)
        r = d->lock_fd = home_open(d->home, err);
    if (r < 0)
        return r;
    d->loop = loop_new();
    r = watch_signals(d, err);
    if (r == 0)
        r = setup_listen(d, err);
    if (r == 0)
        r = start_manager(d, err);
    if (r == 0)
        r = start_http(d, err);
    return r;
}

/* Clients that connected meanwhile have waited in the backlog. */
static int open_doors(struct daemon *d, struct err *err)
{
    struct manager_status s;
    manager_status(d->manager, &s);
    if (s.starting)
        return 0;
    int r = accept_requests(d, err);
    if (r == 0)
        r = announce(d, err);
    if (r < 0)
        return r;
    d->phase = DAEMON_RUNS;
    sd_notify(0, "READY=1");
    watch_dog(d);
    return 0;
}

/* ---- stop --------------------------------------------------------------- */

static void drained(void *ctx, int code, const struct err *err)
{
    struct daemon *d = ctx;
    if (code < 0)
        log_warn("daemon: draining: %s", err->msg);
    if (d->owns_socket)
        unlink(d->socket);
    http_stop_listening(d->http);
    d->phase = DAEMON_ANSWERS;
    uint64_t now = clock_now_ns();
    loop_timer_set(d->loop, &d->last_events, now + LAST_EVENTS_NS);
    loop_timer_set(d->loop, &d->deadline, now + LAST_ANSWERS_NS);
}

/* Not at once: those who listen hear of the last process's end first. */
static void end_streams(struct loop_timer *t)
{
    struct daemon *d = t->ctx;
    api_end_streams(d->api);
}

static void too_late(struct loop_timer *t)
{
    struct daemon *d = t->ctx;
    log_warn("daemon: %u answers were not taken in time",
             http_requests(d->http));
    d->phase = DAEMON_ENDS;
}

/* Whether the phase is over; looked at after every turn. */
static void next_phase(struct daemon *d)
{
    if (d->phase == DAEMON_COLLECTS && !api_busy(d->api)) {
        d->phase = DAEMON_DRAINS;
        manager_drain(d->manager, drained, d);
    }
    if (d->phase != DAEMON_ANSWERS || http_requests(d->http))
        return;
    http_collect(d->http); /* the last thing that somebody may have said */
    if (!http_requests(d->http))
        d->phase = DAEMON_ENDS;
}

static void ended(void *ctx, int code, const struct err *err)
{
    struct daemon *d = ctx;
    (void)code, (void)err;
    d->phase = DAEMON_ENDS;
}

/* A start that failed late: the manager may be at work already, and is freed
 * when it is not. */
static void give_up(struct daemon *d)
{
    d->phase = DAEMON_DRAINS;
    manager_drain(d->manager, ended, d);
    while (d->phase != DAEMON_ENDS)
        loop_turn(d->loop, -1);
}

/* The helper first: what it still has refers to all the others. */
static void stop(struct daemon *d)
{
    helper_close(d->helper);
    http_free(d->http);
    api_free(d->api);
    manager_free(d->manager);
    world_close(d->world);
    for (size_t i = 0; i < d->n_listening; i++)
        close(d->listening[i].fd);
    if (d->loop) {
        loop_timer_clear(d->loop, &d->watchdog);
        loop_timer_clear(d->loop, &d->deadline);
        loop_timer_clear(d->loop, &d->last_events);
        loop_unwatch(d->loop, &d->signals);
        if (d->signals.fd > 0)
            close(d->signals.fd);
        loop_free(d->loop);
    }
    if (d->lock_fd >= 0)
        home_leave(d->home, d->lock_fd);
    settings_fini(&d->settings);
    free(d->hosts);
    free(d->backends);
    free(d->backends_text);
}

int daemon_run(const struct daemon_options *options, struct err *err)
{
    struct daemon d = {.lock_fd = -1};
    d.deadline = (struct loop_timer){.fn = too_late, .ctx = &d};
    d.last_events = (struct loop_timer){.fn = end_streams, .ctx = &d};
    int r = start(&d, options, err);
    while (r == 0 && d.phase != DAEMON_ENDS) {
        loop_turn(d.loop, -1);
        if (d.phase == DAEMON_STARTS)
            r = open_doors(&d, err);
        next_phase(&d);
    }
    if (r == 0)
        log_info("daemon: stopped");
    if (r < 0 && d.owns_socket)
        unlink(d.socket);
    if (r < 0 && d.manager)
        give_up(&d);
    stop(&d);
    return r < 0 ? r : 0;
}
