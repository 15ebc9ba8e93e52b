/* tests/unit/test_sandbox.c - the sandbox in children that die with it. What it
 * must deny is tried in tests/faults/sandbox_tries.c; here: what it must not.
 */
#include "base/crew.h"
#include "sandbox/sandbox.h"
#include "unit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In a child: what a condition that does not hold ends with is its line. */
#define MUST(x)                                         \
    do {                                                \
        if (!(x))                                       \
            _exit(__LINE__ & 127 ? __LINE__ & 127 : 1); \
    } while (0)

static int status_of(void (*body)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        body();
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

enum { NO_FILTER = 127 };

static struct sandbox_state enter(const struct sandbox_rules *rules)
{
    struct sandbox_state s;
    struct err err;
    MUST(sandbox_enter(rules, &s, &err) == 0);
    MUST(sandbox_seal(rules, &s, &err) == 0);
    MUST(sandbox_probe(rules, &s, &err) == 0);
    MUST(s.no_new_privs && s.rlimits && s.landlock && s.landlock_abi >= 1);
    MUST(s.degraded == !s.seccomp);
    return s;
}

/* The address sanitizer's own memory would be over any limit. */
#ifdef __SANITIZE_ADDRESS__
enum { DATA_BYTES = 0 };
#else
enum { DATA_BYTES = 1 << 28 };
#endif

static const struct sandbox_rules worker = {
    .kind = SANDBOX_WORKER, .data_bytes = DATA_BYTES, .file_bytes = 1 << 28};

static void work(void)
{
    int fd[2];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    enter(&worker);
    char *p = malloc(100 << 20), c;
    MUST(p);
    memset(p, 1, 100 << 20);
    free(p);
    MUST(!DATA_BYTES || !malloc(2 * (size_t)DATA_BYTES));
    int m = memfd_create("m", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    MUST(m >= 0 && write(m, "x", 1) == 1 && ftruncate(m, 10) == 0);
    MUST(fcntl(m, F_ADD_SEALS, F_SEAL_WRITE) == 0);
    MUST(mmap(NULL, 10, PROT_READ, MAP_PRIVATE, m, 0) != MAP_FAILED);
    MUST(write(fd[0], "y", 1) == 1 && read(fd[1], &c, 1) == 1 && c == 'y');
    MUST(close(m) == 0);
}

static void a_worker_can_work(void **state)
{
    (void)state;
    assert_int_equal(status_of(work), 0);
}

static void abort_in_it(void)
{
    enter(&worker);
    abort();
}

static void abort_dies_of_sigabrt(void **state)
{
    (void)state;
    int status = status_of(abort_in_it);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void try_open(void *ctx, int i)
{
    (void)i;
    int fd = open("/proc/self/status", O_RDONLY);
    if (fd >= 0 || (errno != EPERM && errno != EACCES))
        __atomic_fetch_add((int *)ctx, 1, __ATOMIC_RELAXED);
}

static void hire_first(void)
{
    struct sandbox_state s;
    struct err err;
    struct crew *crew;
    int let_through = 0;
    MUST(sandbox_enter(&worker, &s, &err) == 0);
    MUST(crew_open(&crew, 4, &err) == 0);
    MUST(sandbox_seal(&worker, &s, &err) == 0);
    crew_work(crew, try_open, &let_through);
    crew_wait(crew);
    crew_close(crew);
    MUST(let_through == 0);
    MUST(!s.seccomp || crew_open(&crew, 1, &err) == -EPERM);
}

static void threads_started_before_are_inside(void **state)
{
    (void)state;
    assert_int_equal(status_of(hire_first), 0);
}

static void foreign_call(void)
{
    if (!enter(&worker).seccomp)
        _exit(NO_FILTER);
#if defined(__x86_64__)
    long r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20) : "memory");
#endif
}

static void another_architecture_kills(void **state)
{
    (void)state;
    int status = status_of(foreign_call);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_FILTER)
        skip();
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* Folders for berth-fetch: one that it owns, beside one that it does not. */
static char own[64], other[64];

static void make_folders(void)
{
    snprintf(own, sizeof(own), "/tmp/berth-own-XXXXXX");
    snprintf(other, sizeof(other), "/tmp/berth-other-XXXXXX");
    assert_non_null(mkdtemp(own));
    assert_non_null(mkdtemp(other));
}

static const char *in(const char *dir, const char *name, char *to)
{
    snprintf(to, 128, "%s/%s", dir, name);
    return to;
}

static void move_files(void)
{
    const char *read[] = {"/etc", "/no/such/path", NULL},
               *write[] = {own, NULL};
    const struct sandbox_rules rules = {
        .kind = SANDBOX_FETCH, .read = read, .write = write};
    enter(&rules);
    char a[128], b[128];
    MUST(mkdir(in(own, "blobs", a), 0700) == 0);
    MUST(mkdir(in(own, "snap", a), 0700) == 0);
    int fd = open(in(own, "blobs/part", a), O_RDWR | O_CREAT | O_EXCL, 0600);
    MUST(fd >= 0 && pwrite(fd, "abc", 3, 0) == 3);
    MUST(fsync(fd) == 0 && ftruncate(fd, 2) == 0);
    MUST(rename(a, in(own, "snap/file", b)) == 0);
    MUST(symlink("../snap/file", in(own, "blobs/link", a)) == 0);
    MUST(unlink(a) == 0 && unlink(b) == 0);
    MUST(rmdir(in(own, "snap", a)) == 0 && rmdir(in(own, "blobs", a)) == 0);
    MUST(open("/etc/hosts", O_RDONLY) >= 0);
    MUST(open("/etc/hosts", O_WRONLY) < 0);
    MUST(open(in(other, "x", a), O_WRONLY | O_CREAT, 0600) < 0);
    MUST(open("/proc/self/maps", O_RDONLY) < 0);
}

static void fetch_keeps_to_its_folders(void **state)
{
    (void)state;
    make_folders();
    assert_int_equal(status_of(move_files), 0);
    assert_int_equal(rmdir(own), 0);
    assert_int_equal(rmdir(other), 0);
}

/* What an interpreter with torch does, and what even that may not. */
static void interpret(void)
{
    const char *read[] = {own, NULL};
    const struct sandbox_rules rules = {
        .kind = SANDBOX_PYTHON, .read = read, .exec_fd = 200};
    int fd[2];
    char a[128];
    MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    const bool filter = enter(&rules).seccomp;
    MUST(open(in(own, "file", a), O_RDONLY) >= 0);
    MUST(open(a, O_RDWR) < 0 && open("/proc/self/maps", O_RDONLY) < 0);
    MUST(open(in(other, "file", a), O_RDONLY) < 0 && errno == EACCES);
    MUST(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    struct crew *crew;
    struct err err;
    MUST(crew_open(&crew, 2, &err) == 0);
    crew_close(crew);
    MUST(send(fd[0], "x", 1, 0) == 1 && recv(fd[1], a, 1, 0) == 1);
    const struct rlimit lower = {100, 150}, higher = {100, 250};
    MUST(setrlimit(RLIMIT_NOFILE, &lower) == 0);
    MUST(setrlimit(RLIMIT_NOFILE, &higher) < 0);
    MUST(dup2(fd[0], 199) < 0);
    MUST(!filter || (utimensat(AT_FDCWD, own, NULL, 0) < 0 && errno == EPERM));
    MUST(!filter || (fork() < 0 && errno == EPERM));
}

static void python_reads_and_makes_code_and_threads(void **state)
{
    char a[128];
    (void)state;
    make_folders();
    for (int i = 0; i < 2; i++)
        assert_int_equal(close(open(in(i ? other : own, "file", a),
                                    O_CREAT | O_RDONLY, 0600)),
                         0);
    assert_int_equal(status_of(interpret), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(unlink(in(i ? other : own, "file", a)), 0);
    assert_int_equal(rmdir(own), 0);
    assert_int_equal(rmdir(other), 0);
}

static int listen_on_loopback(struct sockaddr_in *a)
{
    socklen_t n = sizeof(*a);
    *a = (struct sockaddr_in){.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)a, n) || listen(fd, 1) ||
        getsockname(fd, (struct sockaddr *)a, &n))
        return -1;
    return fd;
}

static void call_out(void)
{
    struct sockaddr_in a;
    int server = listen_on_loopback(&a);
    const char *read[] = {"/etc", NULL};
    const struct sandbox_rules rules = {.kind = SANDBOX_FETCH, .read = read};
    MUST(server >= 0);
    const struct sandbox_state in_force = enter(&rules);
    struct crew *resolver;
    struct err err;
    struct addrinfo *found = NULL;
    MUST(crew_open(&resolver, 1, &err) == 0);
    crew_close(resolver);
    MUST(getaddrinfo("localhost", "80", NULL, &found) == 0);
    freeaddrinfo(found);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MUST(fd >= 0);
    MUST(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 ||
         errno == EINPROGRESS);
    MUST(socket(AF_INET, SOCK_DGRAM, 0) >= 0);
    MUST(listen_on_loopback(&a) < 0);
    MUST(!in_force.seccomp || socket(AF_NETLINK, SOCK_RAW, 0) < 0);
    MUST(!in_force.seccomp || socket(AF_INET, SOCK_RAW, 1) < 0);
    MUST(!in_force.seccomp || socket(AF_UNIX, SOCK_STREAM, 0) < 0);
}

static void fetch_can_connect_but_not_listen(void **state)
{
    (void)state;
    assert_int_equal(status_of(call_out), 0);
}

static void follow_nobody(void)
{
    struct err err;
    MUST(sandbox_follow_parent(getppid(), &err) == 0);
    MUST(sandbox_follow_parent(1 << 30, &err) == -ESRCH);
}

static void an_orphan_is_told(void **state)
{
    (void)state;
    assert_int_equal(status_of(follow_nobody), 0);
}

/* CPU time of this process, since other processes share the cores. */
static void measure(void)
{
    struct timespec t[2];
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[0]);
    enter(&worker);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t[1]);
    long us = (t[1].tv_sec - t[0].tv_sec) * 1000000 +
              (t[1].tv_nsec - t[0].tv_nsec) / 1000;
    dprintf(2, "# enter, seal and probe: %ld us of CPU time\n", us);
}

static void says_what_it_costs(void **state)
{
    (void)state;
    assert_int_equal(status_of(measure), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_can_work),
        cmocka_unit_test(abort_dies_of_sigabrt),
        cmocka_unit_test(threads_started_before_are_inside),
        cmocka_unit_test(fetch_keeps_to_its_folders),
        cmocka_unit_test(python_reads_and_makes_code_and_threads),
        cmocka_unit_test(fetch_can_connect_but_not_listen),
        cmocka_unit_test(an_orphan_is_told),
        cmocka_unit_test(says_what_it_costs),
        cmocka_unit_test(another_architecture_kills),
    };
    return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
