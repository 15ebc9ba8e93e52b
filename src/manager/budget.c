/* manager/budget.c - memory that is promised before it is used. */
#include "manager/budget.h"
#include <assert.h>

static const char *const device_names[BUDGET_DEVICES] = {
    "memory", "cuda:0", "cuda:1", "cuda:2", "cuda:3",
    "cuda:4", "cuda:5", "cuda:6", "cuda:7", "xla"};

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

uint64_t budget_free(const struct budget *b, int device)
{
    uint64_t all = b->all.bytes[device], held = b->reserved.bytes[device];
    if (device != BUDGET_HOST && all == 0)
        return UINT64_MAX;
    return all > held ? all - held : 0; /* it was learnt too late */
}

bool budget_fits(const struct budget *b, const struct budget_vector *need)
{
    for (int i = 0; i < BUDGET_DEVICES; i++)
        if (need->bytes[i] > budget_free(b, i))
            return false;
    return true;
}

void budget_learn(struct budget *b, int device, uint64_t bytes)
{
    if (device != BUDGET_HOST)
        b->all.bytes[device] = bytes;
}

int budget_refuse(const struct budget *b, const struct budget_vector *need,
                  const struct budget_vector *room, const char *who,
                  struct err *err)
{
    int i = 0;
    while (i + 1 < BUDGET_DEVICES &&
           (need->bytes[i] <= budget_free(b, i) ||
            (room && need->bytes[i] - budget_free(b, i) <= room->bytes[i])))
        i++;
    const char *where = device_names[i];
    if (room && room->bytes[i])
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "%s needs %.1f MiB of %s; %.1f MiB of the budget of "
                       "%.1f MiB are free, and %.1f MiB more if others made "
                       "room: unload or unpin another model (berth ps), or "
                       "raise \"memory\" in the configuration",
                       who, mib(need->bytes[i]), where, mib(budget_free(b, i)),
                       mib(b->all.bytes[i]), mib(room->bytes[i]));
    return err_set(err, E_INSUFFICIENT_MEMORY,
                   "%s needs %.1f MiB of %s; %.1f MiB of the budget of %.1f "
                   "MiB are free: unload another model (berth ps), or raise "
                   "\"memory\" in the configuration",
                   who, mib(need->bytes[i]), where, mib(budget_free(b, i)),
                   mib(b->all.bytes[i]));
}

int budget_reserve(struct budget *b, const struct budget_vector *need,
                   const char *who, struct err *err)
{
    if (!budget_fits(b, need))
        return budget_refuse(b, need, NULL, who, err);
    budget_add(&b->reserved, need);
    return 0;
}

void budget_return(struct budget *b, const struct budget_vector *need)
{
    for (int i = 0; i < BUDGET_DEVICES; i++) {
        assert(b->reserved.bytes[i] >= need->bytes[i]);
        b->reserved.bytes[i] -= need->bytes[i];
    }
}

void budget_add(struct budget_vector *to, const struct budget_vector *more)
{
    for (int i = 0; i < BUDGET_DEVICES; i++)
        to->bytes[i] += more->bytes[i];
}
