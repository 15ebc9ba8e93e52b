/* sandbox/filter.c - which system calls a child may still make: allow lists for
 * libseccomp, with a condition where a call can do more than it is needed for.
 * What is not listed fails with EPERM; a call of another architecture kills. */
#include "sandbox/sandbox_parts.h"
#include <errno.h>
#include <string.h>

#if BERTH_SECCOMP

#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* clang-format off */

/* A worker: memory, its descriptors, its own threads that are already there,
 * clocks. Nothing with a path, an address or another process in it; fstat, but
 * not newfstatat. writev is what abort() writes its last line with. */
static const int worker_calls[] = {
    SCMP_SYS(read), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(lseek), SCMP_SYS(ftruncate),
    SCMP_SYS(memfd_create), SCMP_SYS(recvmsg), SCMP_SYS(sendmsg),
    SCMP_SYS(poll), SCMP_SYS(ppoll),
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall), SCMP_SYS(gettid), SCMP_SYS(getpid),
    SCMP_SYS(exit), SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(getrandom),
};

/* berth-fetch: that, and files beneath its folders (Landlock says which), and
 * outgoing connections as libcurl, OpenSSL and the resolver make them. */
static const int fetch_calls[] = {
    SCMP_SYS(readv), SCMP_SYS(pwrite64), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2), SCMP_SYS(pipe2),
    SCMP_SYS(dup), SCMP_SYS(dup3),
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(stat), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(getcwd), SCMP_SYS(umask),
    SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(rename), SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(symlink),
    SCMP_SYS(symlinkat), SCMP_SYS(fchmod), SCMP_SYS(flock), SCMP_SYS(fsync),
    SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
    SCMP_SYS(copy_file_range),
    SCMP_SYS(connect), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(shutdown),
    SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sigaltstack),
    SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getppid), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage),
};

/* The Transformers server: a worker's, and what an interpreter with torch was
 * seen to need, for loading, embeddings, generation, images and sound: files by
 * name (Landlock says which), waiting, threads, memory policy, Landlock to give
 * up more. Nothing that creates, names or changes a file. */
static const int python_calls[] = {
    SCMP_SYS(readv), SCMP_SYS(pwrite64), SCMP_SYS(select), SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(eventfd2), SCMP_SYS(pipe2),
    SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(getcwd), SCMP_SYS(fadvise64),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
    SCMP_SYS(recvfrom), SCMP_SYS(shutdown),
    SCMP_SYS(set_tid_address), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(sigaltstack), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(arch_prctl),
    SCMP_SYS(mbind), SCMP_SYS(get_mempolicy), SCMP_SYS(getcpu),
    SCMP_SYS(clock_getres), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
    SCMP_SYS(time), SCMP_SYS(times),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getppid), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage),
    SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_add_rule),
    SCMP_SYS(landlock_restrict_self),
};

static const int fcntl_commands[] = {
    F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS,
    F_GET_SEALS,
};
static const int fetch_fcntl_commands[] = {
    F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW,
};
/* clang-format on */

/* The first failure stays in *r. */
static void allow(scmp_filter_ctx c, int *r, int nr, unsigned n,
                  const struct scmp_arg_cmp *args)
{
    if (*r == 0 && nr >= 0)
        *r = seccomp_rule_add_array(c, SCMP_ACT_ALLOW, nr, n, args);
}

static void allow_all(scmp_filter_ctx c, int *r, const int *nrs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        allow(c, r, nrs[i], 0, NULL);
}

static void allow_values(scmp_filter_ctx c, int *r, int nr, unsigned arg,
                         const int *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct scmp_arg_cmp is =
            SCMP_CMP(arg, SCMP_CMP_EQ, (scmp_datum_t)values[i], 0);
        allow(c, r, nr, 1, &is);
    }
}

/* Common to all kinds: signals to oneself alone (abort() needs tgkill), fcntl
 * without F_SETOWN (which sends signals too), limits read but not set, no new
 * thread by clone3 (its flags lie behind a pointer; libc falls back to clone
 * when it does not exist). */
