/* api/logs.c - GET /berth/logs: the last lines of a model's workers, and with
 * follow=1 those that come.
 *
 * The manager keeps a window of lines and no positions in it: what is new is
 * what follows the longest end of the old window that the new one begins with.
 */
#include "api/call.h"
#include "base/clock.h"
#include "base/mem.h"

enum { WINDOW_MAX = 1 << 20 };
static const uint64_t LOOK_NS = 200ull * 1000 * 1000;

struct follow {
    struct stream
        stream; /* for its place among the streams; its bytes are plain */
    struct loop_timer look;
    struct buf seen;
    char name[MANAGER_NAME_MAX];
};

/* How many bytes of now are already the end of before. */
static size_t overlap(struct str before, struct str now)
{
    for (size_t n = before.n < now.n ? before.n : now.n; n > 0; n--)
        if (!memcmp(before.p + before.n - n, now.p, n))
            return n;
    return 0;
}

static void closed(struct stream *s)
{
    struct follow *f = list_of(s, struct follow, stream);
    loop_timer_clear(s->api->loop, &f->look);
    buf_fini(&f->seen);
    free(f);
}

static void look(struct loop_timer *t)
{
    struct follow *f = t->ctx;
    struct api *a = f->stream.api;
    struct str now = manager_log(a->manager, f->name);
    loop_timer_set(a->loop, t, clock_now_ns() + LOOK_NS);
    if (str_eq(now, buf_str(&f->seen)))
        return;
    size_t old = overlap(buf_str(&f->seen), now);
    stream_bytes(&f->stream, now.p + old, now.n - old);
    buf_reset(&f->seen);
    buf_add(&f->seen, now.p, now.n);
}

static void follow(const struct call *c, const char *name)
{
    struct follow *f = mem_new(struct follow);
    f->seen.max = WINDOW_MAX;
    f->stream.closed = closed;
    str_to_z(str_of(name), f->name, sizeof(f->name));
    stream_begin(&f->stream, c->api, c->r, "text/plain; charset=utf-8");
    f->look = (struct loop_timer){.fn = look, .ctx = f};
    look(&f->look);
}

static void exists(void *ctx, const struct manager_model_view *v)
{
    (void)ctx, (void)v;
}

void manage_logs(const struct call *c)
{
    char name[MANAGER_NAME_MAX], flag[8];
    struct err err;
    if (!http_query(c->r, "model", name, sizeof(name))) {
        api_fail_at(c->api, c->r, PROTO_BERTH, NULL, E_INVALID_REQUEST,
                    "'model' is missing: /berth/logs?model=NAME");
        return;
    }
    if (manager_show(c->api->manager, name, exists, NULL, &err) < 0) {
        api_fail(c->api, c->r, PROTO_BERTH, &err, name);
        return;
    }
    if (http_query(c->r, "follow", flag, sizeof(flag)) && flag[0] == '1') {
        follow(c, name);
        return;
    }
    struct buf out = BUF_MAX(WINDOW_MAX);
    struct str log = manager_log(c->api->manager, name);
    buf_add(&out, log.p, log.n);
    http_reply(c->r, 200, "text/plain; charset=utf-8", &out);
}
