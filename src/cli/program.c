/* cli/program.c - other programs that a command runs, one at a time. */
#include "cli/program.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int start(const char *const *argv, int output, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);
    if (r)
        return r;
    r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                         O_RDONLY, 0);
    if (r == 0 && output >= 0)
        r = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (r == 0)
        r = posix_spawnp(ret, argv[0], &actions, NULL, (char *const *)argv,
                         environ);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int wait_for(pid_t pid, const char *name, struct err *err)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return err_set(err, errno, "cannot wait for %s: %s", name,
                           strerror(errno));
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    return err_set(err, EINTR, "%s was ended by signal %d", name,
                   WTERMSIG(status));
}

static void collect(int fd, struct buf *out)
{
    char bytes[4096];
    ssize_t n;
    while ((n = read(fd, bytes, sizeof(bytes))) > 0 ||
           (n < 0 && errno == EINTR))
        if (n > 0)
            buf_add(out, bytes, (size_t)n);
}

int program_run(const char *const *argv, struct buf *out, struct err *err)
{
    int pipes[2] = {-1, -1};
    pid_t pid;
    if (out && pipe2(pipes, O_CLOEXEC))
        return err_set(err, errno, "cannot make a pipe: %s", strerror(errno));
    int r = start(argv, pipes[1], &pid);
    if (out)
        close(pipes[1]);
    if (r == 0 && out)
        collect(pipes[0], out);
    if (out)
        close(pipes[0]);
    return r ? err_set(err, r, "cannot run %s: %s", argv[0], strerror(r))
             : wait_for(pid, argv[0], err);
}