static void allow_conditions(scmp_filter_ctx c, int *r)
{
    const struct scmp_arg_cmp self =
        SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
    const struct scmp_arg_cmp get_limit[] = {SCMP_A0(SCMP_CMP_EQ, 0, 0),
                                             SCMP_A2(SCMP_CMP_EQ, 0, 0)};
    allow(c, r, SCMP_SYS(tgkill), 1, &self);
    allow(c, r, SCMP_SYS(prlimit64), 2, get_limit);
    allow_values(c, r, SCMP_SYS(fcntl), 1, fcntl_commands,
                 ARRAY_LEN(fcntl_commands));
    if (*r == 0)
        *r = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* What a model is computed from is never executable. */
static void allow_memory(scmp_filter_ctx c, int *r)
{
    const struct scmp_arg_cmp no_exec =
        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    allow(c, r, SCMP_SYS(mmap), 1, &no_exec);
    allow(c, r, SCMP_SYS(mprotect), 1, &no_exec);
}

static void allow_threads(scmp_filter_ctx c, int *r)
{
    const struct scmp_arg_cmp thread =
        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
    allow(c, r, SCMP_SYS(clone), 1, &thread);
}

/* Sockets of the internet alone (a resolver that asks for a unix or netlink
 * socket does without); socketpair for libcurl's wake-up; clone for threads. */
static void allow_fetch(scmp_filter_ctx c, int *r)
{
    static const int families[] = {AF_INET, AF_INET6};
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t i = 0; i < ARRAY_LEN(families) * ARRAY_LEN(types); i++) {
        const struct scmp_arg_cmp args[] = {
            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i % 2], 0),
            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)types[i / 2])};
        allow(c, r, SCMP_SYS(socket), 2, args);
    }
    const struct scmp_arg_cmp unix_pair = SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0);
    static const int ioctls[] = {0x541B /* FIONREAD */, 0x5421 /* FIONBIO */};
    static const int prctls[] = {PR_SET_NAME};
    allow(c, r, SCMP_SYS(socketpair), 1, &unix_pair);
    allow_memory(c, r);
    allow_threads(c, r);
    allow_values(c, r, SCMP_SYS(ioctl), 1, ioctls, ARRAY_LEN(ioctls));
    allow_values(c, r, SCMP_SYS(prctl), 0, prctls, ARRAY_LEN(prctls));
    allow_values(c, r, SCMP_SYS(fcntl), 1, fetch_fcntl_commands,
                 ARRAY_LEN(fetch_fcntl_commands));
    allow_all(c, r, fetch_calls, ARRAY_LEN(fetch_calls));
}

/* With a device: its files are opened for writing and told by ioctl. The
 * numbers are the drivers', from their published headers: 'F' and those of
 * unified memory for CUDA, VFIO's ';' and gasket's 0xDC for TPUs. */
static void allow_devices(scmp_filter_ctx c, int *r)
{
    static const struct {
        scmp_datum_t mask, value;
    } ioctls[] = {{0xff00, 'F' << 8},
                  {0xffffff00, 0},
                  {0xfffffff0, 0x30000000},
                  {0xff00, ';' << 8},
                  {0xff00, 0xdc00}};
    const scmp_datum_t creates = O_CREAT | O_TRUNC;
    const struct scmp_arg_cmp open2 = SCMP_A2(SCMP_CMP_MASKED_EQ, creates, 0),
                              open1 = SCMP_A1(SCMP_CMP_MASKED_EQ, creates, 0);
    for (size_t i = 0; i < ARRAY_LEN(ioctls); i++) {
        const struct scmp_arg_cmp is =
            SCMP_A1(SCMP_CMP_MASKED_EQ, ioctls[i].mask, ioctls[i].value);
        allow(c, r, SCMP_SYS(ioctl), 1, &is);
    }
    allow(c, r, SCMP_SYS(openat), 1, &open2);
    allow(c, r, SCMP_SYS(open), 1, &open1);
    allow(c, r, SCMP_SYS(mlock), 0, NULL);
    allow(c, r, SCMP_SYS(munlock), 0, NULL);
}

/* Files to read only, even where there is no Landlock; limits of itself, which
 * without a capability go down only; threads but no process; exec of the one
 * descriptor that is gone after it. Any memory may be executable: oneDNN and
 * ctypes write their code at run time. */
