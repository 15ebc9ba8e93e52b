/* http/http_parts.h - what the files of http/ share: connections and requests
 * as they are inside.
 *
 * A connection is born in accept.c and dies in the library's "closed" callback.
 * While a request waits for its answer the library has set its connection aside
 * (suspended) and sees nothing of it: our own watcher then sees the client
 * leave. The library has no deadlines that hold against a trickle, so each
 * phase has its timer here.
 */
#ifndef HTTP_HTTP_PARTS_H
#define HTTP_HTTP_PARTS_H
#include "base/loop.h"
#include "http/http.h"
#include <microhttpd.h>

enum {
    LISTENERS_MAX = 16,
    STREAM_MAX = 256 << 10,
    STREAM_UNSENT = 32 << 10, /* of a stream, in the kernel */
    PIECE_BYTES = 64 << 10,
};

enum conn_phase {
    CONN_FIRST,  /* accepted; no request line yet */
    CONN_IDLE,   /* between two requests */
    CONN_HEADER, /* a request line has come */
    CONN_BODY,   /* the headers have */
    CONN_WORK,   /* the handler has it: no deadline of ours */
    CONN_ANSWER, /* the answer is on its way */
};

struct http_conn {
    struct http *http;
    struct MHD_Connection *mhd;
    struct http_request *request; /* or NULL */
    int fd;                       /* the library's */
    enum http_peer peer;
    bool local, suspended, resuming;
    enum conn_phase phase;
    struct loop_timer timer;
    struct loop_fd gone;    /* EPOLLRDHUP, while suspended */
    uint64_t mark;          /* bytes moved, at the last look */
    uint64_t idle_until_ns; /* of CONN_IDLE */
    struct http_conn *resume_next;
    struct http_conn *prev, *next; /* all of them */
};

struct listener {
    struct http *http;
    struct loop_fd watch;
    enum http_peer kind;
};

struct http {
    struct http_config config;
    struct loop *loop;
    struct MHD_Daemon *mhd;
    struct loop_fd mhd_watch;
    struct loop_later pump, resume;
    struct loop_timer accept_pause;
    struct listener listeners[LISTENERS_MAX];
    size_t n_listeners;
    int reserve_fd; /* given up for a moment when descriptors run out */
    bool paused;    /* not accepting: limit, or no descriptors */
    bool last_answers, running;
    struct http_conn *conns, *to_resume;
    struct http_conn *adding; /* given to the library, which has not told yet */
    struct tail *lingering;
    unsigned n_conns, n_requests, n_lingering;
    struct http_counts counts;
};

struct http_request {
    struct http *http;
    struct http_conn *conn;
    struct http_view view;
    char *target; /* raw path; view.path and view.query point into it */
    struct buf body;
    int64_t body_want; /* bytes, or GUARD_CHUNKED */
    uint64_t body_seen;
    bool begun, dispatched, in_handler, dead, raw, answered;
    int refusal; /* 0, or the code; discard the body, then refuse */
    struct err why;
    struct MHD_Response *response;
    int status;
    struct buf headers; /* name NUL value NUL ... */
    void (*on_abort)(void *ctx);
    void *abort_ctx;
    void (*on_drained)(void *ctx);
    void *drained_ctx;
    bool undrained; /* written to since on_drained() was called */
    struct http_pieces pieces;
    bool stream, stream_ended;
    struct buf out; /* of a stream or of pieces, from out_at on */
    size_t out_at;
    const void *tag;
};

/* request.c */
void *request_begin(struct http_conn *c, const char *uri);
enum MHD_Result request_step(struct http_request *r, const char *method,
                             const char *data, size_t *n);
void request_end(struct http_request *r);
void request_client_left(struct http_request *r);

/* answer.c */
enum MHD_Result answer_queue(struct http_request *r);
void answer_raw(int fd, int status, const char *type, struct str body);

/* server.c */
void conn_phase(struct http_conn *c, enum conn_phase phase);
void conn_suspend(struct http_conn *c);
void conn_resume(struct http_conn *c);
void server_pump(struct http *h);

/* accept.c */
void accept_some(struct listener *l);
void accept_resume(struct http *h);
struct http_conn *accept_begun(struct http *h, int fd);
void accept_forget_begun(struct http *h);
void accept_linger(struct http *h, int fd);
void accept_linger_end(struct http *h);

#endif
