/* worker/workload.c - jobs that were taken: started by priority and as there is
 * room, each item answered once. */
#include "base/clock.h"
#include "base/mem.h"
#include "worker/worker.h"
#include <errno.h>
#include <poll.h>

enum { JOB_ARENA_MAX = 16 << 20, MS = 1000000 };

struct job_item {
    struct job *job;
    struct query *query; /* once it has been looked at */
    struct input *inputs;
    bool answered;
};

struct job {
    struct list link;
    struct worker *w;
    uint64_t id, deadline_ns, received_ns, bytes;
    int priority;
    bool stalls;    /* CREDIT has come for it: start nothing without */
    int64_t credit; /* result bytes that the daemon can still hold */
    struct arena arena;
    struct part_map map;
    struct item *items;    /* [n] */
    struct job_item *work; /* [n] */
    size_t n, next, left;  /* next: to be started; left: to be answered */
    struct request *request;
};

static struct job *find(const struct worker *w, uint64_t id)
{
    list_each(at, &w->jobs)
    {
        struct job *j = list_of(at, struct job, link);
        if (j->id == id)
            return j;
    }
    return NULL;
}

static void job_free(struct job *j)
{
    request_close(j->request);
    part_map_fini(&j->map);
    arena_fini(&j->arena);
    free(j);
}

/* Counts an answer; true when that was the last and the job is gone. */
static bool one_less(struct job *j)
{
    struct worker *w = j->w;
    if (--j->left > 0)
        return false;
    list_del(&j->link);
    w->n_jobs--;
    say_credit(w, 1, j->bytes);
    job_free(j);
    return true;
}

static size_t index_of(const struct job_item *it)
{
    return (size_t)(it - it->job->work);
}

/* The item has had its answer. One that fails while it is being started is not
 * started again. */
static bool settle(struct job_item *it)
{
    struct job *j = it->job;
    it->answered = true;
    if (index_of(it) == j->next)
        j->next++;
    return one_less(j);
}

static bool fail_item(struct job_item *it, const struct err *err)
{
    say_error(it->job->w, it->job->id, (int64_t)index_of(it), err);
    return settle(it);
}

static void put_flags(struct wire_map *m, const struct answer *a)
{
    const char *list[3];
    size_t n = 0;
    if (a->truncated)
        list[n++] = "truncated";
    for (size_t i = 0; i < ARRAY_LEN(a->flags); i++)
        if (a->flags[i])
            list[n++] = a->flags[i];
    if (n == 0)
        return;
    wire_key(m, "flags");
    wire_put_array(m->out, n);
    for (size_t i = 0; i < n; i++)
        wire_put_text(m->out, str_of(list[i]));
}

static void put_numbers(struct wire_map *m, const struct job *j,
                        const struct answer *a)
{
    wire_key(m, "usage");
    struct wire_map usage = wire_map_open(m->out);
    wire_kuint(&usage, "tokens", a->tokens);
    wire_map_close(&usage);
    wire_key(m, "times");
    struct wire_map times = wire_map_open(m->out);
    bool waited = a->started_ns > j->received_ns;
    wire_kuint(&times, "queue_ns", waited ? a->started_ns - j->received_ns : 0);
    wire_kuint(&times, "run_ns", a->ended_ns - a->started_ns);
    wire_map_close(&times);
}

/* The vectors of an answer as the one part of an item. */
static void as_part(const struct answer *a, struct part *p)
{
    size_t n = sizeof(float);
    *p = (struct part){.kind = PART_TENSOR, .dtype = str_of("f32")};
    p->rank = a->rank;
    for (int i = 0; i < a->rank; i++) {
        p->shape[i] = a->shape[i];
        n *= (size_t)a->shape[i];
    }
    p->data = str_n(a->data, n);
}