static void allow_python(scmp_filter_ctx c, int *r,
                         const struct sandbox_rules *rules)
{
    const scmp_datum_t writes = O_ACCMODE | O_CREAT | O_TRUNC;
    const struct scmp_arg_cmp open2 = SCMP_A2(SCMP_CMP_MASKED_EQ, writes, 0),
                              open1 = SCMP_A1(SCMP_CMP_MASKED_EQ, writes, 0),
                              self = SCMP_A0(SCMP_CMP_EQ, 0, 0),
                              to_peer = SCMP_A4(SCMP_CMP_EQ, 0, 0);
    const struct scmp_arg_cmp once[] = {
        SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)rules->exec_fd, 0),
        SCMP_A4(SCMP_CMP_EQ, AT_EMPTY_PATH, 0)};
    static const int ioctls[] = {0x5401 /* TCGETS */,   0x5413 /* TIOCGWINSZ */,
                                 0x541B /* FIONREAD */, 0x5421 /* FIONBIO */,
                                 0x5450 /* FIONCLEX */, 0x5451 /* FIOCLEX */};
    static const int prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS,
                                 PR_GET_NO_NEW_PRIVS,
                                 0x53564d41 /* PR_SET_VMA: names of memory */};
    allow(c, r, SCMP_SYS(openat), 1, &open2);
    allow(c, r, SCMP_SYS(open), 1, &open1);
    allow(c, r, SCMP_SYS(prlimit64), 1, &self);
    allow(c, r, SCMP_SYS(sched_setaffinity), 1, &self);
    allow(c, r, SCMP_SYS(sendto), 1, &to_peer);
    allow(c, r, SCMP_SYS(execveat), 2, once);
    allow(c, r, SCMP_SYS(mmap), 0, NULL);
    allow(c, r, SCMP_SYS(mprotect), 0, NULL);
    allow_threads(c, r);
    allow_values(c, r, SCMP_SYS(ioctl), 1, ioctls, ARRAY_LEN(ioctls));
    allow_values(c, r, SCMP_SYS(prctl), 0, prctls, ARRAY_LEN(prctls));
    allow_all(c, r, python_calls, ARRAY_LEN(python_calls));
    if (rules->devices && *rules->devices)
        allow_devices(c, r);
}

static void allow_kind(scmp_filter_ctx c, int *r,
                       const struct sandbox_rules *rules)
{
    switch (rules->kind) {
    case SANDBOX_WORKER:
        allow_memory(c, r);
        break;
    case SANDBOX_FETCH:
        allow_fetch(c, r);
        break;
    case SANDBOX_PYTHON:
        allow_python(c, r, rules);
        break;
    }
}

/* SSB: code of the model never runs, so the store-bypass mitigation that older
 * kernels tie to a filter would only cost speed. OPTIMIZE 2: a binary tree. */
static int set_attributes(scmp_filter_ctx c)
{
    int r = seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (r == 0)
        r = seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0)
        r = seccomp_attr_set(c, SCMP_FLTATR_CTL_SSB, 1);
    if (r == 0)
        r = seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return r;
}

int filter_apply(const struct sandbox_rules *rules, struct err *err)
{
    if (prctl(PR_GET_SECCOMP) < 0)
        return err_set(err, ENOSYS, "this kernel has no seccomp");
    scmp_filter_ctx c = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int r = c ? set_attributes(c) : -ENOMEM;
    allow_conditions(c, &r);
    allow_all(c, &r, worker_calls, ARRAY_LEN(worker_calls));
    allow_kind(c, &r, rules);
    if (r == 0)
        r = seccomp_load(c);
    seccomp_release(c);
    return r < 0 ? err_set(err, -r, "sandbox: no filter of system calls: %s",
                           strerror(-r))
                 : 0;
}

bool filter_built(void)
{
    return true;
}

#else

int filter_apply(const struct sandbox_rules *rules, struct err *err)
{
    (void)rules;
    return err_set(err, ENOSYS, "this build has no filter of system calls");
}

bool filter_built(void)
{
    return false;
}

#endif
