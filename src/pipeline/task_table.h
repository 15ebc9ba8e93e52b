/* pipeline/task_table.h - what a task is made of. Private to this folder.
 *
 * A task reads parameters once for a request, says how many sequences a query
 * needs, fills one slot for each, and takes each slot's output when it has run;
 * from all of them it makes the answer.
 */
#ifndef PIPELINE_TASK_TABLE_H
#define PIPELINE_TASK_TABLE_H
#include "pipeline/embedder.h"
#include "pipeline/pipeline.h"
#include "token/tokenizer.h"

enum {
    QUERY_BYTES_MAX = 256 << 20, /* arena of one query */
    TARGETS_MAX = 1024,
};

struct text_params {
    bool truncate, left;
    const struct prompt *prompt; /* NULL = none */
};

struct request {
    struct pipeline *p;
    const struct task *task;
    struct text_params text;
    bool normalize, pooled;  /* feature-extraction */
    bool specials;           /* tokenize */
    uint32_t top_k;          /* fill-mask */
    const uint32_t *targets; /* [n_targets] token ids, no duplicates */
    size_t n_targets;        /* 0 = the whole vocabulary */
    const char *flags[2];    /* what to say with each answer; NULL = nothing */
    struct arena arena;
};

/* One sequence on its way through the engine. Reused. */
struct slot {
    struct engine_seq seq;
    struct encoding enc;
    struct query *query;
    size_t index; /* which sequence of its query */
    uint32_t row; /* where one row is enough: seq.rows may point here */
    float *out;   /* [out_cap] */
    size_t out_cap, bytes;
    int code;                     /* as done() said */
    struct slot *next;            /* in the free or the ended list */
    struct slot *q_prev, *q_next; /* under way for the same query */
};

struct query {
    struct request *req;
    const struct input *inputs;
    size_t n_inputs;
    void *owner;
    size_t n_sequences, n_started, n_under_way;
    struct slot *slots; /* under way */
    struct err failed;  /* code 0 = not */
    struct arena arena;
    struct answer answer;
    float *data; /* the task's, freed with the query */
    void *state; /* the task's, in the arena */
};

struct task {
    const char *name;
    /* Whether this model can do it. */
    bool (*fits)(const struct pipeline *p);
    /* One parameter; 0, or -ENOENT when its name is unknown here. */
    int (*param)(struct request *r, const struct value *v, struct err *err);
    void (*defaults)(struct request *r);
    /* Checks the inputs, sets n_sequences; 0: the answer is there already. */
    int (*begin)(struct query *q, struct err *err);
    /* Sets seq.ids, n, output and, where not all are wanted, rows and
     * n_rows. */
    int (*prepare)(struct query *q, struct slot *slot, struct err *err);
    int (*collect)(struct query *q, struct slot *slot, struct err *err);
    /* After the last collect; NULL: nothing left to do. */
    int (*finish)(struct query *q, struct err *err);
};

extern const struct task task_feature_extraction, task_sentence_similarity,
    task_fill_mask, task_tokenize;

struct pipeline {
    struct engine *engine;
    struct tokenizer *tokenizer;
    struct embedder embedder;
    struct pipeline_info info;
    const char *tasks[8];
    uint32_t cut_tokens; /* where a text is cut when that is allowed */
    void (*wake)(void *ctx);
    void *wake_ctx;
    struct slot *free_slots;
    size_t n_slots, max_slots;
    size_t bytes, max_bytes; /* of outputs under way */
    size_t tokens, max_tokens;
    _Atomic(struct slot *) ended;
};

/* Input i as tokens with special tokens, the prompt before it, cut or refused
 * at the model's limit: seq.ids and seq.n. */
int text_encode(struct query *q, size_t i, struct slot *slot,
                struct err *err) MUST_CHECK;
int input_too_long(size_t n, uint32_t limit, struct err *err);
/* The rows that the model's pooling reads, and what it makes of them: [dim]. */
void embed_rows(struct query *q, struct slot *slot);
int embed_run(struct query *q, struct slot *slot, float *out,
              struct err *err) MUST_CHECK;

/* Parameters that several tasks share; -ENOENT when v is none of them. */
int text_param(struct request *r, const struct value *v,
               struct err *err) MUST_CHECK;
/* v as a bool; E_INVALID_REQUEST with its name otherwise. */
int param_bool(const struct value *v, bool *ret, struct err *err) MUST_CHECK;
int param_wrong(const struct value *v, const char *want, struct err *err);

int no_memory(struct err *err);

#endif
