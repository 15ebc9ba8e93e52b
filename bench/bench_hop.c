/* bench/bench_hop.c - what the way through the daemon costs: HTTP, frames and
 * back.
 *
 *     bench_hop PORT MODEL [ROUNDS]
 *
 * Asks a daemon on 127.0.0.1:PORT for an embedding of one word from MODEL (a
 * tiny one, so that the model itself costs next to nothing), in turn with a
 * bare echo over the same two kinds of socket: TCP to one process, a unix
 * socketpair to a second, the same numbers of bytes both ways. One connection
 * each, one request at a time. Prints one JSON object.
 */
#include "base/clock.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 16, WARM = 200, ROUNDS = 3000 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w <= 0)
            die("write");
        p += w;
        n -= (size_t)w;
    }
}

static bool read_exactly(int fd, char *p, size_t n)
{
    while (n > 0) {
        ssize_t r = read(fd, p, n);
        if (r <= 0)
            return false;
        p += r;
        n -= (size_t)r;
    }
    return true;
}

/* Reads n bytes and answers m, for ever. */
static void echo(int fd, size_t n, int next, size_t m)
{
    static char bytes[ANSWER_MAX];
    while (read_exactly(fd, bytes, n)) {
        if (next >= 0) {
            send_all(next, bytes, n);
            if (!read_exactly(next, bytes, m))
                break;
        }
        send_all(fd, bytes, m);
    }
    _exit(0);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* The two processes of the bare echo; gives a connection to the first. */
static int start_echo(size_t n, size_t m)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM, 0), pair[2], one = 1;
    if (bind(listener, (struct sockaddr *)&at, sizeof(at)) ||
        listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&at, &len) ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
        die("listen");
    for (int second = 0; second < 2; second++) {
        if (fork() != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (second)
            echo(pair[1], n, -1, m);
        int fd = accept(listener, NULL, NULL);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        echo(fd, n, pair[0], m);
    }
    return connect_to(ntohs(at.sin_port));
}

/* One HTTP answer with a Content-Length; its whole size. */
static size_t read_answer(int fd, char *bytes)
{
    size_t n = 0;
    for (;;) {
        ssize_t r = read(fd, bytes + n, ANSWER_MAX - 1 - n);
        if (r <= 0)
            die("read");
        n += (size_t)r;
        bytes[n] = 0;
        char *body = strstr(bytes, "\r\n\r\n");
        char *length = body ? strcasestr(bytes, "content-length:") : NULL;
        if (length &&
            n >= (size_t)(body + 4 - bytes) + strtoul(length + 15, NULL, 10))
            return n;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double us(const uint64_t *sorted, size_t n, double share)
{
    return (double)sorted[(size_t)(share * (double)(n - 1))] / 1000;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    size_t rounds = argc > 3 ? strtoul(argv[3], NULL, 10) : ROUNDS;
    char body[512], request[1024];
    static char answer[ANSWER_MAX];
    int nb = snprintf(body, sizeof(body), "{\"model\":\"%s\",\"input\":\"a\"}",
                      argv[2]);
    int nr = snprintf(
        request, sizeof(request),
        "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
        nb, body);
    int berth = connect_to((uint16_t)strtoul(argv[1], NULL, 10));
    send_all(berth, request, (size_t)nr);
    size_t size = read_answer(berth, answer);
    if (strncmp(answer, "HTTP/1.1 200", 12)) {
        fprintf(stderr, "%s\n", answer);
        return 1;
    }
    int bare = start_echo((size_t)nr, size);
    uint64_t *times[2] = {calloc(rounds, sizeof(uint64_t)),
                          calloc(rounds, sizeof(uint64_t))};
    for (size_t i = 0; i < rounds + WARM; i++) {
        uint64_t t0 = clock_now_ns();
        send_all(berth, request, (size_t)nr);
        read_answer(berth, answer);
        uint64_t t1 = clock_now_ns();
        send_all(bare, request, (size_t)nr);
        if (!read_exactly(bare, answer, size))
            die("echo");
        uint64_t t2 = clock_now_ns();
        if (i >= WARM) {
            times[0][i - WARM] = t1 - t0;
            times[1][i - WARM] = t2 - t1;
        }
    }
    for (int k = 0; k < 2; k++)
        qsort(times[k], rounds, sizeof(uint64_t), compare);
    printf("{\"request\":%d,\"answer\":%zu,\"berth_p50_us\":%.1f,\"berth_min_"
           "us\":%.1f,"
           "\"echo_p50_us\":%.1f,\"echo_min_us\":%.1f}\n",
           nr, size, us(times[0], rounds, 0.5), us(times[0], rounds, 0),
           us(times[1], rounds, 0.5), us(times[1], rounds, 0));
    free(times[0]);
    free(times[1]);
    return 0;
}
