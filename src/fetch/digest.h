/* fetch/digest.h - a hash over bytes as they come: sha256, or git's sha1 of a
 * blob. One thread. */
#ifndef FETCH_DIGEST_H
#define FETCH_DIGEST_H
#include "fetch/session.h"
#include "hub/hub_path.h"

struct digest;

/* size: of the whole file, which git hashes first. */
struct digest *digest_new(enum hub_hash_kind kind, uint64_t size);
void digest_free(struct digest *d);
void digest_restart(struct digest *d);
void digest_add(struct digest *d, const void *p, size_t n);
/* What the bytes so far hash to; d may go on being used after a restart. */
struct hub_hash digest_end(struct digest *d);

/* Adds the first n bytes of a file, with session_tick() between pieces;
 * *moved, when not NULL, grows with them. E_DAMAGED_FILE when it is shorter. */
int digest_file(struct digest *d, int fd, uint64_t n, struct session *s,
                uint64_t *moved, struct err *err) MUST_CHECK;

#endif
