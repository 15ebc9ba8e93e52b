/* http/request.c - a request from its first line to its handler. */
#include "base/clock.h"
#include "base/mem.h"
#include "http/http_parts.h"
#include "http/path.h"

enum { HEADERS_SEEN_MAX = 512 };

/* ---- looking ----------------------------------------------------------- */

const struct http_view *http_view(const struct http_request *r)
{
    return &r->view;
}

struct str http_header(struct http_request *r, const char *name)
{
    const char *value = NULL;
    size_t n = 0;
    if (MHD_lookup_connection_value_n(r->conn->mhd, MHD_HEADER_KIND, name,
                                      strlen(name), &value, &n) != MHD_YES)
        return str_n("", 0);
    return str_n(value, n);
}

bool http_query(const struct http_request *r, const char *key, char *out,
                size_t size)
{
    return path_query(r->view.query, key, out, size);
}

struct buf http_take_body(struct http_request *r)
{
    struct buf body = r->body;
    r->body = (struct buf){0};
    r->view.body = buf_str(&r->body);
    return body;
}

void http_give_body(struct http_request *r, struct buf *body)
{
    r->body = *body;
    *body = (struct buf){0};
    r->view.body = buf_str(&r->body);
}

void http_set_tag(struct http_request *r, const void *tag)
{
    r->tag = tag;
}

const void *http_tag(const struct http_request *r)
{
    return r->tag;
}

int http_status(const struct http_request *r)
{
    return r->status;
}

void http_on_abort(struct http_request *r, void (*fn)(void *ctx), void *ctx)
{
    r->on_abort = fn;
    r->abort_ctx = ctx;
}

/* ---- life -------------------------------------------------------------- */

void *request_begin(struct http_conn *c, const char *uri)
{
    struct http *h = c->http;
    struct http_request *r = mem_new(struct http_request);
    r->http = h;
    r->conn = c;
    r->target = mem_strdup(uri);
    r->body.max = h->config.body_bytes;
    r->headers.max = 16384;
    r->view.peer = c->peer;
    r->view.local = c->local;
    r->view.began_ns = clock_now_ns();
    c->request = r;
    h->n_requests++;
    conn_phase(c, CONN_HEADER);
    return r;
}

/* The handler learns, once, that nobody waits any more. */
static void abandon(struct http_request *r)
{
    void (*fn)(void *ctx) = r->on_abort;
    r->on_abort = NULL;
    r->on_drained = NULL;
    r->dead = true;
    if (fn)
        fn(r->abort_ctx);
}

void request_client_left(struct http_request *r)
{
    if (r->dead)
        return;
    abandon(r);
    conn_resume(r->conn);
}

void request_end(struct http_request *r)
{
    struct http_conn *c = r->conn;
    struct http *h = r->http;
    abandon(r);
    if (h->config.ended && r->begun)
        h->config.ended(h->config.ctx, r, r->status);
    if (r->response)
        MHD_destroy_response(r->response);
    if (r->pieces.fini)
        r->pieces.fini(r->pieces.ctx);
    c->request = NULL;
    h->n_requests--;
    conn_phase(c, CONN_IDLE);
    buf_fini(&r->body);
    buf_fini(&r->headers);
    buf_fini(&r->out);
    free(r->target);
    free(r);
}

/* ---- headers ----------------------------------------------------------- */

struct collect {
    struct guard_header h[HEADERS_SEEN_MAX];
    size_t n;
};

static enum MHD_Result collect_one(void *ctx, enum MHD_ValueKind kind,
                                   const char *name, size_t name_n,
                                   const char *value, size_t value_n)
{
    (void)kind;
    struct collect *c = ctx;
    if (c->n == HEADERS_SEEN_MAX)
        return MHD_NO;
    c->h[c->n++] =
        (struct guard_header){str_n(name, name_n), str_n(value, value_n)};
    return MHD_YES;
}

static int check_headers(struct http_request *r, struct err *err)
{
    struct collect c = {.n = 0};
    struct MHD_Connection *m = r->conn->mhd;
    MHD_get_connection_values_n(m, MHD_HEADER_KIND, collect_one, &c);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(m, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t bytes = info ? info->header_size : 0;
    return guard_check(&r->http->config.guard, c.h, c.n, bytes, &r->body_want,
                       err);
}

static int check_target(struct http_request *r, struct err *err)
{
    char *mark = strchr(r->target, '?');
    size_t n = mark ? (size_t)(mark - r->target) : strlen(r->target);
    r->view.query = str_of(mark ? mark + 1 : "");
    r->view.path = str_n("/", 1); /* until it is known to be well formed */
    return path_decode(r->target, n, &r->view.path, err);
}

static void refuse(struct http_request *r)
{
    r->dispatched = true;
    r->in_handler = true;
    r->http->config.refuse(r->http->config.ctx, r, &r->why);
    r->in_handler = false;
}

/* Says no before the body: at once, and the connection ends with it. */
static enum MHD_Result refuse_now(struct http_request *r)
{
    http_add_header(r, "Connection", "close");
    refuse(r);
    accept_linger(r->http, r->conn->fd);
    return answer_queue(r);
}

static enum MHD_Result begin(struct http_request *r, const char *method)
{
    const struct http_config *g = &r->http->config;
    r->begun = true;
    r->view.method = str_of(method);
    int code = check_headers(r, &r->why);
    bool framing = code < 0 && guard_is_framing(code);
    struct err ignored; /* the path still tells which protocol is spoken */
    int target = check_target(r, code < 0 ? &ignored : &r->why);
    code = code < 0 ? code : target;
    if (code == 0)
        code = g->admit(g->ctx, r, &r->why);
    r->refusal = code;
    if (framing || code == -E_TOO_LARGE ||
        (code < 0 && (r->body_want < 0 || r->body_want > PIECE_BYTES)))
        return refuse_now(r);
    if (r->body_want)
        conn_phase(r->conn, CONN_BODY);
    return MHD_YES;
}

/* ---- body -------------------------------------------------------------- */

/* In the midst of a body the library takes no answer: it goes out by hand. */
static enum MHD_Result body_too_large(struct http_request *r)
{
    r->raw = true;
    err_set(&r->why, E_TOO_LARGE,
            "the body has more than the %zu bytes that are taken",
            r->http->config.body_bytes);
    refuse(r);
    accept_linger(r->http, r->conn->fd);
    return MHD_NO;
}

static enum MHD_Result body_slice(struct http_request *r, const char *data,
                                  size_t n)
{
    r->body_seen += n;
    if (r->refusal < 0)
        return MHD_YES;
    if (buf_add(&r->body, data, n) < 0)
        return body_too_large(r);
    return MHD_YES;
}

static void dispatch(struct http_request *r)
{
    struct http *h = r->http;
    conn_phase(r->conn, CONN_WORK);
    if (r->refusal < 0) {
        refuse(r);
        return;
    }
    r->dispatched = true;
    r->view.body = buf_str(&r->body);
    r->in_handler = true;
    h->config.handle(h->config.ctx, r);
    r->in_handler = false;
}

enum MHD_Result request_step(struct http_request *r, const char *method,
                             const char *data, size_t *n)
{
    if (!r || r->dead)
        return MHD_NO;
    if (!r->begun)
        return begin(r, method);
    if (*n) {
        size_t got = *n;
        *n = 0;
        return body_slice(r, data, got);
    }
    if (!r->dispatched)
        dispatch(r);
    if (r->response)
        return answer_queue(r);
    conn_suspend(r->conn);
    return MHD_YES;
}
