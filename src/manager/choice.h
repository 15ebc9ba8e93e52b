/* manager/choice.h - which kind of inference server serves a model, why, and
 * what memory that takes.
 */
#ifndef MANAGER_CHOICE_H
#define MANAGER_CHOICE_H
#include "manager/budget.h"
#include "manager/plans.h"
#include "manager/wanted.h"

enum { CHOICE_REASON_MAX = 320 };

struct choice {
    enum backend backend; /* AUTO: none serves it, reason says why */
    char
        reason[CHOICE_REASON_MAX]; /* "native: everything in it is supported" */
    struct budget_vector need;
};

/* Native where it can do all that is wanted, else Transformers where that is
 * installed. On failure ret says why, too. E_UNSUPPORTED_ARCHITECTURE,
 * E_UNSUPPORTED_OPTION: what is wanted can not be had, and what helps. */
int choice_make(struct manager *m, const struct wanted *want,
                const struct plan *plan, const char *name, struct choice *ret,
                struct err *err) MUST_CHECK;
/* The budget's place of a device. "auto" counts on the host: what it turned out
 * to be is known when the weights are there already. */
int choice_device(const char *device);
/* What an interpreter takes that has no model yet. */
uint64_t choice_standby_bytes(void);

#endif
