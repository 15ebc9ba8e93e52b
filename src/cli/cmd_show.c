/* cli/cmd_show.c - berth show. */
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/table.h"
#include <errno.h>

static void text_row(struct table *t, const char *head, struct str text)
{
    if (!text.n)
        return;
    table_text(t, head);
    table_cell(t, text);
}

static void list_row(struct table *t, const char *head, struct json model,
                     const char *key)
{
    struct buf list = BUF_MAX(16384);
    field_list(&list, model, key);
    text_row(t, head, buf_str(&list));
    buf_fini(&list);
}

static void bytes_row(struct table *t, const char *head, struct json model,
                      const char *key)
{
    char text[HUMAN_TEXT];
    uint64_t v = field_uint(model, key);
    if (v)
        text_row(t, head, str_of(human_bytes(text, v)));
}

static void number_row(struct table *t, const char *head, struct json model,
                       const char *key)
{
    char text[HUMAN_TEXT];
    uint64_t v = field_uint(model, key);
    if (v)
        text_row(t, head, str_of(human_count(text, v)));
}

static void what_it_is(struct table *t, struct json m)
{
    text_row(t, "name", field_str(m, "name"));
    list_row(t, "aliases", m, "aliases");
    text_row(t, "revision", field_str(m, "revision"));
    text_row(t, "commit", field_str(m, "commit"));
    text_row(t, "origin", field_str(m, "origin"));
    text_row(t, "architecture", field_str(m, "architecture"));
    text_row(t, "task", field_str(m, "task"));
    list_row(t, "tasks", m, "tasks");
    number_row(t, "context", m, "context");
    number_row(t, "dimensions", m, "dim");
    bytes_row(t, "files", m, "file_bytes");
    bytes_row(t, "needs", m, "need_bytes");
}

/* Which backend serves it, and why that one. */
static void backend_row(struct table *t, struct json m)
{
    struct str backend = field_str(m, "backend"),
               wanted = field_str(m, "backend_wanted"),
               reason = field_str(m, "backend_reason");
    if (!wanted.n && !backend.n)
        return;
    table_text(t, "backend");
    if (reason.n)
        table_cell(t, reason);
    else
        table_cellf(t, "%.*s", STR_FMT(backend.n ? backend : wanted));
}

/* When it goes for being idle, and who goes before it when memory is short. */
static void idle_row(struct table *t, struct json m)
{
    char text[HUMAN_TEXT];
    int64_t keep = 0;
    if (!json_to_int(json_get(m, "keep_alive"), INT64_MIN, INT64_MAX, &keep))
        return;
    table_text(t, "stays");
    if (field_bool(m, "pin"))
        table_cellf(t, "pinned");
    else if (keep < 0)
        table_cellf(t, "for ever, priority %llu",
                    (unsigned long long)field_uint(m, "priority"));
    else
        table_cellf(t, "%s without work, priority %llu",
                    human_span(text, (uint64_t)keep * 1000),
                    (unsigned long long)field_uint(m, "priority"));
}

static void how_it_does(struct table *t, struct json m)
{
    text_row(t, "state", field_state(m));
    text_row(t, "reason", field_str(m, "reason"));
    backend_row(t, m);
    idle_row(t, m);
    number_row(t, "restarts", m, "restarts");
    table_text(t, "jobs");
    table_cellf(t, "%llu queued, %llu running, %llu done, %llu failed",
                (unsigned long long)field_uint(m, "queued_jobs"),
                (unsigned long long)field_uint(m, "running_jobs"),
                (unsigned long long)field_uint(m, "done_jobs"),
                (unsigned long long)field_uint(m, "failed_jobs"));
    number_row(t, "tokens", m, "tokens");
    number_row(t, "truncated", m, "truncated_items");
    text_row(t, "last words", field_str(m, "last_words"));
}

static void instance_row(struct table *t, struct json i)
{
    char reserved[HUMAN_TEXT], real[HUMAN_TEXT], age[HUMAN_TEXT];
    struct str why = field_str(i, "why");
    table_text(t, "server");
    table_cellf(t, "pid %llu, %.*s%s%.*s, %.*s on %.*s (%.*s), %s of %s, up %s",
                (unsigned long long)field_uint(i, "pid"),
                STR_FMT(field_str(i, "state")), why.n ? ": " : "", STR_FMT(why),
                STR_FMT(field_str(i, "dtype")), STR_FMT(field_str(i, "device")),
                STR_FMT(field_str(i, "level")),
                human_bytes(real, field_uint(i, "real_bytes")),
                human_bytes(reserved, field_uint(i, "reserved_bytes")),
                human_span(age, field_uint(i, "age_ms")));
}

/* What of the sandbox is in force, and what is not. */
static void sandbox_row(struct table *t, struct json sandbox)
{
    struct buf text = BUF_MAX(4096);
    const char *between = "";
    for (struct json_iter it = json_iter(sandbox); json_next(&it);) {
        bool there;
        if (!json_to_bool(it.value, &there) || str_is(it.key, "degraded"))
            continue;
        buf_addf(&text, "%s%s%.*s", between, there ? "" : "no ",
                 STR_FMT(it.key));
        between = ", ";
    }
    text_row(t, field_bool(sandbox, "degraded") ? "degraded" : "sandbox",
             buf_str(&text));
    buf_fini(&text);
}

static void print_model(const struct invocation *in, struct json m)
{
    (void)in;
    static const char *const plain[] = {"", "", NULL};
    struct table t;
    table_init(&t, plain);
    what_it_is(&t, m);
    how_it_does(&t, m);
    for (struct json_iter i = json_iter(json_get(m, "instances"));
         json_next(&i);) {
        instance_row(&t, i.value);
        sandbox_row(&t, json_get(i.value, "sandbox"));
    }
    table_print(&t, stdout, 0);
    table_fini(&t);
}

int cmd_show(const struct invocation *in, struct err *err)
{
    struct buf path = BUF_MAX(4096);
    buf_puts(&path, "/berth/models/");
    client_escape(&path, str_of(in->args[0]));
    buf_putc(&path, 0);
    int r = path.failed
                ? err_set(err, E2BIG, "the name of the model is too long")
                : ask_get(in, path.p, print_model, err);
    buf_fini(&path);
    return r;
}
