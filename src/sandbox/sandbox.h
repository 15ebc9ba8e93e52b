/* sandbox/sandbox.h - a child gives up what it does not need, in the order that
 * works: parent check, HELLO read by the caller, then sandbox_enter() before
 * its threads, sandbox_seal() after them, sandbox_probe() last. What becomes
 * another program calls exec after that, and is held by the same.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum sandbox_kind {
    SANDBOX_WORKER, /* no path, no network, no exec, no new process */
    SANDBOX_FETCH,  /* TCP and UDP out, paths beneath what is listed, no exec */
    SANDBOX_PYTHON, /* reads what is listed, makes threads and code; no network,
                       no new process, one exec */
};

struct sandbox_rules {
    enum sandbox_kind kind;
    const char *const *read;    /* paths, NULL-terminated; NULL = none */
    const char *const *write;   /* paths that may also be changed */
    const char *const *execute; /* programs that may be read and run */
    const char *const *devices; /* read, written, told by ioctl */
    int exec_fd; /* SANDBOX_PYTHON: the one descriptor that may be executed,
                    which no descriptor can have as its number afterwards */
    uint64_t data_bytes; /* RLIMIT_DATA; 0 = no limit */
    uint64_t file_bytes; /* RLIMIT_FSIZE; 0 = no limit */
    bool degraded;       /* go on where the kernel lacks something */
};

/* What is in force, for STATUS and `berth status`. */
struct sandbox_state {
    bool no_new_privs, seccomp, landlock, rlimits;
    int landlock_abi;
    bool degraded; /* something above is missing and that was allowed */
};

/* First thing in a child: PR_SET_PDEATHSIG, then checks that the parent is
 * still the one that forked it (expected_parent 0: do not check). */
int sandbox_follow_parent(int expected_parent, struct err *err) MUST_CHECK;
/* rlimits, capabilities, no_new_privs, Landlock. Before the threads start. */
int sandbox_enter(const struct sandbox_rules *rules,
                  struct sandbox_state *state, struct err *err) MUST_CHECK;
/* seccomp for all threads (TSYNC). Without it in a build with -Dseccomp=false.
 */
int sandbox_seal(const struct sandbox_rules *rules, struct sandbox_state *state,
                 struct err *err) MUST_CHECK;
/* Tries what must be denied by what is in force; fails if anything is let
 * through. */
int sandbox_probe(const struct sandbox_rules *rules,
                  const struct sandbox_state *state,
                  struct err *err) MUST_CHECK;

#endif
