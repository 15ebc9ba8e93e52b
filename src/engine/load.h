/* engine/load.h - the weights of a plan, read and packed into memory. */
#ifndef ENGINE_LOAD_H
#define ENGINE_LOAD_H
#include "arch/plan.h"
#include "engine/engine.h"

/* An anonymous mapping, zeroed, on huge pages where the system has them. */
struct block {
    float *at;
    void *map;
    size_t bytes; /* of the mapping */
};

int block_open(struct block *b, size_t floats, bool huge,
               struct err *err) MUST_CHECK;
void block_close(struct block *b); /* NULL at is fine */

/* Loads all of plan->loads into weights, on the crew's threads, which must be
 * idle and are idle again after it. */
int load_weights(float *weights, const struct plan *plan, struct crew *crew,
                 engine_progress_fn *progress, void *ctx,
                 struct err *err) MUST_CHECK;

#endif
