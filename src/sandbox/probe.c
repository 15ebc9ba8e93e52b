/* sandbox/probe.c - a child tries what must be denied to it, so that a filter
 * which does not hold is found before the first byte of a model is read. */
#include "sandbox/sandbox_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NEEDS_FILTER = 1, NOT_FETCH = 2, NOT_PYTHON = 4 };

/* Each returns what the system call did; one that succeeded is undone. */
static long try_open(void)
{
    long fd = syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY);
    if (fd >= 0)
        close((int)fd);
    return fd;
}

static long try_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd;
}

static long try_unix_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd;
}

static long try_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (pid == 0)
        _exit(0);
    return pid;
}

static long try_exec(void)
{
    char *const none[] = {NULL};
    return syscall(SYS_execve, "", none, none);
}

static long try_exec_fd(void)
{
    char *const none[] = {NULL};
    return syscall(SYS_execveat, -1, "", none, none, AT_EMPTY_PATH);
}

static long try_times(void)
{
    return syscall(SYS_utimensat, -1, NULL, NULL, 0);
}

static long try_signal(void)
{
    return kill(getppid(), 0);
}

static long try_executable_memory(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -1;
    munmap(p, 4096);
    return 0;
}

static const struct {
    const char *what;
    long (*fn)(void);
    int needs;
} tries[] = {
    {"opening a path", try_open, 0},
    {"a socket", try_socket, NEEDS_FILTER | NOT_FETCH},
    {"a unix socket", try_unix_socket, NEEDS_FILTER},
    {"a new process", try_process, NEEDS_FILTER},
    {"exec", try_exec, NEEDS_FILTER},
    {"exec of a descriptor", try_exec_fd, NEEDS_FILTER},
    {"a signal to the parent", try_signal, NEEDS_FILTER},
    {"a file's times", try_times, NEEDS_FILTER},
    {"executable memory", try_executable_memory, NEEDS_FILTER | NOT_PYTHON},
};

/* Whether the root folder is listed, so that opening it proves nothing. */
static bool may_open_root(const struct sandbox_rules *rules)
{
    const char *const *lists[] = {rules->read, rules->write, rules->devices};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const char *const *p = lists[i]; p && *p; p++)
            if ((*p)[0] == '/' && (*p)[1] == 0)
                return true;
    return false;
}

static bool applies(const struct sandbox_rules *rules,
                    const struct sandbox_state *state, int needs)
{
    bool worker = rules->kind == SANDBOX_WORKER;
    if ((needs & NOT_FETCH && rules->kind == SANDBOX_FETCH) ||
        (needs & NOT_PYTHON && rules->kind == SANDBOX_PYTHON))
        return false;
    if (needs & NEEDS_FILTER)
        return state->seccomp;
    return (worker && state->seccomp) ||
           (state->landlock && !may_open_root(rules));
}

int sandbox_probe(const struct sandbox_rules *rules,
                  const struct sandbox_state *state, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        if (!applies(rules, state, tries[i].needs))
            continue;
        errno = 0;
        if (tries[i].fn() >= 0 || (errno != EPERM && errno != EACCES))
            return err_set(err, E_INTERNAL,
                           "the sandbox does not hold: %s is let through",
                           tries[i].what);
    }
    return 0;
}
