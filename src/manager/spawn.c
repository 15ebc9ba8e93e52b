/* manager/spawn.c - from fork to exec. */
#include "manager/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANNEL_FD = 3, ABOVE = 16, EXIT_NO_EXEC = 127 };

/* ---- in the child ---- */

static void die(const char *what)
{
    static const char end[] = " failed before exec\n";
    if (write(STDERR_FILENO, what, strlen(what)) < 0 ||
        write(STDERR_FILENO, end, sizeof(end) - 1) < 0) {
        /* There is nobody left to tell. */
    }
    _exit(EXIT_NO_EXEC);
}

/* Sources first go above all targets, so that none is overwritten. */
static void place_descriptors(int socket, int output)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high[3] = {fcntl(null, F_DUPFD_CLOEXEC, ABOVE),
                   fcntl(socket, F_DUPFD_CLOEXEC, ABOVE),
                   fcntl(output, F_DUPFD_CLOEXEC, ABOVE)};
    if (dup2(high[2], STDERR_FILENO) < 0 || dup2(high[0], STDIN_FILENO) < 0 ||
        dup2(high[0], STDOUT_FILENO) < 0 || dup2(high[1], CHANNEL_FD) < 0)
        die("placing descriptors");
    if (close_range(CHANNEL_FD + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC))
        die("closing descriptors");
}

static void reset_signals(void)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &usual, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Not permitted everywhere; then the kernel chooses by size. */
static void die_first(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "500", 3) < 0) {
        /* As it was. */
    }
    close(fd);
}

static void become(const struct spawn *what, int parent, int socket, int output)
{
    char *environment[1] = {NULL};
    setsid(); /* the terminal's signals are for the daemon */
    place_descriptors(socket, output);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
        die("following the daemon");
    reset_signals();
    if (what->first_to_die)
        die_first();
    execve(what->path, (char *const *)(uintptr_t)what->argv, environment);
    die("running the program");
}

/* ---- in the daemon ---- */

static void close_pair(const int pair[2])
{
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
}

static int fork_child(const struct spawn *what, const int sockets[2],
                      const int pipes[2], struct spawned *ret)
{
    int parent = getpid();
    int pid = fork();
    if (pid == 0)
        become(what, parent, sockets[1], pipes[1]);
    if (pid < 0)
        return -errno;
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        int code = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return code;
    }
    *ret = (struct spawned){pid, pidfd, sockets[0], pipes[0]};
    return 0;
}

int spawn_child(const struct spawn *what, struct spawned *ret, struct err *err)
{
    int sockets[2] = {-1, -1}, pipes[2] = {-1, -1}, r = 0;
    if (access(what->path, X_OK))
        return err_set(err, E_INTERNAL, "cannot run %s: %s", what->path,
                       strerror(errno));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) ||
        pipe2(pipes, O_CLOEXEC) || fcntl(pipes[0], F_SETFL, O_NONBLOCK))
        r = -errno;
    if (r == 0)
        r = fork_child(what, sockets, pipes, ret);
    if (r < 0) {
        close_pair(sockets);
        close_pair(pipes);
        return err_set(err, E_INTERNAL, "cannot start a process: %s",
                       strerror(-r));
    }
    close(sockets[1]);
    close(pipes[1]);
    return 0;
}
