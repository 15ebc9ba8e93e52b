/* manager/files.h - a model's open files on their way into a child. */
#ifndef MANAGER_FILES_H
#define MANAGER_FILES_H
#include "manager/child.h"

/* Copies with descriptors of their own. */
int files_dup(struct cache_files *to, const struct cache_files *from,
              struct err *err) MUST_CHECK;
/* LOAD with the files; they are gone from *files afterwards. */
int files_send(struct child *c, const char *model, const char *revision,
               const char *dtype, const char *device, struct cache_files *files,
               struct err *err) MUST_CHECK;
uint64_t files_bytes(const struct cache_files *files);
/* Are these the files that were recorded, unchanged? */
bool files_as_recorded(const struct cache_files *files,
                       const struct store_model *m);
/* Records them in m, with the hashes that their blobs are named by. */
void files_record(const struct cache_files *files, struct store_model *m);

#endif
