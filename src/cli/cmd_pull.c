/* cli/cmd_pull.c - berth pull: a stream of events turned into a bar.
 *
 * The daemon ends a pull when its last client leaves, so Ctrl-C only has to
 * close the connection.
 */
#include "base/clock.h"
#include "base/jsonw.h"
#include "cli/ask.h"
#include "cli/environment.h"
#include "cli/event_stream.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/progress.h"
#include "cli/table.h"
#include <errno.h>

enum { EVENT_DEPTH = 64 };

struct pull {
    const struct invocation *in;
    struct progress progress;
    struct event_stream stream;
    bool ended; /* "done" has come */
};

static void print_pulled(struct json m)
{
    char bytes[HUMAN_TEXT];
    printf("%.*s is here: commit %.*s, %s\n", STR_FMT(field_str(m, "name")),
           STR_FMT(field_commit(m)),
           human_bytes(bytes, field_uint(m, "file_bytes")));
}

static void show_event(struct pull *p, struct json e)
{
    struct str label = field_str(e, "file");
    if (!str_is(field_str(e, "type"), "pull"))
        return;
    if (!label.n)
        label = field_str(e, "reason"); /* "resolving", "placing", ... */
    progress_update(&p->progress, label, field_uint(e, "done"),
                    field_uint(e, "total"), clock_now_ns());
}

static int end_event(struct pull *p, struct str name, struct json e,
                     struct err *err)
{
    struct json error = json_get(e, "error");
    p->ended = true;
    progress_end(&p->progress);
    if (str_is(name, "error")) {
        struct str code = field_str(error, "code");
        return err_set(err, err_from_name(code.p, code.n), "%.*s",
                       STR_FMT(field_str(error, "message")));
    }
    if (!p->in->option[OPTION_JSON])
        print_pulled(e);
    return 0;
}

static int on_event(void *ctx, struct str name, struct str data,
                    struct err *err)
{
    struct pull *p = ctx;
    int r = 0;
    struct json_doc *doc = json_parse(data, EVENT_MAX, EVENT_DEPTH, err);
    if (!doc)
        return err_prefix(err, "the daemon sent an event that is not JSON");
    bool failed = str_is(name, "error");
    if (p->in->option[OPTION_JSON] && !failed) {
        printf("%.*s\n", STR_FMT(data));
        fflush(stdout);
    }
    if (failed || str_is(name, "done"))
        r = end_event(p, name, json_root(doc), err);
    else if (!p->in->option[OPTION_JSON])
        show_event(p, json_root(doc));
    json_free(doc);
    return r;
}

static int on_bytes(void *ctx, struct str bytes, struct err *err)
{
    struct pull *p = ctx;
    return event_stream_feed(&p->stream, bytes, err);
}

static void write_body(struct buf *body, const struct invocation *in,
                       const struct buf *token)
{
    struct jsonw w = jsonw_to(body);
    jsonw_object(&w);
    jsonw_kz(&w, "model", in->args[0]);
    if (in->option[OPTION_CANCEL]) {
        jsonw_kbool(&w, "cancel", true);
    } else {
        if (token->len)
            jsonw_kstr(&w, "token", buf_str(token));
        jsonw_kbool(&w, in->option[OPTION_DETACH] ? "detach" : "stream", true);
    }
    jsonw_end_object(&w);
}

static int finish(struct pull *p, int code, const struct reply *reply,
                  struct err *err)
{
    const char *name = p->in->args[0];
    progress_end(&p->progress);
    if (code == -E_CANCELLED)
        return err_set(err, E_CANCELLED,
                       "the pull is stopped; what was loaded stays, and "
                       "berth pull %s goes on from there",
                       name);
    if (code < 0)
        return code;
    if (reply->streamed && !p->ended)
        return err_set(err, EIO,
                       "the daemon ended before the pull did; what was loaded "
                       "stays, and berth pull %s goes on from there",
                       name);
    if (!reply->streamed && p->in->option[OPTION_JSON])
        printf("%.*s\n", STR_FMT(buf_str(&reply->body)));
    else if (!reply->streamed)
        print_pulled(json_root(reply->doc));
    return 0;
}

/* The pull as this client sees it: until it is done, failed or left. */
static int follow(struct client *c, const struct invocation *in,
                  const struct buf *body, struct err *err)
{
    struct pull p = {.in = in};
    struct reply reply;
    progress_init(&p.progress, stderr);
    event_stream_init(&p.stream, on_event, &p);
    struct request request = {.method = "POST",
                              .path = "/berth/pull",
                              .body = buf_str(body),
                              .stream_type = "text/event-stream",
                              .data = on_bytes,
                              .ctx = &p,
                              .interruptible = true};
    int r = client_call(c, &request, &reply, err);
    r = finish(&p, r, &reply, err);
    reply_fini(&reply);
    event_stream_fini(&p.stream);
    return r;
}

static int one_word(struct client *c, const struct invocation *in,
                    const struct buf *body, struct err *err)
{
    struct reply reply;
    int r = client_post(c, "/berth/pull", body, &reply, err);
    if (r == 0 && in->option[OPTION_JSON])
        printf("%.*s\n", STR_FMT(buf_str(&reply.body)));
    else if (r == 0 && in->option[OPTION_CANCEL])
        printf("the pull of %s is stopped; what was loaded stays\n",
               in->args[0]);
    else if (r == 0)
        printf("the daemon pulls %s; berth ls shows its state\n", in->args[0]);
    reply_fini(&reply);
    return r;
}

int cmd_pull(const struct invocation *in, struct err *err)
{
    struct client *c = NULL;
    struct buf body = BUF_MAX(65536), token = BUF_MAX(TOKEN_MAX);
    int r = client_open(&c, in, err);
    if (r < 0)
        return r;
    bool brief = in->option[OPTION_DETACH] || in->option[OPTION_CANCEL];
    r = environment_hub(c, in->option[OPTION_CANCEL] ? NULL : &token, err);
    write_body(&body, in, &token);
    if (r == 0)
        r = brief ? one_word(c, in, &body, err) : follow(c, in, &body, err);
    buf_fini(&token);
    buf_fini(&body);
    client_close(c);
    return r;
}
