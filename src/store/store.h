/* store/store.h - what must survive a restart: models and aliases, in SQLite.
 *
 * Every function may take long (it syncs): for the helper thread, one at a
 * time. What is acknowledged is on the disk. A file that is damaged is set
 * aside under another name and a new one begun: the cache still holds the
 * models, they are found again.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum { STORE_HASH_MAX = 65 };

/* A file as it was when its bytes were last hashed. */
struct store_file {
    char *name; /* its place in the snapshot */
    uint64_t size, inode, device;
    int64_t mtime_ns, ctime_ns;
    char hash[STORE_HASH_MAX]; /* sha256 or git-sha1, "" = not known */
};

/* Owns its strings and files. Zero before its first use. */
struct store_model {
    char *id, *revision; /* the key */
    char *commit;        /* "" of an added folder */
    char *origin;        /* "pulled", "found", "added" */
    char *dir;           /* of an added folder, "" */
    uint64_t bytes, wall_ms;
    char *plan; /* [plan_bytes] the inspector's answer, as its frame's body */
    size_t plan_bytes;
    char *plan_build;         /* the build that gave it; "" = none */
    struct store_file *files; /* [n_files] */
    size_t n_files;
};
void store_model_fini(struct store_model *m);
void store_model_copy(struct store_model *to, const struct store_model *from);

struct store_alias {
    char *alias, *target;
};

/* Everything, as read at the start. */
struct store_content {
    struct store_model *models; /* [n_models] */
    struct store_alias *aliases;
    size_t n_models, n_aliases;
};
void store_content_fini(struct store_content *c);

struct store;

/* Opens or makes DIR/berth.db, mode 0600. set_aside says that a damaged file
 * was found, into set_aside[256] (the sentence; empty otherwise). */
int store_open(struct store **ret, const char *dir, char *set_aside,
               struct err *err) MUST_CHECK;
void store_close(struct store *s);

int store_read(struct store *s, struct store_content *ret,
               struct err *err) MUST_CHECK;
int store_put_model(struct store *s, const struct store_model *m,
                    struct err *err) MUST_CHECK;
/* 0 also when there was none. */
int store_drop_model(struct store *s, const char *id, const char *revision,
                     struct err *err) MUST_CHECK;
/* target NULL drops it. */
int store_put_alias(struct store *s, const char *alias, const char *target,
                    struct err *err) MUST_CHECK;

#endif
