/* daemon/level.c - which kernel level the inference servers use here. */
#include "daemon/level.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *path, const char *cap, int out, int *ret_pid)
{
    char *argv[] = {(char *)path, (char *)"--level", (char *)cap, NULL};
    char *environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int r = posix_spawn(ret_pid, path, &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* Its exit code; 255 when it was killed. */
static int wait_for(int pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int level_ask(const char *programs, const char *cap, char *ret, struct err *err)
{
    enum { USAGE = 2 };
    char path[FS_PATH_MAX], text[LEVEL_MAX] = "";
    int ends[2], pid;
    if (fs_join(path, programs, "berth-worker") < 0)
        return err_set(err, ENAMETOOLONG, "the path of the programs is long");
    if (pipe2(ends, O_CLOEXEC))
        return err_set(err, errno, "cannot make a pipe: %s", strerror(errno));
    int r = run(path, cap, ends[1], &pid);
    close(ends[1]);
    ssize_t n = r < 0 ? 0 : read(ends[0], text, sizeof(text) - 1);
    close(ends[0]);
    if (r < 0)
        return err_set(err, -r, "cannot run %s: %s", path, strerror(-r));
    int code = wait_for(pid);
    if (code == USAGE)
        return err_set(err, E_INVALID_REQUEST,
                       "BERTH_ISA is '%s': it should be scalar, avx2, avx512 "
                       "or not set",
                       cap);
    if (code || n <= 0)
        return err_set(err, E_INTERNAL, "%s does not tell its kernel level",
                       path);
    text[strcspn(text, "\n")] = 0;
    memcpy(ret, text, sizeof(text));
    return 0;
}
