/* hub/cache.h - the Hugging Face cache on this disk, as huggingface_hub lays
 * it.
 *
 *     CACHE/models--org--name/blobs/HASH               the bytes
 *     CACHE/models--org--name/snapshots/COMMIT/FILE -> ../../blobs/HASH
 *     CACHE/models--org--name/refs/REVISION            holds COMMIT
 *     CACHE/.locks/models--org--name/HASH.lock         flock, shared
 *
 * Reads only; berth-fetch writes. Files are opened beneath their models--*
 * folder (RESOLVE_BENEATH lets the cache's own links through, and nothing that
 * leads out), read-only, without blocking on what is no regular file. Any
 * thread; keeps no state. A disk may be slow: not in the daemon's loop.
 */
#ifndef HUB_CACHE_H
#define HUB_CACHE_H
#include "hub/hub_name.h"
#include "hub/hub_select.h"

/* Where the cache is: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else
 * HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else
 * ~/.cache/huggingface/hub; "~" and "$NAME" are expanded. env is getenv, or a
 * test's. Into out[FS_PATH_MAX]. */
int cache_dir(char *(*env)(const char *name), char *out,
              struct err *err) MUST_CHECK;

/* One file of a snapshot, open. */
struct cache_file {
    char *name; /* its place in the snapshot */
    int fd;
    uint64_t size, inode, device;
    int64_t mtime_ns, ctime_ns;
    struct hub_hash hash; /* what its blob is called; none in a plain folder */
};

/* Owns names and descriptors. Zero before its first use. */
struct cache_files {
    struct cache_file *v; /* [n] in the order of their names */
    size_t n;
};
void cache_files_fini(struct cache_files *files);

/* The commit that a name means here, into commit[HUB_COMMIT_MAX]: its revision,
 * if that is a commit, else what refs/ says. E_MODEL_NOT_FOUND when the cache
 * has no such snapshot. */
int cache_resolve(const char *cache, const struct hub_name *name, char *commit,
                  struct err *err) MUST_CHECK;

/* The folder that holds a snapshot's files, into out[FS_PATH_MAX], and the
 * models--* folder that they may link into, into out_root[FS_PATH_MAX]. Looks
 * at no disk. */
int cache_folder(const char *cache, const char *id, const char *commit,
                 char *out, char *out_root, struct err *err) MUST_CHECK;

/* Opens the files that hub_select() takes. E_MODEL_NOT_FOUND, E_DAMAGED_FILE (a
 * link leads nowhere or out of the folder, a shard is missing), or as
 * hub_select(). */
int cache_open(const char *cache, const char *id, const char *commit,
               struct cache_files *ret, struct err *err) MUST_CHECK;
/* The same for a plain folder (`berth add`): links may not lead out of it. */
int cache_open_folder(const char *dir, struct cache_files *ret,
                      struct err *err) MUST_CHECK;

/* Every snapshot found. revision: the name of a ref that points at it ("main"
 * before others), "" when none does. A negative return of fn ends the scan with
 * that code. A cache that does not exist holds nothing: 0. */
struct cache_found {
    char id[HUB_ID_MAX];
    char commit[HUB_COMMIT_MAX];
    char revision[HUB_REVISION_MAX];
};
typedef int cache_found_fn(void *ctx, const struct cache_found *found);
int cache_scan(const char *cache, cache_found_fn *fn, void *ctx,
               struct err *err) MUST_CHECK;

#endif
