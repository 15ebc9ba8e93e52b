/* manager/files.h - a model's open files on their way into a child. */
#ifndef MANAGER_FILES_H
#define MANAGER_FILES_H
#include "manager/child.h"

/* Copies with descriptors of their own. */
int files_dup(struct cache_files *to, const struct cache_files *from,
              struct err *err) MUST_CHECK;
/* What LOAD says beside the files. folder NULL: they go as descriptors; else by
 * their names beneath it, and of the model root may be read. */
struct files_load {
    const char *model, *revision, *dtype, *device;
    const char *folder, *root, *task;
    uint64_t memory;
};
/* LOAD with the files; they are gone from *files afterwards. */
int files_send(struct child *c, const struct files_load *load,
               struct cache_files *files, struct err *err) MUST_CHECK;
uint64_t files_bytes(const struct cache_files *files);
/* Are these the files that were recorded, unchanged? */
bool files_as_recorded(const struct cache_files *files,
                       const struct store_model *m);
/* Records them in m, with the hashes that their blobs are named by. */
void files_record(const struct cache_files *files, struct store_model *m);

#endif
