/* sandbox/sandbox_parts.h - what sandbox.c is made of. Private to this folder.
 */
#ifndef SANDBOX_SANDBOX_PARTS_H
#define SANDBOX_SANDBOX_PARTS_H
#include "sandbox/sandbox.h"

/* Paths: only what the rules list, beneath it. Returns the ABI in force, or a
 * negative code (-ENOSYS: this kernel has no Landlock). */
int landlock_apply(const struct sandbox_rules *rules,
                   struct err *err) MUST_CHECK;

/* System calls, for every thread: an allow list, all else EPERM. -ENOSYS: this
 * kernel, or this build, has no filter. */
int filter_apply(const struct sandbox_rules *rules, struct err *err) MUST_CHECK;
bool filter_built(void); /* false in a build with -Dseccomp=false */

#endif
