/* cli/cmd_ls.c - berth ls. */
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/members.h"
#include "cli/table.h"

static void row(struct table *t, struct json model)
{
    struct buf list = BUF_MAX(4096);
    char size[HUMAN_TEXT];
    table_cell(t, field_str(model, "name"));
    table_cell(t, field_commit(model));
    table_cell(t, field_state(model));
    table_text(t, human_bytes(size, field_uint(model, "file_bytes")));
    field_list(&list, model, "aliases");
    table_cell(t, buf_str(&list));
    table_cell(t, field_str(model, "origin"));
    buf_reset(&list);
    field_list(&list, model, "tasks");
    table_cell(t, buf_str(&list));
    buf_fini(&list);
}

static void print_models(const struct invocation *in, struct json answer)
{
    static const char *const heads[] = {"NAME",  "REVISION", "STATE", ">SIZE",
                                        "ALIAS", "ORIGIN",   "TASKS", NULL};
    struct json models = json_get(answer, "models");
    struct json_iter it = json_iter(models);
    if (in->option[OPTION_QUIET]) {
        while (json_next(&it))
            print_line(field_str(it.value, "name"));
        return;
    }
    struct table t;
    table_init(&t, heads);
    while (json_next(&it))
        row(&t, it.value);
    table_print(&t, stdout, terminal_width(stdout));
    table_fini(&t);
}

int cmd_ls(const struct invocation *in, struct err *err)
{
    return ask_get(in, "/berth/models", print_models, err);
}
