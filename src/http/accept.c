/* http/accept.c - connections in: listeners, limits, the last of a backlog. */
#include "base/clock.h"
#include "base/mem.h"
#include "http/http_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 64, LINGERING_MAX = 64, LINGER_BYTES = 32 << 20 };
static const uint64_t PAUSE_NS = 100 * 1000 * 1000;
static const uint64_t LINGER_NS = 2000 * 1000 * 1000ull;

static void on_listener(struct loop_fd *w, uint32_t events)
{
    (void)events;
    struct listener *l = w->ctx;
    accept_some(l);
    server_pump(l->http);
}

int http_listen(struct http *h, int fd, enum http_peer kind, struct err *err)
{
    if (h->n_listeners == LISTENERS_MAX)
        return err_set(err, E_INVALID_REQUEST, "at most %d listeners",
                       LISTENERS_MAX);
    int flags = fcntl(fd, F_GETFL); /* one handed down may block */
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(err, errno, "a listening socket is not usable");
    struct listener *l = &h->listeners[h->n_listeners];
    *l = (struct listener){.http = h, .kind = kind};
    l->watch = (struct loop_fd){
        .fn = on_listener, .ctx = l, .fd = fd, .events = EPOLLIN};
    int r = loop_watch(h->loop, &l->watch);
    if (r < 0)
        return err_set(err, -r, "cannot watch a listening socket");
    h->n_listeners++;
    return 0;
}

static void accept_pause(struct http *h)
{
    h->paused = true;
    for (size_t i = 0; i < h->n_listeners; i++)
        loop_change(h->loop, &h->listeners[i].watch, 0);
}

void accept_resume(struct http *h)
{
    if (!h->paused || h->n_conns >= h->config.connections)
        return;
    h->paused = false;
    loop_timer_clear(h->loop, &h->accept_pause);
    for (size_t i = 0; i < h->n_listeners; i++)
        loop_change(h->loop, &h->listeners[i].watch, EPOLLIN);
}

/* Out of descriptors: takes one connection by the reserve and drops it, so that
 * its client is told, and does not look again for a while. */
static void shed_one(struct http *h, int listener)
{
    h->counts.no_descriptor++;
    if (h->reserve_fd >= 0) {
        close(h->reserve_fd);
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            close(fd);
        h->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    accept_pause(h);
    loop_timer_set(h->loop, &h->accept_pause, clock_now_ns() + PAUSE_NS);
}

static bool trusted(int fd)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);
    return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static bool is_loopback(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *v4 = (const void *)a;
    const struct sockaddr_in6 *v6 = (const void *)a;
    if (a->ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    if (a->ss_family != AF_INET6)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
           (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) &&
            v6->sin6_addr.s6_addr[12] == 127);
}

/* Takes out of the list the connection that was handed to the library as fd and
 * of which the library has not told yet; NULL if there is none. */
struct http_conn *accept_begun(struct http *h, int fd)
{
    struct http_conn **p = &h->adding;
    while (*p && (*p)->fd != fd)
        p = &(*p)->next;
    struct http_conn *c = *p;
    if (c)
        *p = c->next;
    return c;
}

static void forget(struct http *h, struct http_conn *c)
{
    if (!c)
        return;
    h->n_conns--;
    free(c);
}

/* The library tells of a connection while it is added (0.9) or in its next run
 * (1.0); or never, having closed fd: then at once, with MHD_NO, or, as one sees
 * when the descriptor comes again, later. */
static void add_conn(struct listener *l, int fd,
                     const struct sockaddr_storage *addr, socklen_t n)
{
    struct http *h = l->http;
    forget(h, accept_begun(h, fd));
    struct http_conn *c = mem_new(struct http_conn);
    c->http = h;
    c->fd = fd;
    c->peer = l->kind;
    c->local = l->kind == HTTP_UNIX || is_loopback(addr);
    c->next = h->adding;
    h->adding = c;
    h->n_conns++;
    h->counts.accepted++;
    if (MHD_add_connection(h->mhd, fd, (const struct sockaddr *)addr, n) !=
        MHD_YES)
        forget(h, accept_begun(h, fd));
}