static int say_done(struct job_item *it, const struct answer *a,
                    struct err *err)
{
    struct job *j = it->job;
    struct part part;
    struct item item = {a->data ? 1 : 0, &part};
    int fd = -1;
    if (a->data)
        as_part(a, &part);
    int r = parts_seal(&item, 1, &fd, err);
    if (r < 0)
        return r;
    struct wire_map m = say_begin(j->w, FRAME_DONE, j->id);
    wire_kuint(&m, "item", index_of(it));
    if (a->data) {
        wire_key(&m, "parts");
        parts_put(m.out, &item, fd >= 0, 0);
    }
    if (fd >= 0)
        wire_kuint(&m, "data", part.data.n);
    put_numbers(&m, j, a);
    put_flags(&m, a);
    if (a->tree) {
        wire_key(&m, "result");
        value_put(m.out, a->tree);
    }
    j->credit -= (int64_t)items_bytes(&item, 1);
    r = say_end(j->w, &m, &fd, fd >= 0);
    return r == -E2BIG ? err_set(err, E_TOO_LARGE,
                                 "the answer is too large for one message; ask "
                                 "for less of it (top_k)")
                       : 0;
}

static bool end_item(struct job_item *it)
{
    struct answer a;
    struct err err;
    int r = query_answer(it->query, &a, &err);
    if (r == 0)
        r = say_done(it, &a, &err);
    query_free(it->query);
    it->query = NULL;
    return r < 0 ? fail_item(it, &err) : settle(it);
}

static void on_ended(struct query *q)
{
    end_item(query_owner(q));
}

/* ---- taking ---- */

static int read_inputs(struct job_item *it, const struct item *item,
                       struct err *err)
{
    struct job *j = it->job;
    it->inputs = arena_alloc(&j->arena, item->n_parts, sizeof(*it->inputs));
    if (!it->inputs)
        return err_set(err, ENOMEM, "no memory for an item");
    for (size_t i = 0; i < item->n_parts; i++) {
        const struct part *p = &item->parts[i];
        if (p->kind != PART_TEXT && p->kind != PART_TOKENS)
            return err_set(err, E_UNSUPPORTED_TYPE,
                           "the model takes text or token ids, not %s",
                           p->kind == PART_TENSOR ? "tensors" : "files");
        it->inputs[i] = (struct input){
            .kind = p->kind == PART_TEXT ? INPUT_TEXT : INPUT_TOKENS,
            .role = p->role,
            .data = p->data,
        };
    }
    return query_open(&it->query, j->request, it->inputs, item->n_parts, it,
                      err);
}

static void insert(struct worker *w, struct job *j)
{
    struct list *place = w->jobs.next;
    while (place != &w->jobs &&
           list_of(place, struct job, link)->priority >= j->priority)
        place = place->next;
    list_add(place, &j->link);
    w->n_jobs++;
}

/* What is wrong with the job as a whole; its frame was well-formed. */
static int open_request(struct job *j, const struct frame *f, struct err *err)
{
    const struct wire_node *params = wire_get(f->body, "params");
    const struct value *tree = NULL;
    struct worker *w = j->w;
    if (w->draining)
        return err_set(err, E_DRAINING, "the model is being unloaded");
    if (w->phase != WORKER_SERVING)
        return err_set(err, E_LOADING, "the model is still loading");
    if (w->n_jobs >= WORKER_JOBS)
        return err_set(err, E_QUEUE_FULL, "more than %d jobs at once",
                       WORKER_JOBS);
    if (j->n == 0)
        return err_set(err, E_INVALID_REQUEST, "there is nothing to work on");
    int r = params ? value_read(params, &j->arena, &tree, err) : 0;
    if (r == 0)
        r = request_open(&j->request, w->pipeline, wire_text(f->body, "task"),
                         tree, err);
    if (r < 0)
        return r;
    j->work = arena_alloc(&j->arena, j->n, sizeof(*j->work));
    return j->work ? 0 : err_set(err, ENOMEM, "no memory for a job");
}

static struct job *job_new(struct worker *w, const struct frame *f)
{
    struct job *j = mem_new(struct job);
    j->w = w;
    j->id = f->job;
    j->received_ns = clock_now_ns();
    j->deadline_ns = wire_uint(f->body, "deadline_ns", 0);
    j->priority = (int)wire_uint(f->body, "priority", 0);
    j->arena.max = JOB_ARENA_MAX;
    return j;
}

