/* manager/budget.h - memory that is promised before it is used.
 *
 * A reservation is a vector with one place for the host and one for each
 * device. Reserve, then spawn; returned when the process has been reaped.
 *
 * The daemon does not know what memory a device has until the first process on
 * it has said so (READY's limits): until then every reservation there fits, and
 * the library's own refusal is the limit.
 */
#ifndef MANAGER_BUDGET_H
#define MANAGER_BUDGET_H
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    BUDGET_HOST,
    BUDGET_CUDA,                  /* cuda:0, and seven more */
    BUDGET_XLA = BUDGET_CUDA + 8, /* all of its chips together */
    BUDGET_DEVICES,
};

struct budget_vector {
    uint64_t bytes[BUDGET_DEVICES];
};

struct budget {
    struct budget_vector all; /* of a device: 0 = not known */
    struct budget_vector reserved;
};

/* UINT64_MAX on a device of which nothing is known. */
uint64_t budget_free(const struct budget *b, int device);
bool budget_fits(const struct budget *b, const struct budget_vector *need);
/* A device turned out to have so much. */
void budget_learn(struct budget *b, int device, uint64_t bytes);
/* E_INSUFFICIENT_MEMORY with the numbers; then nothing is reserved. */
int budget_reserve(struct budget *b, const struct budget_vector *need,
                   const char *who, struct err *err) MUST_CHECK;
/* That refusal's sentence. room: what could be had by unloading others. */
int budget_refuse(const struct budget *b, const struct budget_vector *need,
                  const struct budget_vector *room, const char *who,
                  struct err *err);
void budget_return(struct budget *b, const struct budget_vector *need);
void budget_add(struct budget_vector *to, const struct budget_vector *more);

#endif
