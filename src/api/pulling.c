/* api/pulling.c - POST /berth/pull: getting a model, watching it come, stopping
 * it.
 *
 * Several clients may wait for the same pull, and it ends with the last of them
 * unless one said "detach".
 */
#include "api/call.h"
#include "base/mem.h"

enum { TOKEN_MAX = 1024 };

/* One client's interest in a pull, until the manager has answered. */
struct pull {
    struct api *api;
    struct http_request *r; /* waits for one answer; NULL with a stream */
    struct list link;       /* in api->pulls */
    char name[MANAGER_NAME_MAX];
    uint64_t id; /* the manager's: the same for all who wait for one pull */
    bool detached, streaming, gone;
    struct stream stream;
    struct manager_subscription *subscription;
};

/* Nobody waits any more: the pull is not wanted. */
static void give_up_if_last(const struct pull *left)
{
    struct api *a = left->api;
    struct err err;
    list_each(at, &a->pulls)
    {
        const struct pull *p = list_of(at, struct pull, link);
        if (p->id == left->id && (p->detached || !p->gone))
            return;
    }
    if (left->id &&
        manager_cancel_pull(a->manager, left->name, left->id, &err) < 0) {
        /* It has just ended by itself. */
    }
}

static void client_left(void *ctx)
{
    struct pull *p = ctx;
    p->r = NULL;
    p->gone = true;
    give_up_if_last(p);
}

static void end_subscription(struct pull *p)
{
    if (p->subscription)
        manager_unsubscribe(p->api->manager, p->subscription);
    p->subscription = NULL;
}

static void stream_closed(struct stream *s)
{
    struct pull *p = list_of(s, struct pull, stream);
    p->streaming = false;
    end_subscription(p);
    client_left(p);
}

static void on_event(void *ctx, const struct manager_event *event)
{
    struct pull *p = ctx;
    struct buf b = BUF_MAX(65536);
    struct jsonw w = jsonw_to(&b);
    size_t n = strcspn(p->name, "@");
    if (!str_is(str_n(p->name, n), event->model) &&
        strcmp(p->name, event->model))
        return;
    event_json(&w, event);
    if (b.failed == 0)
        stream_event(&p->stream, event->seq, NULL, buf_str(&b));
    buf_fini(&b);
}

/* The last event of a stream: the model, or what went wrong. */
static void end_stream(struct pull *p, const struct err *why)
{
    struct buf b = BUF_MAX(1 << 20);
    struct jsonw w = jsonw_to(&b);
    struct err err;
    if (!why && view_model(p->api->manager, p->name, &w, &err) < 0)
        why = &err;
    if (why) {
        buf_reset(&b);
        api_error_body(&b, PROTO_BERTH, why);
    }
    end_subscription(p);
    stream_event(&p->stream, 0, why ? "error" : "done", buf_str(&b));
    stream_end(&p->stream);
    buf_fini(&b);
}

static void reply(struct pull *p, const struct err *why)
{
    struct buf b = BUF_MAX(1 << 20);
    struct jsonw w = jsonw_to(&b);
    struct err err;
    if (!why && view_model(p->api->manager, p->name, &w, &err) < 0)
        why = &err;
    if (why) {
        buf_fini(&b);
        api_fail(p->api, p->r, PROTO_BERTH, why, p->name);
    } else {
        api_reply_json(p->r, 200, &b);
    }
}

static void on_done(void *ctx, int code, const struct err *err)
{
    struct pull *p = ctx;
    const struct err *why = code < 0 ? err : NULL;
    list_del(&p->link);
    if (p->streaming)
        end_stream(p, why);
    else if (p->r)
        reply(p, why);
    free(p);
}

static void reply_accepted(struct pull *p)
{
    struct buf b = BUF_MAX(4096);
    struct jsonw w = jsonw_to(&b);
    jsonw_object(&w);
    jsonw_kz(&w, "model", p->name);
    jsonw_kz(&w, "state", "pulling");
    jsonw_end_object(&w);
    api_reply_json(p->r, 202, &b);
    p->r = NULL;
    p->gone = true;
}

static void begin(const struct call *c, struct pull *p, bool stream,
                  const char *token)
{
    struct err err;
    struct manager_pull pull = {.name = p->name, .token = token};
    if (manager_pull(c->api->manager, &pull, on_done, p, &p->id, &err) < 0) {
        api_fail(c->api, c->r, PROTO_BERTH, &err, p->name);
        free(p);
        return;
    }
    list_add(&c->api->pulls, &p->link);
    if (p->detached) {
        reply_accepted(p);
    } else if (stream) {
        p->streaming = true;
        p->r = NULL;
        p->stream.closed = stream_closed;
        stream_events(&p->stream, c->api, c->r);
        p->subscription =
            manager_subscribe(c->api->manager, UINT64_MAX, on_event, p);
    } else {
        http_on_abort(c->r, client_left, p);
    }
}

static void cancel(const struct call *c, const char *name)
{
    struct err err;
    struct buf b = BUF_MAX(4096);
    struct jsonw w = jsonw_to(&b);
    if (manager_cancel_pull(c->api->manager, name, 0, &err) < 0) {
        api_fail(c->api, c->r, PROTO_BERTH, &err, name);
        return;
    }
    jsonw_object(&w);
    jsonw_kz(&w, "model", name);
    jsonw_kz(&w, "state", "cancelled");
    jsonw_end_object(&w);
    api_reply_json(c->r, 200, &b);
}

struct asked {
    char token[TOKEN_MAX];
    bool has_token, stream, detach, cancel;
};

static int read_asked(const struct call *c, struct pull *p, struct asked *q,
                      struct err *err)
{
    int r = body_z(c->body, "model", p->name, sizeof(p->name), err);
    if (r == 0)
        return err_set(err, E_INVALID_REQUEST, "'model' is missing");
    if (r > 0)
        r = body_z(c->body, "token", q->token, sizeof(q->token), err);
    q->has_token = r > 0;
    if (r >= 0)
        r = body_bool(c->body, "stream", &q->stream, err);
    if (r >= 0)
        r = body_bool(c->body, "detach", &q->detach, err);
    if (r >= 0)
        r = body_bool(c->body, "cancel", &q->cancel, err);
    return r < 0 ? r : 0;
}

void pull_run(const struct call *c)
{
    struct err err;
    struct asked q = {0};
    struct pull *p = mem_new(struct pull);
    p->api = c->api;
    p->r = c->r;
    list_init(&p->link);
    if (read_asked(c, p, &q, &err) < 0) {
        api_fail(c->api, c->r, PROTO_BERTH, &err, NULL);
        free(p);
    } else if (q.cancel) {
        cancel(c, p->name);
        free(p);
    } else {
        p->detached = q.detach;
        begin(c, p, q.stream, q.has_token ? q.token : NULL);
    }
    explicit_bzero(&q, sizeof(q));
}
