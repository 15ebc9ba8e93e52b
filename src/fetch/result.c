/* fetch/result.c - pieces of results. */
#include "fetch/result.h"
#include <stdio.h>

void result_file(struct buf *out, struct str name, uint64_t size,
                 const struct hub_hash *hash)
{
    struct wire_map f = wire_map_open(out);
    wire_ktext(&f, "name", name);
    wire_kuint(&f, "size", size);
    wire_kz(&f, "hash", hash->hex);
    wire_kz(&f, "kind", hub_hash_name(hash->kind));
    wire_map_close(&f);
}

void result_snapshot(struct wire_map *m, const struct fetch_params *p,
                     const char *commit)
{
    char folder[HUB_FOLDER_MAX], path[FS_PATH_MAX + 2 * HUB_FOLDER_MAX];
    hub_folder_name(p->name.id, folder);
    snprintf(path, sizeof(path), "%s/%s/snapshots/%s", p->cache, folder,
             commit);
    wire_kz(m, "snapshot", path);
}
