/* manager/events.h - what happened: the last 1,024 events, and who listens.
 *
 * Listeners are called later, never from inside the move that is published.
 */
#ifndef MANAGER_EVENTS_H
#define MANAGER_EVENTS_H
#include "base/list.h"
#include "manager/manager.h"

enum { EVENTS_KEPT = 1024 };

struct event_name; /* of a model, shared by the events in a row about it */

struct event_kept {
    struct manager_event e;
    struct event_name *name;
    char *strings; /* reason and file, in one block; NULL: both "" */
};

struct events {
    struct event_kept *ring; /* [EVENTS_KEPT], seq modulo */
    uint64_t last;           /* seq of the newest; 0 = none yet */
    struct list listeners;
    bool telling;
};

void events_init(struct events *ev);
void events_fini(struct events *ev);
/* Numbers and keeps a copy. NULL strings become ""; type, from and to must be
 * literals. */
void events_add(struct events *ev, const struct manager_event *e);
/* Is there anything that a listener has not been told? */
bool events_waiting(const struct events *ev);
/* Tells every listener what it has not been told. */
void events_tell(struct events *ev);

struct manager_subscription *events_listen(struct events *ev, uint64_t since,
                                           manager_event_fn *fn, void *ctx);
void events_unlisten(struct events *ev, struct manager_subscription *s);

#endif