void accept_forget_begun(struct http *h)
{
    while (h->adding)
        forget(h, accept_begun(h, h->adding->fd));
}

void accept_some(struct listener *l)
{
    struct http *h = l->http;
    for (int i = 0; i < ACCEPT_BATCH && !h->paused; i++) {
        if (h->n_conns >= h->config.connections) {
            h->counts.refused_limit++;
            accept_pause(h);
            return;
        }
        struct sockaddr_storage addr = {0};
        socklen_t n = sizeof(addr);
        int fd = accept4(l->watch.fd, (struct sockaddr *)&addr, &n,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                       errno == ENOBUFS))
            shed_one(h, l->watch.fd);
        if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
            return;
        if (fd < 0)
            continue;
        if (l->kind == HTTP_UNIX && !trusted(fd)) {
            h->counts.foreign_user++;
            close(fd);
            continue;
        }
        add_conn(l, fd, &addr, n);
    }
}

/* Nothing that has not been accepted by now gets a connection: the kernel
 * drops every packet for the listener, so that between the last accept and the
 * close nobody's request is lost. (A unix socket's path is gone already.) */
static void close_the_gate(const struct listener *l)
{
    struct sock_filter drop = {.code = BPF_RET | BPF_K, .k = 0};
    struct sock_fprog program = {.len = 1, .filter = &drop};
    if (l->kind == HTTP_TCP)
        setsockopt(l->watch.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program,
                   sizeof(program));
}

void http_stop_listening(struct http *h)
{
    for (size_t i = 0; i < h->n_listeners; i++)
        close_the_gate(&h->listeners[i]);
    if (h->n_listeners)
        http_collect(h);
    for (size_t i = 0; i < h->n_listeners; i++) {
        loop_unwatch(h->loop, &h->listeners[i].watch);
        close(h->listeners[i].watch.fd);
    }
    h->n_listeners = 0;
}

/* ---- the end of a connection whose client still sends ------------------- */

struct tail {
    struct http *http;
    struct loop_fd watch;
    struct loop_timer timer;
    size_t left;
    struct tail *prev, *next;
};

static void linger_end(struct tail *g)
{
    loop_unwatch(g->http->loop, &g->watch);
    loop_timer_clear(g->http->loop, &g->timer);
    close(g->watch.fd);
    *(g->prev ? &g->prev->next : &g->http->lingering) = g->next;
    if (g->next)
        g->next->prev = g->prev;
    g->http->n_lingering--;
    free(g);
}

void accept_linger_end(struct http *h)
{
    while (h->lingering)
        linger_end(h->lingering);
}

static void linger_late(struct loop_timer *t)
{
    linger_end(t->ctx);
}

static void linger_read(struct loop_fd *w, uint32_t events)
{
    (void)events;
    struct tail *g = w->ctx;
    char waste[16384];
    ssize_t n = recv(w->fd, waste, sizeof(waste), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || (size_t)n >= g->left) {
        linger_end(g);
        return;
    }
    g->left -= (size_t)n;
}

/* A close with bytes unread would be a reset, and the client might lose the
 * answer that it is about to read: a second descriptor keeps the socket and
 * swallows what still comes, for a moment. */
void accept_linger(struct http *h, int fd)
{
    if (h->n_lingering >= LINGERING_MAX)
        return;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    struct tail *g = mem_new(struct tail);
    g->http = h;
    g->left = LINGER_BYTES;
    g->watch = (struct loop_fd){
        .fn = linger_read, .ctx = g, .fd = copy, .events = EPOLLIN};
    g->timer = (struct loop_timer){.fn = linger_late, .ctx = g};
    g->next = h->lingering;
    if (g->next)
        g->next->prev = g;
    h->lingering = g;
    h->n_lingering++;
    if (loop_watch(h->loop, &g->watch) < 0) {
        linger_end(g);
        return;
    }
    loop_timer_set(h->loop, &g->timer, clock_now_ns() + LINGER_NS);
}
