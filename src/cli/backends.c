/* cli/backends.c - where backends are, and what they say of themselves. */
#include "cli/backends.h"
#include "base/fs.h"
#include "cli/program.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The i-th of a list with ':' between. */
static bool of_list(const char *list, int i, char *out)
{
    for (; list; list = strchr(list, ':'), list = list ? list + 1 : NULL)
        if (i-- == 0) {
            int n = (int)strcspn(list, ":");
            return snprintf(out, FS_PATH_MAX, "%.*s", n, list) < FS_PATH_MAX;
        }
    return false;
}

static int list_length(const char *list)
{
    int n = list && *list ? 1 : 0;
    for (const char *p = list; n && (p = strchr(p, ':')); p++)
        n++;
    return n;
}

bool backends_home(const struct invocation *in, char *out)
{
    const char *home = in->option[OPTION_HOME], *state, *user;
    int n = -1;
    if (!home)
        home = getenv("BERTH_HOME");
    if (home && *home)
        n = snprintf(out, FS_PATH_MAX, "%s/backends", home);
    else if ((state = getenv("XDG_STATE_HOME")) && *state)
        n = snprintf(out, FS_PATH_MAX, "%s/berth/backends", state);
    else if ((user = getenv("HOME")) && *user)
        n = snprintf(out, FS_PATH_MAX, "%s/.local/state/berth/backends", user);
    return n >= 0 && n < FS_PATH_MAX;
}

bool backends_folder(int i, const struct invocation *in, char *out)
{
    const char *list = getenv("BERTH_BACKENDS");
    int named = list_length(list);
    char dir[FS_PATH_MAX];
    if (i < named)
        return of_list(list, i, out);
    switch (i - named) {
    case 0:
        if (!backends_home(in, out))
            out[0] = 0;
        return true;
    case 1:
        out[0] = 0;
        return fs_program_dir(dir) < 0 || fs_join(out, dir, "backends") == 0;
    case 2:
        return snprintf(out, FS_PATH_MAX, "/usr/lib/berth/backends") > 0;
    default:
        return false;
    }
}

bool backends_installed(const char *folder, const char *name)
{
    char dir[FS_PATH_MAX], file[FS_PATH_MAX];
    return folder[0] && fs_join(dir, folder, name) == 0 &&
           fs_join(file, dir, "backend.json") == 0 && access(file, R_OK) == 0;
}

int backends_about(const char *folder, const char *name, struct buf *out,
                   struct err *err)
{
    char dir[FS_PATH_MAX], python[FS_PATH_MAX];
    if (fs_join(dir, folder, name) < 0 ||
        fs_join(python, dir, "bin/python") < 0)
        return err_set(err, ENAMETOOLONG, "the path of %s is too long", name);
    const char *const argv[] = {python,    "-I", "-m", "berth_transformers",
                                "--about", NULL};
    int r = program_run(argv, out, err);
    if (r > 0)
        return err_set(err, E_INTERNAL,
                       "%s does not work any more: install it again with "
                       "\"berth backend install %s\"",
                       dir, name);
    return r;
}
