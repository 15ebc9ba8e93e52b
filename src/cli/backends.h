/* cli/backends.h - inference servers of another kind than the native one: where
 * they are installed, and how they get there.
 *
 * A backend is a virtual environment FOLDER/transformers with the package
 * berth_transformers in it, and a file backend.json, which is written last.
 */
#ifndef CLI_BACKENDS_H
#define CLI_BACKENDS_H
#include "base/buf.h"
#include "cli/cli.h"

#define TRANSFORMERS "transformers"

enum { BACKENDS_ABOUT_MAX = 65536 };

/* The i-th folder in which berthd looks for backends (BERTH_BACKENDS, then
 * HOME/backends, then backends/ beside the programs, then /usr/lib), into
 * out[FS_PATH_MAX]; false past the last. */
bool backends_folder(int i, const struct invocation *in, char *out);

/* HOME/backends, where an installation goes; false when there is no home. */
bool backends_home(const struct invocation *in, char *out);

/* FOLDER/name is there and whole. */
bool backends_installed(const char *folder, const char *name);
/* What the one in FOLDER/name says of itself, one JSON object: versions and
 * devices. Starts its interpreter: takes seconds. */
int backends_about(const char *folder, const char *name, struct buf *out,
                   struct err *err) MUST_CHECK;

/* Makes FOLDER/transformers, or brings the one that is there up to date. Every
 * step is said on standard output. index: where torch comes from; NULL: its
 * build for CPUs. What failed leaves what was there before as it was. */
int backends_install(const char *folder, const char *index,
                     struct err *err) MUST_CHECK;
int backends_remove(const char *folder, const char *name,
                    struct err *err) MUST_CHECK;

#endif
