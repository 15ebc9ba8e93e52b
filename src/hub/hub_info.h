/* hub/hub_info.h - what a hub says about a repository, read out of its JSON.
 *
 * GET /api/models/{id}/revision/{revision}?blobs=true. Every field is outside
 * data: checked names, checked hashes, bounded counts and sizes. Any thread.
 */
#ifndef HUB_HUB_INFO_H
#define HUB_HUB_INFO_H
#include "base/arena.h"
#include "hub/hub_name.h"
#include "hub/hub_select.h"

enum {
    HUB_JSON_MAX = 32 << 20,
    HUB_JSON_DEPTH = 64,
};

/* Everything lives in the arena that it was read into. */
struct hub_info {
    char commit[HUB_COMMIT_MAX];
    struct hub_entry *files; /* [n_files] sizes and hashes as the hub says */
    size_t n_files;
    bool gated, private, disabled;
    struct str licence; /* cardData.license; "" when there is none */
};

int hub_info_read(struct str json, struct arena *a, struct hub_info *ret,
                  struct err *err) MUST_CHECK;

#endif
