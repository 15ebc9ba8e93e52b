/* http/server.c - the library's daemon on our loop, and a deadline for each
 * phase of a connection.
 *
 * The library runs by its epoll descriptor, which nests in the loop. All
 * connections that became answerable in one turn are resumed together, at its
 * end: each resume makes the library walk its whole list of suspended ones.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "http/http_parts.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
/* after sys/socket.h; netinet/tcp.h lacks the byte counters */
#include <linux/tcp.h>
#include <netinet/in.h>

enum { HEADER_ROOM = 64, ANSWER_ROOM = 8 << 10, COLLECT_TURNS = 10000 };

/* ---- deadlines --------------------------------------------------------- */

/* Bytes that have come in (or gone out and been acknowledged) so far; 0 for a
 * unix socket, whose peer is trusted. */
static uint64_t bytes_moved(const struct http_conn *c, bool in)
{
    struct tcp_info info = {0};
    socklen_t n = sizeof(info);
    if (c->peer == HTTP_UNIX ||
        getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &n))
        return 0;
    return in ? info.tcpi_bytes_received : info.tcpi_bytes_acked;
}

static void set_timer(struct http_conn *c, uint64_t after_ns)
{
    loop_timer_set(c->http->loop, &c->timer, clock_now_ns() + after_ns);
}

static void too_slow(struct http_conn *c, const char *what)
{
    static const char head[] =
        "{\"error\":{\"code\":\"timeout\",\"message\":\"";
    struct buf body = BUF_MAX(1024);
    c->http->counts.too_slow++;
    if (what) {
        buf_addf(&body, "%s%s\"}}", head, what);
        answer_raw(c->fd, 408, "application/json", buf_str(&body));
    }
    buf_fini(&body);
    shutdown(c->fd, SHUT_RDWR); /* the library sees the end and closes */
}

static void look_at_idle(struct http_conn *c)
{
    const struct http_config *g = &c->http->config;
    uint64_t now = clock_now_ns(), seen = bytes_moved(c, true);
    if (seen != c->mark) { /* a request line is trickling in */
        c->phase = CONN_HEADER;
        set_timer(c, g->header_ns);
    } else if (now >= c->idle_until_ns) {
        shutdown(c->fd, SHUT_RDWR);
    } else {
        uint64_t left = c->idle_until_ns - now;
        set_timer(c, left < g->header_ns ? left : g->header_ns);
    }
}

static void look_at_body(struct http_conn *c)
{
    const struct http_config *g = &c->http->config;
    uint64_t seen = c->request->body_seen;
    uint64_t least = g->body_floor * (g->header_ns / 1000000) / 1000;
    if (seen - c->mark < least) {
        too_slow(c, "the body came too slowly");
        return;
    }
    c->mark = seen;
    set_timer(c, g->header_ns);
}

static void look_at_answer(struct http_conn *c)
{
    uint64_t sent = bytes_moved(c, false);
    bool waiting = c->suspended || c->peer == HTTP_UNIX;
    if (!waiting && sent == c->mark) {
        too_slow(c, NULL);
        return;
    }
    c->mark = sent;
    set_timer(c, c->http->config.idle_ns);
}

static void on_deadline(struct loop_timer *t)
{
    struct http_conn *c = t->ctx;
    switch (c->phase) {
    case CONN_FIRST:
        too_slow(c, bytes_moved(c, true) ? "the request line came too slowly"
                                         : NULL);
        break;
    case CONN_HEADER:
        too_slow(c, "the headers came too slowly");
        break;
    case CONN_IDLE:
        look_at_idle(c);
        break;
    case CONN_BODY:
        look_at_body(c);
        break;
    case CONN_ANSWER:
        look_at_answer(c);
        break;
    case CONN_WORK:
        break;
    }
}

