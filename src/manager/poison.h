/* manager/poison.h - requests that ended their inference server, alone.
 *
 * Tried again, they would end it again: for ten minutes the same request is
 * refused. Known by a hash of model, task, parameters and input, with a key of
 * its own in each daemon, so that nobody can make another's request look so.
 */
#ifndef MANAGER_POISON_H
#define MANAGER_POISON_H
#include "manager/manager.h"

enum { POISON_MAX = 64 }; /* the oldest is forgotten first */

struct poison {
    struct {
        uint64_t hash, until_ns;
    } all[POISON_MAX];
    unsigned n, next;
    uint64_t key;
};

/* What is asked of a model. */
struct poison_request {
    const char *model, *task;
    struct str params;
    const struct item *items;
    size_t n_items;
};

void poison_init(struct poison *p, uint64_t random);
void poison_add(struct poison *p, const struct poison_request *request,
                uint64_t now_ns);
/* E_WORKER_CRASHED for one that is known. */
int poison_check(const struct poison *p, const struct poison_request *request,
                 uint64_t now_ns, struct err *err) MUST_CHECK;

#endif
