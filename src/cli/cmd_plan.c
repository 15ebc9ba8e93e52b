/* cli/cmd_plan.c - berth plan. */
#include "base/jsonw.h"
#include "cli/ask.h"
#include "cli/environment.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/table.h"

/* "context 512 tokens, 384 dimensions": what of it there is. */
static void shape_row(struct table *t, struct json p)
{
    static const struct {
        const char *key, *before, *after;
    } parts[] = {{"context", "context ", " tokens"},
                 {"dim", "", " dimensions"},
                 {"vocab", "vocabulary ", ""}};
    struct buf shape = BUF_MAX(4096);
    char number[HUMAN_TEXT];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        uint64_t n = field_uint(p, parts[i].key);
        if (n)
            buf_addf(&shape, "%s%s%s%s", shape.len ? ", " : "", parts[i].before,
                     human_count(number, n), parts[i].after);
    }
    if (shape.len) {
        table_text(t, "shape");
        table_cell(t, buf_str(&shape));
    }
    buf_fini(&shape);
}

static void model_rows(struct table *t, struct json p)
{
    struct buf tasks = BUF_MAX(4096);
    struct str commit = field_commit(p);
    table_text(t, "model");
    table_cellf(t, "%.*s%s%.*s", STR_FMT(field_str(p, "model")),
                commit.n ? ", commit " : "", STR_FMT(commit));
    table_text(t, "architecture");
    table_cellf(t, "%.*s (%.*s)", STR_FMT(field_str(p, "architecture")),
                STR_FMT(field_str(p, "model_type")));
    field_list(&tasks, p, "tasks");
    table_text(t, "tasks");
    table_cell(t, buf_str(&tasks));
    buf_fini(&tasks);
    shape_row(t, p);
    table_text(t, "licence");
    table_cell(t, field_str(p, "licence"));
}

static void weight_rows(struct table *t, struct json p)
{
    char parameters[HUMAN_TEXT], tensors[HUMAN_TEXT], bytes[HUMAN_TEXT];
    struct buf dtypes = BUF_MAX(4096);
    for (struct json_iter it = json_iter(json_get(p, "bytes"));
         json_next(&it);) {
        int64_t n = 0;
        json_to_int(it.value, 0, INT64_MAX, &n);
        buf_addf(&dtypes, ", %.*s %s", STR_FMT(it.key),
                 human_bytes(bytes, (uint64_t)n));
    }
    table_text(t, "weights");
    table_cellf(t, "%s parameters in %s tensors%.*s",
                human_count(parameters, field_uint(p, "parameters")),
                human_count(tensors, field_uint(p, "tensors")),
                STR_FMT(buf_str(&dtypes)));
    buf_fini(&dtypes);
    table_text(t, "files");
    if (field_bool(p, "local"))
        table_text(t, "here");
    else
        table_cellf(t, "%s to download",
                    human_bytes(bytes, field_uint(p, "download_bytes")));
}

static void memory_row(struct table *t, struct json p)
{
    char need[HUMAN_TEXT], free_now[HUMAN_TEXT], budget[HUMAN_TEXT];
    table_text(t, "memory");
    table_cellf(t, "needs %s; %s free of %s: %s",
                human_bytes(need, field_uint(p, "need_bytes")),
                human_bytes(free_now, field_uint(p, "free_bytes")),
                human_bytes(budget, field_uint(p, "budget_bytes")),
                field_bool(p, "fits") ? "fits" : "does not fit");
}

static void print_plan(struct json p)
{
    static const char *const plain[] = {"", "", NULL};
    struct table t;
    table_init(&t, plain);
    model_rows(&t, p);
    weight_rows(&t, p);
    memory_row(&t, p);
    table_text(&t, "backend");
    table_cell(&t, field_str(p, "backend_reason"));
    for (struct json_iter it = json_iter(json_get(p, "unsupported"));
         json_next(&it);) {
        table_text(&t, "not native");
        table_cellf(&t, "%.*s: %.*s", STR_FMT(field_str(it.value, "what")),
                    STR_FMT(field_str(it.value, "why")));
    }
    table_print(&t, stdout, 0);
    table_fini(&t);
}

/* Without a backend for it the reason says what would help. */
static int verdict(const struct invocation *in, struct json p, struct err *err)
{
    if (field_str(p, "backend").n)
        return 0;
    return err_set(err, E_UNSUPPORTED_ARCHITECTURE, "berth cannot run %s: %.*s",
                   in->args[0], STR_FMT(field_str(p, "backend_reason")));
}

static void write_body(struct buf *body, const char *name,
                       const struct buf *token)
{
    struct jsonw w = jsonw_to(body);
    jsonw_object(&w);
    jsonw_kz(&w, "model", name);
    if (token->len)
        jsonw_kstr(&w, "token", buf_str(token));
    jsonw_end_object(&w);
}

int cmd_plan(const struct invocation *in, struct err *err)
{
    struct client *c = NULL;
    struct reply reply = {0};
    struct buf body = BUF_MAX(65536), token = BUF_MAX(TOKEN_MAX);
    int r = client_open(&c, in, err);
    if (r < 0)
        return r;
    r = environment_hub(c, &token, err);
    write_body(&body, in->args[0], &token);
    if (r == 0)
        r = client_post(c, "/berth/plan", &body, &reply, err);
    if (r == 0 && in->option[OPTION_JSON])
        printf("%.*s\n", STR_FMT(buf_str(&reply.body)));
    else if (r == 0)
        print_plan(json_root(reply.doc));
    if (r == 0)
        r = verdict(in, json_root(reply.doc), err);
    reply_fini(&reply);
    buf_fini(&token);
    buf_fini(&body);
    client_close(c);
    return r;
}
