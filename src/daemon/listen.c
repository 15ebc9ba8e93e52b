/* daemon/listen.c - listening sockets, and the addresses that they got. */
#include "daemon/listen.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

/* "[::1]:80" or "127.0.0.1:80" into host and port. */
static int split(const char *address, char *host, size_t size,
                 const char **ret_port, struct err *err)
{
    const char *colon = strrchr(address, ':');
    size_t n = colon ? (size_t)(colon - address) : 0;
    const char *from = address;
    if (n > 2 && address[0] == '[' && address[n - 1] == ']')
        from++, n -= 2;
    else if (n && memchr(address, ':', n))
        n = 0; /* an IPv6 address stands in brackets */
    char *end = NULL;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!n || n >= size || !colon[1] || *end || port > 65535)
        return err_set(err, E_INVALID_REQUEST,
                       "cannot listen on '%s': it should be HOST:PORT, like "
                       "127.0.0.1:7337 or [::1]:7337",
                       address);
    memcpy(host, from, n);
    host[n] = 0;
    *ret_port = colon + 1;
    return 0;
}

static void describe(struct listening *l)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof(a);
    char digits[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *v4 = (const void *)&a;
    const struct sockaddr_in6 *v6 = (const void *)&a;
    getsockname(l->fd, (struct sockaddr *)&a, &n);
    l->unix_socket = a.ss_family == AF_UNIX;
    if (a.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, digits, sizeof(digits));
        l->loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        snprintf(l->host, sizeof(l->host), "%s", digits);
        snprintf(l->text, sizeof(l->text), "%s:%u", digits,
                 ntohs(v4->sin_port));
    } else if (a.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, digits, sizeof(digits));
        l->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
        snprintf(l->host, sizeof(l->host), "[%s]", digits);
        snprintf(l->text, sizeof(l->text), "[%s]:%u", digits,
                 ntohs(v6->sin6_port));
    }
}

static int bind_and_listen(int fd, const struct sockaddr *a, socklen_t n)
{
    int on = 1;
    if (a->sa_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    return bind(fd, a, n) || listen(fd, BACKLOG) ? -errno : 0;
}

int listen_tcp(const char *address, struct listening *ret, struct err *err)
{
    char host[256];
    const char *port;
    struct addrinfo *found,
        hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                 .ai_socktype = SOCK_STREAM};
    int r = split(address, host, sizeof(host), &port, err);
    if (r < 0)
        return r;
    if (getaddrinfo(strcmp(host, "localhost") ? host : "127.0.0.1", port,
                    &hints, &found))
        return err_set(err, E_INVALID_REQUEST,
                       "cannot listen on '%s': the host should be an address "
                       "in digits, or localhost",
                       address);
    *ret = (struct listening){.fd = -1};
    ret->fd =
        socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = ret->fd < 0
            ? -errno
            : bind_and_listen(ret->fd, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (r < 0) {
        if (ret->fd >= 0)
            close(ret->fd);
        return err_set(err, -r, "cannot listen on %s: %s", address,
                       strerror(-r));
    }
    describe(ret);
    return 0;
}

/* Whether somebody still accepts on the path. */
static bool answered(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool yes = fd >= 0 &&
               (!connect(fd, (const void *)a, sizeof(*a)) || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return yes;
}

static int clear_path(const struct sockaddr_un *a, struct err *err)
{
    struct stat st;
    if (lstat(a->sun_path, &st))
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, EEXIST, "%s is in the way: it is no socket",
                       a->sun_path);
    if (answered(a))
        return err_set(err, EADDRINUSE, "another program listens on %s already",
                       a->sun_path);
    if (unlink(a->sun_path) && errno != ENOENT)
        return err_set(err, errno, "cannot replace %s: %s", a->sun_path,
                       strerror(errno));
    return 0;
}

int listen_unix(const char *path, struct listening *ret, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (!str_to_z(str_of(path), a.sun_path, sizeof(a.sun_path)))
        return err_set(err, ENAMETOOLONG,
                       "the socket's path is longer than %zu bytes: give a "
                       "shorter one with --socket",
                       sizeof(a.sun_path) - 1);
    int r = clear_path(&a, err);
    if (r < 0)
        return r;
    *ret = (struct listening){.unix_socket = true};
    ret->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0177);
    r = ret->fd < 0 ? -errno : bind_and_listen(ret->fd, (void *)&a, sizeof(a));
    umask(before);
    if (r < 0) {
        if (ret->fd >= 0)
            close(ret->fd);
        return err_set(err, -r, "cannot listen on %s: %s", path, strerror(-r));
    }
    return 0;
}

int listen_inherited(int fd, struct listening *ret, struct err *err)
{
    int on = 0;
    socklen_t n = sizeof(on);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) || !on)
        return err_set(err, E_INVALID_REQUEST,
                       "a socket handed down by the service manager does not "
                       "listen");
    *ret = (struct listening){.fd = fd};
    describe(ret);
    return 0;
}

void listen_path(const struct listening *l, char *out, size_t size)
{
    struct sockaddr_un a = {0};
    socklen_t n = sizeof(a);
    getsockname(l->fd, (struct sockaddr *)&a, &n);
    snprintf(out, size, "%.*s", (int)sizeof(a.sun_path), a.sun_path);
}
