/* cli/cmd_load.c - berth load, berth unload. */
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/members.h"
#include <stdio.h>

static void print_loaded(const struct invocation *in, struct json m)
{
    char bytes[HUMAN_TEXT], took[HUMAN_TEXT];
    struct json_iter it = json_iter(json_get(m, "instances"));
    (void)in;
    if (!json_next(&it)) {
        printf("%.*s is %.*s\n", STR_FMT(field_str(m, "name")),
               STR_FMT(field_state(m)));
        return;
    }
    printf("%.*s is %.*s: pid %llu, %.*s kernels, %s reserved, loaded in %s\n",
           STR_FMT(field_str(m, "name")), STR_FMT(field_state(m)),
           (unsigned long long)field_uint(it.value, "pid"),
           STR_FMT(field_str(it.value, "level")),
           human_bytes(bytes, field_uint(it.value, "reserved_bytes")),
           human_span(took, field_uint(it.value, "load_ms")));
}

static void print_unloaded(const struct invocation *in, struct json answer)
{
    char bytes[HUMAN_TEXT];
    (void)in;
    printf("%.*s is unloaded, %s returned\n",
           STR_FMT(field_str(answer, "model")),
           human_bytes(bytes, field_uint(answer, "released_bytes")));
}

static int post_name(const struct invocation *in, const char *path,
                     ask_print_fn *print, struct err *err)
{
    struct buf body = BUF_MAX(65536);
    ask_model_body(&body, in->args[0]);
    int r = ask_post(in, path, &body, print, err);
    buf_fini(&body);
    return r;
}

int cmd_load(const struct invocation *in, struct err *err)
{
    return post_name(in, "/berth/load", print_loaded, err);
}

int cmd_unload(const struct invocation *in, struct err *err)
{
    return post_name(in, "/berth/unload", print_unloaded, err);
}
