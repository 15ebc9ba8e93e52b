/* manager/removal.h - a model leaves the registry, perhaps with its files. */
#ifndef MANAGER_REMOVAL_H
#define MANAGER_REMOVAL_H
#include "manager/core.h"

/* Unloads, removes what berth may remove, forgets; remove_waiters hear it. */
void removal_begin(struct model *model);

#endif
