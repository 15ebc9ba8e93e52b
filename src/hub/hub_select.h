/* hub/hub_select.h - which files of a repository berth takes, and whether a
 * snapshot has them all.
 *
 * Judged by names alone: no file is opened. Any thread.
 */
#ifndef HUB_HUB_SELECT_H
#define HUB_HUB_SELECT_H
#include "hub/hub_path.h"
#include <stdint.h>

enum {
    HUB_TAKEN_MAX = 250, /* files of a snapshot: they travel in one frame */
};

struct hub_entry {
    struct str name;
    uint64_t size;
    struct hub_hash hash; /* kind HUB_HASH_NONE: not known */
};

/* Marks take[i] for configuration, tokenizer, README, module folders and one
 * set of weights: model.safetensors, else the shards of model-*-of-*, else what
 * *.safetensors there is, else one *.gguf (with its shards). Returns how many.
 * E_UNSUPPORTED_ARCHITECTURE when there are no such weights; the sentence says
 * what is there instead. */
int hub_select(const struct hub_entry *files, size_t n, bool *take,
               struct err *err) MUST_CHECK;

/* Is everything there that a load needs: config.json (not for GGUF), weights,
 * every shard that the names of shards promise? E_DAMAGED_FILE says what is
 * missing. */
int hub_complete(const struct hub_entry *files, size_t n,
                 struct err *err) MUST_CHECK;

#endif
