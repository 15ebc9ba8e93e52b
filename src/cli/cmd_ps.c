/* cli/cmd_ps.c - berth ps. */
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/table.h"

/* What --json shows of an instance, beside its model. */
static const char *const texts[] = {"state",  "backend", "dtype",
                                    "device", "level",   "why"};
static const char *const numbers[] = {
    "id", "pid", "reserved_bytes", "real_bytes", "jobs", "age_ms", "load_ms"};

static void row(struct table *t, struct json model, struct json instance)
{
    char reserved[HUMAN_TEXT], real[HUMAN_TEXT], age[HUMAN_TEXT];
    table_cell(t, field_str(model, "name"));
    table_cellf(t, "%llu", (unsigned long long)field_uint(instance, "pid"));
    table_cellf(t, "%.*s%s", STR_FMT(field_str(instance, "state")),
                field_bool(json_get(instance, "sandbox"), "degraded")
                    ? ", degraded"
                    : "");
    table_cell(t, field_str(instance, "backend"));
    table_cell(t, field_str(instance, "level"));
    table_cell(t, field_str(instance, "dtype"));
    table_text(t,
               human_bytes(reserved, field_uint(instance, "reserved_bytes")));
    table_text(t, human_bytes(real, field_uint(instance, "real_bytes")));
    table_cellf(t, "%llu", (unsigned long long)field_uint(instance, "jobs"));
    table_text(t, human_span(age, field_uint(instance, "age_ms")));
}

static void print_table(struct json models)
{
    static const char *const heads[] = {
        "MODEL",     ">PID",  "STATE", "BACKEND", "KERNELS", "DTYPE",
        ">RESERVED", ">REAL", ">JOBS", "UP",      NULL};
    struct table t;
    table_init(&t, heads);
    for (struct json_iter m = json_iter(models); json_next(&m);) {
        struct json list = json_get(m.value, "instances");
        for (struct json_iter i = json_iter(list); json_next(&i);)
            row(&t, m.value, i.value);
    }
    table_print(&t, stdout, terminal_width(stdout));
    table_fini(&t);
}

static void write_instance(struct jsonw *w, struct json model,
                           struct json instance)
{
    jsonw_object(w);
    jsonw_kstr(w, "model", field_str(model, "name"));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        jsonw_kstr(w, texts[i], field_str(instance, texts[i]));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        jsonw_kuint(w, numbers[i], field_uint(instance, numbers[i]));
    jsonw_key(w, "sandbox");
    write_flat(w, json_get(instance, "sandbox"));
    jsonw_end_object(w);
}

static void print_json(struct json models)
{
    struct buf out = BUF_MAX(TABLE_BYTES);
    struct jsonw w = jsonw_to(&out);
    jsonw_object(&w);
    jsonw_key(&w, "instances");
    jsonw_array(&w);
    for (struct json_iter m = json_iter(models); json_next(&m);) {
        struct json list = json_get(m.value, "instances");
        for (struct json_iter i = json_iter(list); json_next(&i);)
            write_instance(&w, m.value, i.value);
    }
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    printf("%.*s\n", STR_FMT(buf_str(&out)));
    buf_fini(&out);
}

int cmd_ps(const struct invocation *in, struct err *err)
{
    struct client *c = NULL;
    int r = client_open(&c, in, err);
    if (r < 0)
        return r;
    struct reply reply;
    r = client_get(c, "/berth/models", &reply, err);
    if (r == 0) {
        struct json models = json_get(json_root(reply.doc), "models");
        if (in->option[OPTION_JSON])
            print_json(models);
        else
            print_table(models);
    }
    reply_fini(&reply);
    client_close(c);
    return r;
}
