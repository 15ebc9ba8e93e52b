/* cli/cmd_load.c - berth load, berth unload. */
#include "base/jsonw.h"
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
    printf("%.*s is %.*s: %.*s, pid %llu, %.*s kernels, %s reserved, loaded in "
           "%s\n",
           STR_FMT(field_str(m, "name")), STR_FMT(field_state(m)),
           STR_FMT(field_str(it.value, "backend")),
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

/* What is to hold for the deployment, beside its name. */
static void put_wishes(struct jsonw *w, const struct invocation *in)
{
    static const struct {
        enum option_id id;
        const char *key;
    } texts[] = {{OPTION_BACKEND, "backend"},
                 {OPTION_DTYPE, "dtype"},
                 {OPTION_DEVICE, "device"},
                 {OPTION_TASK, "task"},
                 {OPTION_KEEP_ALIVE, "keep_alive"}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (in->option[texts[i].id])
            jsonw_kz(w, texts[i].key, in->option[texts[i].id]);
    if (in->option[OPTION_PIN] || in->option[OPTION_UNPIN])
        jsonw_kbool(w, "pin", in->option[OPTION_PIN] != NULL);
}

static int put_priority(struct jsonw *w, const struct invocation *in,
                        struct err *err)
{
    const char *text = in->option[OPTION_PRIORITY];
    if (!text)
        return 0;
    if (text[0] < '1' || text[0] > '9' || text[1])
        return err_set(err, CLI_E_USAGE,
                       "--priority takes a number from 1 to 9");
    jsonw_kint(w, "priority", text[0] - '0');
    return 0;
}

int cmd_load(const struct invocation *in, struct err *err)
{
    struct buf body = BUF_MAX(65536);
    struct jsonw w = jsonw_to(&body);
    if (in->option[OPTION_PIN] && in->option[OPTION_UNPIN])
        return err_set(err, CLI_E_USAGE,
                       "--pin and --unpin exclude each other");
    jsonw_object(&w);
    jsonw_kz(&w, "model", in->args[0]);
    put_wishes(&w, in);
    int r = put_priority(&w, in, err);
    jsonw_end_object(&w);
    if (r == 0)
        r = ask_post(in, "/berth/load", &body, print_loaded, err);
    buf_fini(&body);
    return r;
}

int cmd_unload(const struct invocation *in, struct err *err)
{
    struct buf body = BUF_MAX(65536);
    ask_model_body(&body, in->args[0]);
    int r = ask_post(in, "/berth/unload", &body, print_unloaded, err);
    buf_fini(&body);
    return r;
}
