/* manager/pulls.h - models that come from the Hub. */
#ifndef MANAGER_PULLS_H
#define MANAGER_PULLS_H
#include "manager/core.h"

/* E_CANCELLED for whoever waits; partial files stay. */
void pull_cancel(struct pull *p);

#endif
