/* hub/beneath.h - opening and listing that cannot leave a folder. Any thread.
 */
#ifndef HUB_BENEATH_H
#define HUB_BENEATH_H
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* open(2) of a path that must stay beneath the folder dir, links included; with
 * links false none is followed. A descriptor, or a negative errno (-EXDEV: it
 * leads out). */
int beneath_open(int dir, const char *path, int flags, bool links) MUST_CHECK;

/* The same, read-only, for regular files alone: -EINVAL for anything else. */
int beneath_open_file(int dir, const char *path, bool links) MUST_CHECK;

/* Names of all files and links below the folder dir/path ("" = dir itself),
 * sorted, relative to it, in the arena. Names that hub_path_check() refuses are
 * left out, as are those that begin with '.' unless hidden. E_TOO_LARGE above
 * HUB_FILES_MAX; -ENOENT, without a sentence, when the folder is not there. */
int beneath_list(int dir, const char *path, bool hidden, struct arena *a,
                 struct str **ret, size_t *ret_n, struct err *err) MUST_CHECK;

#endif
