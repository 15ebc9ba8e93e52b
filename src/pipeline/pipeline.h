/* pipeline/pipeline.h - text in, labelled results out: a loaded model, its
 * tokenizer and the tasks that it does.
 *
 * A job is one request (task and parameters, shared) and a query for each of
 * its items. A query takes one or more sequences through the engine; how many
 * are under way at once is bounded in slots and bytes, so the owner asks for
 * room before each step:
 *
 *     while (pipeline_room(p) && query_step(q, &err) > 0)
 *         ;
 *
 * Sequences end on compute threads, which call wake(); the owner's thread then
 * calls pipeline_reap(), which hands back each query whose last sequence has
 * ended. Everything but wake() happens in the owner's thread.
 */
#ifndef PIPELINE_PIPELINE_H
#define PIPELINE_PIPELINE_H
#include "engine/engine.h"
#include "pipeline/value.h"

struct pipeline;
struct request;
struct query;

struct pipeline_options {
    int threads;
    uint32_t isa;
    struct crew *crew;       /* for the engine; NULL = its own threads */
    void (*wake)(void *ctx); /* from a compute thread; must not block */
    engine_progress_fn *progress;
    void *ctx; /* of both */
};

/* Reads the tokenizer, the sentence-transformers modules and the weights. The
 * snapshot is not used afterwards. */
int pipeline_open(struct pipeline **ret, const struct snapshot *s,
                  const struct pipeline_options *options,
                  struct err *err) MUST_CHECK;
/* What of the tokenizer and the modules could not be opened, before a byte of
 * weights is read. Files that are not there are not missed. */
int pipeline_check(const struct snapshot *s, struct err *err) MUST_CHECK;
void pipeline_close(
    struct pipeline *p); /* no query may be left; NULL is fine */

struct pipeline_info {
    const char *const *tasks; /* NULL-terminated; [0] is the default */
    uint32_t dim;             /* of an embedding; 0 = the model makes none */
    uint32_t max_tokens;      /* of an item, special tokens included */
    struct engine_info engine;
};
const struct pipeline_info *pipeline_info(const struct pipeline *p);
/* What a protocol wants to know beside (ipc/task.h); NULL: out of memory. */
const struct value *pipeline_extra(const struct pipeline *p, struct arena *a);
int pipeline_progress(const struct pipeline *p, uint64_t *counters, int cap);

/* The names of every task that this build knows, NULL-terminated. */
const char *const *pipeline_tasks(void);

/* E_UNSUPPORTED_TASK, E_UNSUPPORTED_OPTION, E_INVALID_REQUEST. params may be
 * NULL and are not kept. */
int request_open(struct request **ret, struct pipeline *p, struct str task,
                 const struct value *params, struct err *err) MUST_CHECK;
/* After its queries; NULL is fine. */
void request_close(struct request *r);

enum input_kind { INPUT_TEXT, INPUT_TOKENS };
struct input {
    enum input_kind kind;
    struct str role; /* "" = none */
    struct str data; /* UTF-8, or u32 little-endian */
};

/* One item. The inputs must stay until query_free(). */
int query_open(struct query **ret, struct request *r,
               const struct input *inputs, size_t n, void *owner,
               struct err *err) MUST_CHECK;
void *query_owner(const struct query *q);
/* Not while a sequence of it is under way. */
void query_free(struct query *q);

bool pipeline_room(const struct pipeline *p);
/* Starts the next sequence. 1: there are more; 0: that was the last, or none is
 * needed; negative: the item has failed. The query comes back from
 * pipeline_reap() if query_busy(), and else is the owner's to end. */
int query_step(struct query *q, struct err *err) MUST_CHECK;
bool query_busy(const struct query *q);
/* Ends soon: with why from query_answer(), unless it has failed before. */
void query_cancel(struct query *q, const struct err *why);

/* Calls ended() for each query that has nothing under way any more and is not
 * waiting for another step. */
void pipeline_reap(struct pipeline *p, void (*ended)(struct query *q));

struct answer {
    const float *data; /* f32 [shape[0]]...; NULL = none */
    int rank;
    int64_t shape[2];
    const struct value *tree; /* NULL = none */
    bool truncated;
    const char *flags[2]; /* what else to say; NULL = nothing */
    uint64_t tokens;
    uint64_t started_ns, ended_ns;
};
/* Of an ended query. The answer lives until query_free(). A negative code: the
 * item has failed, and err says why. */
int query_answer(struct query *q, struct answer *ret,
                 struct err *err) MUST_CHECK;

#endif
