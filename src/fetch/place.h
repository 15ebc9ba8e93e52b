/* fetch/place.h - writing into the cache: the only file of berth that does.
 *
 * Every name here is made from a checked hash, commit, revision or file name
 * (hub/hub_path.h, hub/hub_name.h), and every folder on the way is opened
 * without following links. Modes are left to the umask, as huggingface_hub
 * does.
 */
#ifndef FETCH_PLACE_H
#define FETCH_PLACE_H
#include "fetch/session.h"
#include "hub/hub_path.h"

/* One model's folder. Descriptors of folders; -1 = not open. */
struct place {
    int cache, repo, blobs, locks;
    char folder[HUB_FOLDER_MAX];
};
#define PLACE_NONE {.cache = -1, .repo = -1, .blobs = -1, .locks = -1}

/* Makes what is not there. */
int place_open(struct place *p, const char *cache, const char *id,
               struct err *err) MUST_CHECK;
void place_close(struct place *p);

/* The lock that huggingface_hub takes for the same blob: its descriptor, to be
 * closed; -EAGAIN when somebody else has it. */
int place_lock(struct place *p, const struct hub_hash *hash,
               struct err *err) MUST_CHECK;

/* The same for the model's links and refs: held by whoever writes them. */
int place_seat(struct place *p, struct err *err) MUST_CHECK;

/* A blob for reading, or -ENOENT. */
int place_blob(struct place *p, const struct hub_hash *hash) MUST_CHECK;
/* Bytes of blobs/HASH or, with partial, of what is there of it; 0 = nothing. */
uint64_t place_blob_bytes(struct place *p, const struct hub_hash *hash,
                          bool partial);
/* blobs/HASH.incomplete, for reading and writing. */
int place_partial(struct place *p, const struct hub_hash *hash,
                  struct err *err) MUST_CHECK;
void place_drop_partial(struct place *p, const struct hub_hash *hash);
/* Its bytes are on the disk, then it gets its name, then that is on the disk.
 */
int place_finish(struct place *p, const struct hub_hash *hash, int fd,
                 struct err *err) MUST_CHECK;

/* snapshots/COMMIT/NAME -> the blob. In the seat. */
int place_link(struct place *p, const char *commit, struct str name,
               const struct hub_hash *hash, struct err *err) MUST_CHECK;
/* refs/REVISION says commit. In the seat. */
int place_ref(struct place *p, const char *revision, const char *commit,
              struct err *err) MUST_CHECK;

/* -E_DISK_FULL with the numbers unless need bytes are free. */
int place_room(struct place *p, uint64_t need, const char *cache,
               struct err *err) MUST_CHECK;

#endif