int jobs_take(struct worker *w, struct frame *f, struct err *err)
{
    if (f->job == 0 || find(w, f->job))
        return err_set(err, E_INVALID_REQUEST,
                       "a JOB with a number that is 0 or taken");
    struct job *j = job_new(w, f);
    int r = items_read(f, &j->arena, &j->map, &j->items, &j->n, err);
    if (r < 0 && r != -ENOMEM) {
        job_free(j);
        return r;
    }
    j->bytes = items_bytes(j->items, j->n);
    struct err why = *err;
    if (r == 0)
        r = open_request(j, f, &why);
    if (r < 0) {
        say_error(w, f->job, -1, &why);
        say_credit(w, 1, j->bytes);
        job_free(j);
        return 0;
    }
    for (size_t i = 0; i < j->n; i++)
        j->work[i].job = j;
    j->left = j->n;
    insert(w, j);
    return 0;
}

/* ---- running ---- */

/* The next step of the job's next item. True when the job is gone. */
static bool step(struct job *j)
{
    struct job_item *it = &j->work[j->next];
    struct err err;
    int r = 0;
    if (!it->query) {
        r = read_inputs(it, &j->items[j->next], &err);
        if (r < 0)
            return fail_item(it, &err);
    }
    r = query_step(it->query, &err);
    if (r > 0)
        return false;
    j->next++;
    return !query_busy(it->query) && end_item(it);
}

static bool may_start(const struct job *j)
{
    return j->next < j->n && (!j->stalls || j->credit > 0);
}

/* Ends all items from one on that have not been answered. */
static void give_up(struct job *j, size_t from, const struct err *why)
{
    j->next = j->n;
    j->left++; /* so that it outlives the loop */
    for (size_t i = from; i < j->n; i++) {
        struct job_item *it = &j->work[i];
        if (it->answered)
            continue;
        if (!it->query) {
            fail_item(it, why);
            continue;
        }
        query_cancel(it->query, why);
        if (!query_busy(it->query))
            end_item(it);
    }
    one_less(j);
}

/* What has not been started when the job's time is up, or not all of it. */
static void expire(struct job *j, uint64_t now)
{
    struct err err;
    if (!j->deadline_ns || now < j->deadline_ns || j->next == j->n)
        return;
    err_set(&err, E_DEADLINE,
            "the deadline passed while the input waited for its turn");
    give_up(j, j->next, &err);
}

static bool has_room(const struct worker *w)
{
    return pipeline_room(w->pipeline) && !channel_wants_write(w->channel);
}

void jobs_run(struct worker *w)
{
    if (w->phase != WORKER_SERVING)
        return;
    pipeline_reap(w->pipeline, on_ended);
    uint64_t now = clock_now_ns();
    list_each(at, &w->jobs) expire(list_of(at, struct job, link), now);
    list_each(at, &w->jobs)
    {
        struct job *j = list_of(at, struct job, link);
        while (has_room(w) && may_start(j))
            if (step(j))
                break;
        if (!has_room(w))
            return;
    }
}

int jobs_timeout(const struct worker *w)
{
    uint64_t first = UINT64_MAX, now = clock_now_ns();
    list_each(at, &w->jobs)
    {
        const struct job *j = list_of(at, struct job, link);
        if (j->deadline_ns && j->next < j->n && j->deadline_ns < first)
            first = j->deadline_ns;
    }
    if (first == UINT64_MAX)
        return -1;
    uint64_t ms = first > now ? (first - now) / MS + 1 : 0;
    return ms < 60000 ? (int)ms : 60000;
}

static void cancel(struct job *j)
{
    struct err err;
    err_set(&err, E_CANCELLED, "the job was cancelled");
    give_up(j, 0, &err);
}

void jobs_cancel(struct worker *w, uint64_t id)
{
    struct job *j = find(w, id);
    if (j)
        cancel(j);
}

void jobs_credit(struct worker *w, uint64_t id, uint64_t bytes)
{
    struct job *j = find(w, id);
    if (!j)
        return;
    j->stalls = true;
    if (bytes < INT64_MAX / 4 && j->credit < INT64_MAX / 4)
        j->credit += (int64_t)bytes;
}

void jobs_end(struct worker *w)
{
    list_each(at, &w->jobs) cancel(list_of(at, struct job, link));
    for (;;) { /* first look, then wait: the loop may have been woken already */
        struct pollfd p = {w->wake_fd, POLLIN, 0};
        if (w->pipeline)
            pipeline_reap(w->pipeline, on_ended);
        if (list_empty(&w->jobs) || (poll(&p, 1, -1) < 0 && errno != EINTR))
            return;
        worker_awake(w);
    }
}
