/* cli/program.h - other programs that a command runs, one at a time. */
#ifndef CLI_PROGRAM_H
#define CLI_PROGRAM_H
#include "base/buf.h"
#include "base/err.h"

/* Runs argv (NULL-terminated; argv[0] is looked for in PATH) and waits for its
 * end. What it prints goes to this process' own output, or, if out is given,
 * its standard output into that. 0; positive: the status it exited with;
 * negative: it could not be run (-ENOENT: there is no such program) or was
 * killed. */
int program_run(const char *const *argv, struct buf *out,
                struct err *err) MUST_CHECK;

#endif
