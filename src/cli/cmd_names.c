/* cli/cmd_names.c - berth add, alias, rm: which names there are. */
#include "base/jsonw.h"
#include "cli/ask.h"
#include "cli/human.h"
#include "cli/members.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static void print_added(const struct invocation *in, struct json m)
{
    char bytes[HUMAN_TEXT];
    (void)in;
    printf("%.*s is registered: %s\n", STR_FMT(field_str(m, "name")),
           human_bytes(bytes, field_uint(m, "file_bytes")));
}

static void print_alias(const struct invocation *in, struct json answer)
{
    (void)answer;
    if (in->n_args == 2)
        printf("%s means %s\n", in->args[0], in->args[1]);
    else
        printf("%s is no alias any more\n", in->args[0]);
}

static void print_removed(const struct invocation *in, struct json answer)
{
    (void)answer;
    printf("%s is removed\n", in->args[0]);
}

/* The daemon has another working folder: the path goes over whole. */
int cmd_add(const struct invocation *in, struct err *err)
{
    char dir[PATH_MAX];
    struct buf body = BUF_MAX(65536);
    struct jsonw w = jsonw_to(&body);
    if (!realpath(in->args[1], dir))
        return err_set(err, errno, "cannot add %s: %s", in->args[1],
                       strerror(errno));
    jsonw_object(&w);
    jsonw_kz(&w, "model", in->args[0]);
    jsonw_kz(&w, "dir", dir);
    jsonw_end_object(&w);
    int r = ask_post(in, "/berth/add", &body, print_added, err);
    buf_fini(&body);
    return r;
}

int cmd_alias(const struct invocation *in, struct err *err)
{
    bool removes = in->option[OPTION_DELETE];
    if (removes != (in->n_args == 1))
        return err_set(err, CLI_E_USAGE,
                       "berth alias takes NAME and TARGET, or --delete and "
                       "NAME; see berth help alias");
    struct buf body = BUF_MAX(65536);
    struct jsonw w = jsonw_to(&body);
    jsonw_object(&w);
    jsonw_kz(&w, "alias", in->args[0]);
    jsonw_kz(&w, "model", removes ? NULL : in->args[1]);
    jsonw_end_object(&w);
    int r = ask_post(in, "/berth/alias", &body, print_alias, err);
    buf_fini(&body);
    return r;
}

int cmd_rm(const struct invocation *in, struct err *err)
{
    struct buf body = BUF_MAX(65536);
    struct jsonw w = jsonw_to(&body);
    jsonw_object(&w);
    jsonw_kz(&w, "model", in->args[0]);
    if (in->option[OPTION_ALL])
        jsonw_kbool(&w, "all", true);
    jsonw_end_object(&w);
    int r = ask_post(in, "/berth/remove", &body, print_removed, err);
    buf_fini(&body);
    return r;
}
