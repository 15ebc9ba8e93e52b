/* sandbox/sandbox.c - the order in which a child gives things up. What this
 * kernel lacks is refused, or with rules->degraded noted in the state. */
#include "sandbox/sandbox.h"
#include "sandbox/sandbox_parts.h"
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int sandbox_follow_parent(int expected_parent, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL))
        return err_set(err, errno, "cannot follow the parent: %s",
                       strerror(errno));
    if (expected_parent > 0 && getppid() != expected_parent)
        return err_set(err, ESRCH, "the parent is gone already");
    return 0;
}

static int limit(int what, const char *name, uint64_t bytes, struct err *err)
{
    const struct rlimit l = {bytes, bytes};
    if (setrlimit(what, &l) == 0)
        return 0;
    return err_set(err, errno, "sandbox: cannot set %s to %llu: %s", name,
                   (unsigned long long)bytes, strerror(errno));
}

/* Below the number of the one descriptor that may be executed: close-on-exec
 * ends that, and no other can take its place. */
static int limit_files(int exec_fd, struct err *err)
{
    return exec_fd
               ? limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", (uint64_t)exec_fd, err)
               : 0;
}

static int set_limits(const struct sandbox_rules *rules, struct err *err)
{
    int r = limit(RLIMIT_CORE, "RLIMIT_CORE", 0, err);
    if (r == 0 && rules->data_bytes)
        r = limit(RLIMIT_DATA, "RLIMIT_DATA", rules->data_bytes, err);
    if (r == 0 && rules->file_bytes)
        r = limit(RLIMIT_FSIZE, "RLIMIT_FSIZE", rules->file_bytes, err);
    return r == 0 ? limit_files(rules->exec_fd, err) : r;
}

/* The bounding set needs CAP_SETPCAP: who lacks that has little to lose. */
static int drop_capabilities(struct err *err)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    for (int cap = 0; cap < 64; cap++)
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
            break;
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &h, none))
        return err_set(err, errno, "sandbox: cannot drop capabilities: %s",
                       strerror(errno));
    return 0;
}

/* -ENOSYS is a lack that the configuration may accept; all else is a failure.
 */
static int accept_lack(const struct sandbox_rules *rules, int r,
                       struct sandbox_state *state, struct err *err)
{
    if (r != -ENOSYS)
        return r;
    if (!rules->degraded)
        return err_set(err, E_INTERNAL,
                       "%s; \"sandbox: degraded\" in the configuration would "
                       "go on without",
                       err->msg);
    state->degraded = true;
    return 0;
}

int sandbox_enter(const struct sandbox_rules *rules,
                  struct sandbox_state *state, struct err *err)
{
    *state = (struct sandbox_state){0};
    int r = set_limits(rules, err);
    if (r < 0)
        return r;
    state->rlimits = true;
    r = drop_capabilities(err);
    if (r < 0)
        return r;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return err_set(err, errno, "sandbox: no_new_privs is refused: %s",
                       strerror(errno));
    state->no_new_privs = true;
    r = landlock_apply(rules, err);
    if (r < 0)
        return accept_lack(rules, r, state, err);
    state->landlock = true;
    state->landlock_abi = r;
    return 0;
}

int sandbox_seal(const struct sandbox_rules *rules, struct sandbox_state *state,
                 struct err *err)
{
    if (!filter_built()) {
        state->degraded = true;
        return 0;
    }
    int r = filter_apply(rules, err);
    state->seccomp = r == 0;
    return r < 0 ? accept_lack(rules, r, state, err) : 0;
}
