/* manager/budget.c - memory that is promised before it is used. */
#include "manager/budget.h"
#include <assert.h>

static const char *const device_names[BUDGET_DEVICES] = {"memory"};

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

uint64_t budget_free(const struct budget *b, int device)
{
    return b->all.bytes[device] - b->reserved.bytes[device];
}

int budget_reserve(struct budget *b, const struct budget_vector *need,
                   const char *who, struct err *err)
{
    for (int i = 0; i < BUDGET_DEVICES; i++)
        if (need->bytes[i] > budget_free(b, i))
            return err_set(
                err, E_INSUFFICIENT_MEMORY,
                "%s needs %.1f MiB of %s; %.1f MiB of the budget of %.1f MiB "
                "are free: unload another model (berth ps), or raise "
                "\"memory\" "
                "in the configuration",
                who, mib(need->bytes[i]), device_names[i],
                mib(budget_free(b, i)), mib(b->all.bytes[i]));
    for (int i = 0; i < BUDGET_DEVICES; i++)
        b->reserved.bytes[i] += need->bytes[i];
    return 0;
}

void budget_return(struct budget *b, const struct budget_vector *need)
{
    for (int i = 0; i < BUDGET_DEVICES; i++) {
        assert(b->reserved.bytes[i] >= need->bytes[i]);
        b->reserved.bytes[i] -= need->bytes[i];
    }
}
