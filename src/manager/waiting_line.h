/* manager/waiting_line.h - the jobs of a deployment that wait, and which is
 * next.
 *
 * Higher priority first; within one priority callers take turns by how much
 * they have been given; within one caller the earliest deadline first, then the
 * order of arrival. The queue does not own the jobs.
 */
#ifndef MANAGER_WAITING_LINE_H
#define MANAGER_WAITING_LINE_H
#include "base/list.h"
#include <stdint.h>

struct job;

struct waiting_line {
    struct list callers; /* those with jobs, in order of their first */
    uint32_t n;
    uint64_t bytes;
    uint64_t given; /* the share of whom was served last */
};

void line_init(struct waiting_line *q);
void line_push(struct waiting_line *q, struct job *j);
/* The one to run next; it stays. NULL: none. */
struct job *line_next(const struct waiting_line *q);
/* Takes it out because it runs (its caller is charged), or is dropped. */
void line_take(struct waiting_line *q, struct job *j);
void line_drop(struct waiting_line *q, struct job *j);
/* Any one, for emptying; NULL: none. */
struct job *line_any(const struct waiting_line *q);

#endif
