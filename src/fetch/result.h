/* fetch/result.h - what several jobs put into their results. */
#ifndef FETCH_RESULT_H
#define FETCH_RESULT_H
#include "fetch/session.h"
#include "hub/hub_path.h"

/* {name, size, hash, kind} */
void result_file(struct buf *out, struct str name, uint64_t size,
                 const struct hub_hash *hash);
/* snapshot: its path */
void result_snapshot(struct wire_map *m, const struct fetch_params *p,
                     const char *commit);

#endif
