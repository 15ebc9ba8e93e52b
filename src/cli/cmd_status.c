/* cli/cmd_status.c - berth status. */
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/table.h"

static const char *const plain[] = {"", "", NULL};

static unsigned long long number(struct json o, const char *key)
{
    return (unsigned long long)field_uint(o, key);
}

static void places(struct table *t, struct json status)
{
    struct buf text = BUF_MAX(4096);
    field_list(&text, status, "listen");
    table_text(t, "listens");
    table_cell(t, buf_str(&text));
    buf_fini(&text);
    static const char *const keys[] = {"socket", "home", "cache"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        table_text(t, keys[i]);
        table_cell(t, field_str(status, keys[i]));
    }
    table_text(t, "hub");
    table_cellf(t, "%.*s%s", STR_FMT(field_str(status, "endpoint")),
                field_bool(status, "offline") ? " (offline)" : "");
}

static void memory(struct table *t, struct json status)
{
    char reserved[HUMAN_TEXT], budget[HUMAN_TEXT];
    struct json m = json_get(status, "memory");
    table_text(t, "kernels");
    table_cellf(t, "%.*s, %llu threads", STR_FMT(field_str(status, "level")),
                number(status, "threads"));
    table_text(t, "memory");
    table_cellf(t, "%s reserved of %s",
                human_bytes(reserved, field_uint(m, "reserved")),
                human_bytes(budget, field_uint(m, "budget")));
}

static void work(struct table *t, struct json status)
{
    struct json jobs = json_get(status, "jobs");
    table_text(t, "models");
    table_cellf(t, "%llu registered, %llu ready, %llu inference servers",
                number(status, "models"), number(status, "ready_deployments"),
                number(status, "instances"));
    table_text(t, "jobs");
    table_cellf(t,
                "%llu queued, %llu running, %llu done, %llu failed, "
                "%llu retried",
                number(jobs, "queued"), number(jobs, "running"),
                number(jobs, "done"), number(jobs, "failed"),
                number(jobs, "retried"));
    table_text(t, "incidents");
    table_cellf(t, "%llu inference servers died, %llu texts were truncated",
                number(status, "worker_deaths"), number(status, "truncations"));
}

static void readiness(struct table *t, struct json status)
{
    struct str waiting = field_str(status, "waiting_for");
    table_text(t, "ready");
    if (field_bool(status, "draining"))
        table_text(t, "no: it is stopping");
    else if (field_bool(status, "ready"))
        table_text(t, "yes");
    else if (waiting.n)
        table_cellf(t, "no: waiting for %.*s", STR_FMT(waiting));
    else
        table_text(t, "no");
}

static void print_status(const struct invocation *in, struct json status)
{
    (void)in;
    char up[HUMAN_TEXT];
    struct table t;
    table_init(&t, plain);
    table_text(&t, "berth");
    table_cellf(&t, "%.*s, pid %llu, up %s",
                STR_FMT(field_str(status, "version")), number(status, "pid"),
                human_span(up, field_uint(status, "uptime_ms")));
    places(&t, status);
    memory(&t, status);
    work(&t, status);
    readiness(&t, status);
    table_print(&t, stdout, 0);
    table_fini(&t);
}

int cmd_status(const struct invocation *in, struct err *err)
{
    return ask_get(in, "/berth/status", print_status, err);
}
