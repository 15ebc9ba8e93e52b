/* hub/hub_path.h - the one judge of names and hashes that come from a hub.
 *
 * Nothing else may turn a string from the wire into a path. Any thread.
 */
#ifndef HUB_HUB_PATH_H
#define HUB_HUB_PATH_H
#include "base/err.h"
#include "base/str.h"

enum {
    HUB_PATH_MAX = 512,      /* bytes of a file's name in its repository */
    HUB_COMPONENT_MAX = 255, /* between two slashes */
    HUB_DEPTH_MAX = 16,
    HUB_FILES_MAX = 10000, /* of a repository */
    HUB_HEX_MAX = 65,      /* 64 digits and a NUL */
};

/* Accepts a relative name of plain components in valid UTF-8: no "", ".", "..",
 * no '\', ':', control character or NUL, none that ends in a space or '.', none
 * that begins with ".git" (any case), none longer than the limits above. */
int hub_path_check(struct str name, struct err *err) MUST_CHECK;

/* Names that a file system without case would take for one another, or a file
 * that another name uses as a folder. names: [n], each accepted above. */
int hub_paths_check(const struct str *names, size_t n,
                    struct err *err) MUST_CHECK;

enum hub_hash_kind { HUB_HASH_NONE, HUB_SHA1_GIT, HUB_SHA256 };

/* What a file's bytes must hash to, and what its blob is called. */
struct hub_hash {
    enum hub_hash_kind kind;
    char hex[HUB_HEX_MAX];
};

/* Exactly 40 or 64 lower-case hexadecimal digits; false for anything else. */
bool hub_hash_parse(struct str text, struct hub_hash *ret);
/* As it stands in an ETag or X-Linked-ETag header: "..." or W/"...". */
bool hub_etag_parse(struct str header, struct hub_hash *ret);
const char *hub_hash_name(enum hub_hash_kind kind); /* "sha256", "git-sha1" */

#endif
