/* http/http.h - bytes to requests, answers to bytes: HTTP/1.1 over TCP and unix
 * sockets.
 *
 * Owns its listeners, its connections and every request from its first byte to
 * the last byte of its answer. The loop's thread only. What is in force before
 * a handler sees a request: the guard (http/guard.h), the limits below and a
 * deadline for each phase. A request that the guard refuses is answered by the
 * refuse callback, in the caller's protocol.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H
#include "base/buf.h"
#include "base/err.h"
#include "http/guard.h"
#include <stdbool.h>
#include <stdint.h>

struct http;
struct http_request;
struct loop;

enum http_peer { HTTP_TCP, HTTP_UNIX };

/* The request, as decided once. Slices live as long as the request. */
struct http_view {
    struct str method;
    struct str path;  /* decoded once; valid UTF-8 without NUL */
    struct str query; /* raw; see http_query() */
    struct str body;  /* whole; empty while admit() looks */
    enum http_peer peer;
    bool local;        /* unix socket or loopback address */
    uint64_t began_ns; /* its request line had come */
};

struct http_config {
    struct guard_rules guard;
    size_t body_bytes;
    unsigned connections;
    uint64_t header_ns, idle_ns;
    uint64_t body_floor; /* bytes a second */

    /* The headers are there, the body is not: a negative code refuses. */
    int (*admit)(void *ctx, struct http_request *r, struct err *err);
    /* The whole request is there. Answers now or later. */
    void (*handle)(void *ctx, struct http_request *r);
    /* Answers now, with http_reply(). */
    void (*refuse)(void *ctx, struct http_request *r, const struct err *err);
    /* The last that is heard of a request: its status, 0 when the client left
     * before there was one. */
    void (*ended)(void *ctx, struct http_request *r, int status);
    void *ctx;
};

int http_new(struct http **ret, struct loop *loop,
             const struct http_config *config, struct err *err) MUST_CHECK;
/* Takes the listening socket. Of a unix socket only the daemon's user and root
 * are served. */
int http_listen(struct http *h, int fd, enum http_peer kind,
                struct err *err) MUST_CHECK;
/* Accepts and reads until nothing that had been sent by now is unread. */
void http_collect(struct http *h);
/* Every answer from now on is the last of its connection. */
void http_last_answers(struct http *h);
/* Takes what waits in the backlog, then closes the listeners. */
void http_stop_listening(struct http *h);
unsigned http_requests(const struct http *h); /* begun and not yet ended */
unsigned http_connections(const struct http *h);
void http_free(struct http *h);

/* ---- looking at a request ---------------------------------------------- */

const struct http_view *http_view(const struct http_request *r);
/* The first header of that name, in any case; empty when there is none. */
struct str http_header(struct http_request *r, const char *name);
/* The decoded value of a query parameter; false when there is none. */
bool http_query(const struct http_request *r, const char *key, char *out,
                size_t size);
/* The body's bytes leave the request, or come back: view.body is then empty, or
 * whole again. */
struct buf http_take_body(struct http_request *r);
void http_give_body(struct http_request *r, struct buf *body);
/* One pointer for the layer above. */
void http_set_tag(struct http_request *r, const void *tag);
const void *http_tag(const struct http_request *r);
int http_status(const struct http_request *r); /* 0: not answered yet */

/* ---- answering --------------------------------------------------------- */

/* Before the answer begins. */
void http_add_header(struct http_request *r, const char *name, const char *fmt,
                     ...) PRINTF(3, 4);
/* Called when the client leaves before the answer has ended; nobody may touch
 * the request after that. Not called once http_reply*() or http_stream_end()
 * has been. */
void http_on_abort(struct http_request *r, void (*fn)(void *ctx), void *ctx);

/* The whole answer; takes what body holds. The request is no longer the
 * caller's. body NULL: empty. */
void http_reply(struct http_request *r, int status, const char *type,
                struct buf *body);

/* An answer that is made while it is sent: more() adds some bytes to out (about
 * 64 KiB at most) and returns 1, or 0 with the last of them, or a negative code
 * to cut the connection. fini() always follows, exactly once. The request is no
 * longer the caller's. */
struct http_pieces {
    int (*more)(void *ctx, struct buf *out);
    void (*fini)(void *ctx);
    void *ctx;
};
void http_reply_pieces(struct http_request *r, int status, const char *type,
                       const struct http_pieces *pieces);

/* An answer of unknown length, written as things happen. A write that would
 * hold more than 256 KiB for a slow reader is -E2BIG and is not begun. */
void http_stream_begin(struct http_request *r, int status, const char *type);
int http_stream_write(struct http_request *r, const void *p,
                      size_t n) MUST_CHECK;
void http_stream_end(struct http_request *r);
/* fn is called each time that everything written so far has gone to the client,
 * as far as its socket takes it: a reader that is slow holds back what is made
 * for it. It may write and end. */
void http_on_drained(struct http_request *r, void (*fn)(void *ctx), void *ctx);

/* How many turned away: at the connection limit, for want of descriptors, too
 * slow. */
struct http_counts {
    uint64_t accepted, refused_limit, no_descriptor, too_slow, foreign_user;
};
struct http_counts http_counts(const struct http *h);

#endif
