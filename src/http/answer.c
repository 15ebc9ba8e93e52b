/* http/answer.c - answers: whole, in pieces, or as a stream.
 *
 * An answer is made when the handler says so and handed to the library when the
 * library asks, which it does after its connection was resumed. Bytes of a
 * stream or of pieces wait in r->out until the library pulls them; when there
 * are none, the connection is set aside again.
 */
#include "base/mem.h"
#include "http/http_parts.h"
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

void http_add_header(struct http_request *r, const char *name, const char *fmt,
                     ...)
{
    char value[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    for (char *p = value; *p; p++) /* never a second header in a value */
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    buf_add(&r->headers, name, strlen(name) + 1);
    buf_add(&r->headers, value, strlen(value) + 1);
}

static void put_headers(struct http_request *r, const char *type)
{
    const char *p = r->headers.p, *end = p + r->headers.len;
    while (r->headers.len && p < end) {
        const char *value = p + strlen(p) + 1;
        MHD_add_response_header(r->response, p, value);
        p = value + strlen(value) + 1;
    }
    if (type)
        MHD_add_response_header(r->response, "Content-Type", type);
    MHD_add_response_header(r->response, "X-Content-Type-Options", "nosniff");
}

enum MHD_Result answer_queue(struct http_request *r)
{
    if (!r->response)
        return MHD_NO;
    if (r->http->last_answers)
        MHD_add_response_header(r->response, "Connection", "close");
    conn_phase(r->conn, CONN_ANSWER);
    enum MHD_Result ok =
        MHD_queue_response(r->conn->mhd, (unsigned)r->status, r->response);
    MHD_destroy_response(r->response); /* the library holds it now */
    r->response = NULL;
    return ok;
}

/* The handler has said what the answer is. */
static void answer_ready(struct http_request *r)
{
    if (!r->in_handler)
        conn_resume(r->conn);
}

void answer_raw(int fd, int status, const char *type, struct str body)
{
    struct buf b = BUF_MAX(16384);
    buf_addf(&b,
             "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n",
             status, MHD_get_reason_phrase_for((unsigned)status), type, body.n);
    buf_add(&b, body.p, body.n);
    if (b.failed == 0 &&
        send(fd, b.p, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        /* The connection ends anyhow; its client reads slowly as well. */
    }
    buf_fini(&b);
}

void http_reply(struct http_request *r, int status, const char *type,
                struct buf *body)
{
    assert(!r->answered && !r->dead);
    struct buf none = {0};
    body = body ? body : &none;
    r->answered = true;
    r->on_abort = NULL;
    r->status = status;
    if (r->raw) {
        answer_raw(r->conn->fd, status, type ? type : "text/plain",
                   buf_str(body));
        buf_fini(body);
        return;
    }
    size_t n = body->len;
    char *p = buf_detach(body);
    r->response = MHD_create_response_from_buffer(n, p ? p : (void *)"",
                                                  p ? MHD_RESPMEM_MUST_FREE
                                                    : MHD_RESPMEM_PERSISTENT);
    if (r->response)
        put_headers(r, type);
    else
        r->dead = true; /* no memory: the connection is cut */
    answer_ready(r);
}

/* ---- bytes that the library pulls -------------------------------------- */

/* Makes more bytes out of the pieces: 0, or a negative code. */
static int refill(struct http_request *r)
{
    while (r->pieces.more && r->out_at == r->out.len) {
        buf_reset(&r->out);
        r->out_at = 0;
        int more = r->pieces.more(r->pieces.ctx, &r->out);
        if (more < 0 || r->out.failed)
            return -1;
        if (more == 0) {
            r->pieces.more = NULL;
            r->stream_ended = true;
        }
    }
    return 0;
}

/* The library asks for more only when its own buffer has gone out. */
static void drained(struct http_request *r)
{
    if (!r->undrained || !r->on_drained)
        return;
    r->undrained = false;
    r->on_drained(r->drained_ctx);
}

/* Of a reader's error libmicrohttpd 0.9.75 closes the connection and, under
 * epoll, never looks at it again. The end of a stream that can no longer be
 * sent is a case that it knows, and no client takes it for a whole answer. */
static ssize_t cut(const struct http_request *r)
{
    shutdown(r->conn->fd, SHUT_RDWR);
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static ssize_t pull(void *ctx, uint64_t at, char *to, size_t max)
{
    (void)at;
    struct http_request *r = ctx;
    if (r->dead || refill(r) < 0)
        return cut(r);
    size_t n = r->out.len - r->out_at;
    if (n == 0 && r->stream_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (n == 0) {
        conn_suspend(r->conn);
        drained(r);
        return 0;
    }
    n = n < max ? n : max;
    memcpy(to, r->out.p + r->out_at, n);
    r->out_at += n;
    if (r->out_at == r->out.len) {
        buf_reset(&r->out);
        r->out_at = 0;
    }
    return (ssize_t)n;
}

static void begin_pulled(struct http_request *r, int status, const char *type,
                         size_t ceiling)
{
    assert(!r->answered && !r->dead);
    r->answered = true;
    r->status = status;
    r->out.max = ceiling;
    r->response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, PIECE_BYTES / 2, pull, r, NULL);
    if (r->response)
        put_headers(r, type);
    else
        r->dead = true;
    answer_ready(r);
}

void http_reply_pieces(struct http_request *r, int status, const char *type,
                       const struct http_pieces *pieces)
{
    r->pieces = *pieces;
    r->on_abort = NULL;
    begin_pulled(r, status, type, 8u << 20);
}

/* What a reader has not taken should be known here, and not lie in megabytes
 * of the kernel's (tcp(7), TCP_NOTSENT_LOWAT). Without it streams work too. */
static void hold_little(struct http_conn *c)
{
    int bytes = STREAM_UNSENT;
    if (c->peer == HTTP_TCP && setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
                                          &bytes, sizeof(bytes)))
        return;
}

void http_stream_begin(struct http_request *r, int status, const char *type)
{
    hold_little(r->conn);
    r->stream = true;
    http_add_header(r, "Cache-Control", "no-store");
    begin_pulled(r, status, type, STREAM_MAX);
}

int http_stream_write(struct http_request *r, const void *p, size_t n)
{
    assert(r->stream && !r->stream_ended);
    if (r->out_at) {
        buf_shift(&r->out, r->out_at);
        r->out_at = 0;
    }
    int code = buf_add(&r->out, p, n);
    r->out.failed = 0;
    r->undrained |= code == 0;
    if (code == 0)
        conn_resume(r->conn);
    return code;
}

void http_stream_end(struct http_request *r)
{
    assert(r->stream && !r->stream_ended);
    r->stream_ended = true;
    r->on_abort = NULL;
    r->on_drained = NULL;
    conn_resume(r->conn);
}

void http_on_drained(struct http_request *r, void (*fn)(void *ctx), void *ctx)
{
    r->on_drained = fn;
    r->drained_ctx = ctx;
}