void conn_phase(struct http_conn *c, enum conn_phase phase)
{
    const struct http_config *g = &c->http->config;
    enum conn_phase before = c->phase;
    c->phase = phase;
    c->mark = 0;
    switch (phase) {
    case CONN_HEADER:
        if (before != CONN_FIRST) /* whose time still runs */
            set_timer(c, g->header_ns);
        break;
    case CONN_FIRST:
    case CONN_BODY:
        set_timer(c, g->header_ns);
        break;
    case CONN_IDLE:
        c->mark = bytes_moved(c, true);
        c->idle_until_ns = clock_now_ns() + g->idle_ns;
        set_timer(c, g->header_ns);
        break;
    case CONN_WORK:
        loop_timer_clear(c->http->loop, &c->timer);
        break;
    case CONN_ANSWER:
        set_timer(c, g->idle_ns);
        break;
    }
}

/* ---- suspended connections --------------------------------------------- */

static void on_gone(struct loop_fd *w, uint32_t events)
{
    struct http_conn *c = w->ctx;
    (void)events;
    loop_unwatch(c->http->loop, w);
    if (c->suspended && c->request)
        request_client_left(c->request);
}

void conn_suspend(struct http_conn *c)
{
    if (c->suspended)
        return;
    c->suspended = true;
    MHD_suspend_connection(c->mhd);
    c->gone.fn = on_gone;
    c->gone.ctx = c;
    c->gone.fd = c->fd;
    c->gone.events = EPOLLRDHUP | EPOLLHUP;
    if (!c->gone.active && loop_watch(c->http->loop, &c->gone) < 0)
        conn_resume(c); /* no memory for it: the handler finds it unanswered */
}

static void resume_all(struct loop_later *d)
{
    struct http *h = d->ctx;
    struct http_conn *c = h->to_resume;
    h->to_resume = NULL;
    while (c) {
        struct http_conn *next = c->resume_next;
        c->resuming = c->suspended = false;
        MHD_resume_connection(c->mhd);
        c = next;
    }
    server_pump(h);
}

void conn_resume(struct http_conn *c)
{
    struct http *h = c->http;
    if (!c->suspended || c->resuming)
        return;
    c->resuming = true;
    c->resume_next = h->to_resume;
    h->to_resume = c;
    loop_later(h->loop, &h->resume);
}

/* ---- the library ------------------------------------------------------- */

static bool more_to_do(struct http *h)
{
    MHD_UNSIGNED_LONG_LONG ms;
    return MHD_get_timeout(h->mhd, &ms) == MHD_YES && ms == 0;
}

void server_pump(struct http *h)
{
    if (h->running) /* a callback of the library: it goes on by itself */
        return;
    h->running = true;
    MHD_run(h->mhd);
    h->running = false;
    if (more_to_do(h))
        loop_later(h->loop, &h->pump);
}

static void pump_later(struct loop_later *d)
{
    server_pump(d->ctx);
}

static void on_mhd(struct loop_fd *w, uint32_t events)
{
    (void)events;
    server_pump(w->ctx);
}

static struct http_conn *conn_of(struct MHD_Connection *m)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(m, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *m)
{
    (void)ctx;
    return request_begin(conn_of(m), uri);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *m,
                                  const char *url, const char *method,
                                  const char *version, const char *data,
                                  size_t *n, void **request)
{
    (void)ctx, (void)m, (void)url, (void)version;
    return request_step(*request, method, data, n);
}

static void on_completed(void *ctx, struct MHD_Connection *m, void **request,
                         enum MHD_RequestTerminationCode why)
{
    (void)ctx, (void)m, (void)why;
    if (*request)
        request_end(*request);
    *request = NULL;
}

static void drop_conn(struct http_conn *c)
{
    struct http *h = c->http;
    loop_timer_clear(h->loop, &c->timer);
    loop_unwatch(h->loop, &c->gone);
    if (c->request)
        request_end(c->request);
    *(c->prev ? &c->prev->next : &h->conns) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    free(c);
    h->n_conns--;
    accept_resume(h);
}

