/* cli/cmd_backend.c - berth backend install | ls | rm. */
#include "base/fs.h"
#include "base/json.h"
#include "base/jsonw.h"
#include "cli/backends.h"
#include "cli/members.h"
#include "cli/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- ls ----------------------------------------------------------------- */

struct listing {
    bool json;
    size_t n;
    struct table table;
    struct buf out;
};

static void put_json(struct listing *l, const char *folder, struct str about)
{
    struct jsonw w = jsonw_to(&l->out);
    buf_puts(&l->out, l->n ? ",\n {" : "[{");
    buf_puts(&l->out, "\"name\":\"" TRANSFORMERS "\",\"folder\":");
    jsonw_z(&w, folder);
    buf_puts(&l->out, ",\"about\":");
    buf_add(&l->out, about.p, about.n);
    buf_puts(&l->out, "}");
}

static void put_row(struct listing *l, const char *folder, struct json about)
{
    struct buf devices = BUF_MAX(4096);
    field_list(&devices, about, "devices");
    table_text(&l->table, TRANSFORMERS);
    table_cell(&l->table, field_str(about, "transformers"));
    table_cell(&l->table, field_str(about, "torch"));
    table_cell(&l->table, field_str(about, "python"));
    table_cell(&l->table, buf_str(&devices));
    table_text(&l->table, folder);
    buf_fini(&devices);
}

static int list_one(struct listing *l, const char *folder, struct err *err)
{
    struct buf about = BUF_MAX(BACKENDS_ABOUT_MAX);
    struct json_doc *doc = NULL;
    int r = backends_about(folder, TRANSFORMERS, &about, err);
    if (r == 0)
        doc = json_parse(buf_str(&about), BACKENDS_ABOUT_MAX, 8, err);
    if (r == 0 && !doc)
        r = -err->code;
    while (about.len && about.p[about.len - 1] == '\n')
        about.len--;
    if (r == 0 && l->json)
        put_json(l, folder, buf_str(&about));
    else if (r == 0)
        put_row(l, folder, json_root(doc));
    l->n += r == 0;
    json_free(doc);
    buf_fini(&about);
    return r;
}

static int list(const struct invocation *in, struct err *err)
{
    static const char *const heads[] = {"BACKEND", "TRANSFORMERS", "TORCH",
                                        "PYTHON",  "DEVICES",      "FOLDER",
                                        NULL};
    struct listing l = {.json = in->option[OPTION_JSON] != NULL,
                        .out = BUF_MAX(1 << 20)};
    char folder[FS_PATH_MAX];
    int r = 0;
    table_init(&l.table, heads);
    for (int i = 0; r == 0 && backends_folder(i, in, folder); i++)
        if (backends_installed(folder, TRANSFORMERS))
            r = list_one(&l, folder, err);
    if (r == 0 && l.json)
        printf("%.*s%s\n", STR_FMT(buf_str(&l.out)), l.n ? "]" : "[]");
    else if (r == 0 && l.n)
        table_print(&l.table, stdout, 0);
    else if (r == 0)
        puts("no backend beside the native one; \"berth backend install "
             "transformers\" makes one");
    table_fini(&l.table);
    buf_fini(&l.out);
    return r;
}

/* ---- install and rm ----------------------------------------------------- */

/* --to, else HOME/backends: the first folder that no variable names. */
static int target(const struct invocation *in, char *out, struct err *err)
{
    const char *to = in->option[OPTION_TO];
    char *resolved = NULL;
    if (to) {
        int r = fs_mkdir_p(to, 0755, err);
        if (r < 0)
            return r;
        resolved = realpath(to, NULL);
        if (!resolved || !str_to_z(str_of(resolved), out, FS_PATH_MAX))
            out[0] = 0;
        free(resolved);
    } else if (!backends_home(in, out)) {
        out[0] = 0;
    }
    return out[0] ? 0
                  : err_set(err, E_INVALID_REQUEST,
                            "there is no home to install into: give --to DIR "
                            "or set BERTH_HOME");
}

static int install(const struct invocation *in, struct err *err)
{
    char folder[FS_PATH_MAX];
    if (in->option[OPTION_CPU] && in->option[OPTION_INDEX])
        return err_set(err, CLI_E_USAGE,
                       "--cpu and --index exclude each other");
    int r = target(in, folder, err);
    if (r == 0)
        r = backends_install(folder, in->option[OPTION_INDEX], err);
    if (r == 0)
        printf("%s/" TRANSFORMERS " is ready; \"berth backend rm " TRANSFORMERS
               "\" takes it away again\n",
               folder);
    return r;
}

static int take_away(const struct invocation *in, struct err *err)
{
    char folder[FS_PATH_MAX];
    int r = target(in, folder, err);
    return r < 0 ? r : backends_remove(folder, TRANSFORMERS, err);
}

int cmd_backend(const struct invocation *in, struct err *err)
{
    const char *what = in->args[0];
    if (!strcmp(what, "ls") && in->n_args == 1)
        return list(in, err);
    if (in->n_args == 2 && strcmp(in->args[1], TRANSFORMERS) != 0)
        return err_set(err, E_NOT_FOUND,
                       "no backend is called %s; there is transformers",
                       in->args[1]);
    if (!strcmp(what, "install") && in->n_args == 2)
        return install(in, err);
    if (!strcmp(what, "rm") && in->n_args == 2)
        return take_away(in, err);
    return err_set(err, CLI_E_USAGE,
                   "berth backend takes ls, or install or rm and a name; see "
                   "berth help backend");
}
