/* cli/cmd_serve.c - berth serve: becomes berthd. */
#include "base/fs.h"
#include "base/mem.h"
#include "cli/help.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool found(char *path, const char *dir, const char *name)
{
    return fs_join(path, dir, name) == 0 && access(path, X_OK) == 0;
}

static bool wants_help(const struct invocation *in)
{
    for (int i = 0; i < in->n_args; i++)
        if (!strcmp(in->args[i], "--help") || !strcmp(in->args[i], "-h"))
            return true;
    return false;
}

int cmd_serve(const struct invocation *in, struct err *err)
{
    char dir[FS_PATH_MAX], path[FS_PATH_MAX];
    if (wants_help(in)) {
        help_command(stdout, in->command);
        return 0;
    }
    int r = fs_program_dir(dir);
    if (r < 0)
        return err_set(err, -r, "cannot tell which folder berth is in: %s",
                       strerror(-r));
    if (!found(path, dir, "berthd") &&
        !found(path, dir, "../libexec/berth/berthd"))
        return err_set(err, ENOENT,
                       "berthd is neither in %s nor in %s/../libexec/berth: "
                       "build or install it there",
                       dir, dir);
    char **argv = mem_try((size_t)in->n_args + 2, sizeof(*argv));
    if (!argv)
        return err_set(err, ENOMEM, "out of memory");
    argv[0] = path;
    for (int i = 0; i < in->n_args; i++)
        argv[i + 1] = in->args[i];
    execv(path, argv);
    r = errno;
    free(argv);
    return err_set(err, r, "cannot run %s: %s", path, strerror(r));
}
