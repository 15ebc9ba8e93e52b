/* cli/ask.c - one question, one answer. */
#include "cli/ask.h"
#include "base/jsonw.h"
#include <errno.h>
#include <stdio.h>

enum { PATH_MAX_BYTES = 4096 };

static int ask(const struct invocation *in, const struct request *request,
               ask_print_fn *print, struct err *err)
{
    struct client *c = NULL;
    int r = client_open(&c, in, err);
    if (r < 0)
        return r;
    struct reply reply;
    r = client_call(c, request, &reply, err);
    if (r == 0 && in->option[OPTION_JSON])
        printf("%.*s\n", STR_FMT(buf_str(&reply.body)));
    else if (r == 0 && print)
        print(in, json_root(reply.doc));
    reply_fini(&reply);
    client_close(c);
    return r;
}

int ask_get(const struct invocation *in, const char *path, ask_print_fn *print,
            struct err *err)
{
    struct request request = {.method = "GET", .path = path};
    return ask(in, &request, print, err);
}

int ask_post(const struct invocation *in, const char *path,
             const struct buf *body, ask_print_fn *print, struct err *err)
{
    if (body->failed)
        return err_set(err, -body->failed, "the request is too large");
    struct request request = {
        .method = "POST", .path = path, .body = buf_str(body)};
    return ask(in, &request, print, err);
}

int ask_model(struct client *c, const char *name, struct reply *ret,
              struct err *err)
{
    struct buf path = BUF_MAX(PATH_MAX_BYTES);
    buf_puts(&path, "/berth/models/");
    client_escape(&path, str_of(name));
    buf_putc(&path, 0);
    *ret = (struct reply){0};
    int r = path.failed
                ? err_set(err, E2BIG, "the name of the model is too long")
                : client_get(c, path.p, ret, err);
    buf_fini(&path);
    return r;
}

void ask_model_body(struct buf *out, const char *name)
{
    struct jsonw w = jsonw_to(out);
    jsonw_object(&w);
    jsonw_kz(&w, "model", name);
    jsonw_end_object(&w);
}
