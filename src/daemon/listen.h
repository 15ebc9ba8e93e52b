/* daemon/listen.h - listening sockets, and the addresses that they got. */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H
#include "base/err.h"
#include <stdbool.h>

enum { LISTEN_MAX = 16, LISTEN_TEXT = 80 };

struct listening {
    int fd;
    bool unix_socket, loopback;
    char text[LISTEN_TEXT]; /* "127.0.0.1:7337", "[::1]:7337" */
    char host[LISTEN_TEXT]; /* "127.0.0.1", "[::1]" */
};

/* "HOST:PORT": an address in digits, or localhost. */
int listen_tcp(const char *address, struct listening *ret,
               struct err *err) MUST_CHECK;
/* A path of at most 107 bytes, mode 0600. A socket that nobody answers on any
 * more is replaced. */
int listen_unix(const char *path, struct listening *ret,
                struct err *err) MUST_CHECK;
/* One handed down by the service manager. */
int listen_inherited(int fd, struct listening *ret, struct err *err) MUST_CHECK;
/* The path of a unix socket; empty when it has none. */
void listen_path(const struct listening *l, char *out, size_t size);

#endif
