/* manager/waiting_line.c - the jobs of a deployment that wait, and which is
 * next.
 *
 * Each caller has a list of its jobs, sorted. Fairness is start-time fair
 * queueing: a caller that comes anew starts at the share of whom was served
 * last, so it can neither save up nor be starved.
 */
#include "manager/waiting_line.h"
#include "base/mem.h"
#include "manager/jobs.h"

enum { BYTES_PER_SHARE = 256 };

struct line_caller {
    struct list link; /* in queue.callers */
    struct list jobs; /* sorted */
    uint64_t given;
    char *name;
};

void line_init(struct waiting_line *q)
{
    *q = (struct waiting_line){0};
    list_init(&q->callers);
}

static struct line_caller *caller_of(struct waiting_line *q, const char *name)
{
    list_each(at, &q->callers)
    {
        struct line_caller *c = list_of(at, struct line_caller, link);
        if (!strcmp(c->name, name))
            return c;
    }
    struct line_caller *c = mem_new(struct line_caller);
    c->name = mem_strdup(name);
    c->given = q->given;
    list_init(&c->jobs);
    list_add(&q->callers, &c->link);
    return c;
}

/* Does a run before b, of the same caller? */
static bool before(const struct job *a, const struct job *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority;
    if (a->deadline_ns != b->deadline_ns)
        return a->deadline_ns < b->deadline_ns;
    return a->id < b->id;
}

static struct job *job_at(const struct list *l)
{
    return list_of(l, struct job, link);
}

void line_push(struct waiting_line *q, struct job *j)
{
    struct line_caller *c = caller_of(q, j->caller);
    struct list *place = &c->jobs;
    while (place->prev != &c->jobs && before(j, job_at(place->prev)))
        place = place->prev;
    list_add(place, &j->link);
    j->queued_by = c;
    q->n++;
    q->bytes += j->held;
}

struct job *line_next(const struct waiting_line *q)
{
    struct line_caller *best = NULL;
    int priority = -1;
    list_each(at, &q->callers)
    {
        struct line_caller *c = list_of(at, struct line_caller, link);
        int p = job_at(c->jobs.next)->priority;
        if (p > priority || (p == priority && c->given < best->given)) {
            best = c;
            priority = p;
        }
    }
    return best ? job_at(best->jobs.next) : NULL;
}

void line_take(struct waiting_line *q, struct job *j)
{
    struct line_caller *c = j->queued_by;
    if (c->given > q->given)
        q->given = c->given;
    c->given += 1 + j->bytes / BYTES_PER_SHARE;
    line_drop(q, j);
}

void line_drop(struct waiting_line *q, struct job *j)
{
    struct line_caller *c = j->queued_by;
    list_del(&j->link);
    j->queued_by = NULL;
    q->n--;
    q->bytes -= j->held;
    if (!list_empty(&c->jobs))
        return;
    list_del(&c->link);
    free(c->name);
    free(c);
}

struct job *line_any(const struct waiting_line *q)
{
    if (list_empty(&q->callers))
        return NULL;
    return job_at(
        list_of(q->callers.next, struct line_caller, link)->jobs.next);
}
