/* manager/budget.h - memory that is promised before it is used.
 *
 * A reservation is a vector with one place for each device; the host is the
 * first and, today, the only one. Reserve, then spawn; returned when the
 * process has been reaped.
 */
#ifndef MANAGER_BUDGET_H
#define MANAGER_BUDGET_H
#include "base/err.h"
#include <stdint.h>

enum { BUDGET_HOST, BUDGET_DEVICES };

struct budget_vector {
    uint64_t bytes[BUDGET_DEVICES];
};

struct budget {
    struct budget_vector all, reserved;
};

uint64_t budget_free(const struct budget *b, int device);
/* E_INSUFFICIENT_MEMORY with the numbers; then nothing is reserved. */
int budget_reserve(struct budget *b, const struct budget_vector *need,
                   const char *who, struct err *err) MUST_CHECK;
void budget_return(struct budget *b, const struct budget_vector *need);

#endif
