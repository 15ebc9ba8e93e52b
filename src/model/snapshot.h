/* model/snapshot.h - the files of one model revision, as open descriptors.
 *
 * The worker gets them in LOAD; it never opens a path. A file's name is its
 * place in the snapshot ("1_Pooling/config.json"). In the inspector a
 * descriptor may hold only the beginning of its file; size is the whole file's.
 */
#ifndef MODEL_SNAPSHOT_H
#define MODEL_SNAPSHOT_H
#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>

enum { SNAPSHOT_FILES_MAX = 253, SNAPSHOT_NAME_MAX = 512 };

struct snapshot_file {
    char *name;
    int fd;
    uint64_t size;
};

/* Owns names and descriptors. */
struct snapshot {
    struct snapshot_file files[SNAPSHOT_FILES_MAX];
    size_t n;
};

/* Takes fd (also on failure) and copies the name. Refuses a second file of the
 * same name. */
int snapshot_add(struct snapshot *s, struct str name, int fd, uint64_t size,
                 struct err *err) MUST_CHECK;
void snapshot_fini(struct snapshot *s);

const struct snapshot_file *snapshot_find(const struct snapshot *s,
                                          const char *name);
/* Reads a whole small file, at most max bytes, into out (which the caller ends
 * with buf_fini). A missing file: 0 bytes and 0 when optional, else
 * E_DAMAGED_FILE. The sentence names the file. */
int snapshot_read(const struct snapshot *s, const char *name, size_t max,
                  bool optional, struct buf *out, struct err *err) MUST_CHECK;

#endif