static void on_connection(void *ctx, struct MHD_Connection *m, void **socket,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http *h = ctx;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket)
            drop_conn(*socket);
        *socket = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(m, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_conn *c = accept_begun(h, info->connect_fd);
    assert(c);
    *socket = c;
    c->mhd = m;
    c->next = h->conns;
    if (c->next)
        c->next->prev = c;
    h->conns = c;
    c->timer = (struct loop_timer){.fn = on_deadline, .ctx = c};
    conn_phase(c, CONN_FIRST);
}

/* Paths and queries are decoded by path.c, once. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *m, char *s)
{
    (void)ctx, (void)m;
    return strlen(s);
}

/* What the library keeps for a connection, and wipes after each request. */
static size_t pool_bytes(const struct guard_rules *g)
{
    return g->header_bytes + g->headers * HEADER_ROOM + ANSWER_ROOM;
}

static struct MHD_Daemon *start_library(struct http *h)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0,
        NULL, NULL, on_request, h, MHD_OPTION_URI_LOG_CALLBACK, on_uri, h,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, h,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        pool_bytes(&h->config.guard), MHD_OPTION_CONNECTION_LIMIT,
        h->config.connections + 16, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
}

static void unpause(struct loop_timer *t)
{
    struct http *h = t->ctx;
    accept_resume(h);
}

int http_new(struct http **ret, struct loop *loop,
             const struct http_config *config, struct err *err)
{
    struct http *h = mem_new(struct http);
    h->config = *config;
    h->loop = loop;
    h->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    h->pump = (struct loop_later){.fn = pump_later, .ctx = h};
    h->resume = (struct loop_later){.fn = resume_all, .ctx = h};
    h->accept_pause = (struct loop_timer){.fn = unpause, .ctx = h};
    h->mhd = start_library(h);
    if (!h->mhd) {
        http_free(h);
        return err_set(err, E_INTERNAL, "the HTTP library did not start");
    }
    h->mhd_watch = (struct loop_fd){.fn = on_mhd, .ctx = h, .events = EPOLLIN};
    h->mhd_watch.fd =
        MHD_get_daemon_info(h->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int r = loop_watch(loop, &h->mhd_watch);
    if (r < 0) {
        http_free(h);
        return err_set(err, -r, "cannot watch the HTTP library");
    }
    *ret = h;
    return 0;
}

void http_collect(struct http *h)
{
    struct pollfd p = {.fd = h->mhd_watch.fd, .events = POLLIN};
    for (int i = 0; i < COLLECT_TURNS; i++) {
        uint64_t before = h->counts.accepted;
        for (size_t k = 0; k < h->n_listeners; k++)
            accept_some(&h->listeners[k]);
        server_pump(h);
        if (h->counts.accepted == before && poll(&p, 1, 0) <= 0 &&
            !more_to_do(h))
            return;
    }
}

void http_last_answers(struct http *h)
{
    h->last_answers = true;
}

unsigned http_requests(const struct http *h)
{
    return h->n_requests;
}

unsigned http_connections(const struct http *h)
{
    return h->n_conns;
}

struct http_counts http_counts(const struct http *h)
{
    return h->counts;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    http_stop_listening(h);
    accept_linger_end(h);
    loop_timer_clear(h->loop, &h->accept_pause);
    for (struct http_conn *c = h->conns; c; c = c->next) {
        if (c->request)
            request_client_left(c->request);
        conn_resume(c);
    }
    if (h->mhd) {
        resume_all(&h->resume); /* the library dies on suspended ones */
        MHD_stop_daemon(h->mhd);
        accept_forget_begun(h);
    }
    loop_later_clear(h->loop, &h->resume);
    loop_later_clear(h->loop, &h->pump);
    loop_unwatch(h->loop, &h->mhd_watch);
    if (h->reserve_fd >= 0)
        close(h->reserve_fd);
    free(h);
}
