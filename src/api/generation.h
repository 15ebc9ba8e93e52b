/* api/generation.h - one job whose answer is text, made token by token: told
 * whole at its end, or streamed as it is made.
 *
 * A stream begins with its first chunk, so that an error before it has its own
 * status; or after GENERATION_WAIT_S, with pings, so that nobody thinks it
 * dead. What the reader has not yet taken stays with the worker: a slow reader
 * stalls its own stream and nothing else. A client that leaves cancels the job.
 * Owns itself from generation_submit() on.
 */
#ifndef API_GENERATION_H
#define API_GENERATION_H
#include "api/infer.h"

enum { GENERATION_LISTS = 4, GENERATION_WAIT_S = 15 };

/* One item of the job: a choice, or the answer to one of several prompts. */
struct generation_item {
    struct str text; /* of DONE; owned */
    char finish[16]; /* "stop", "stop_sequence", "length" */
    bool sampled;    /* and with this seed */
    int64_t seed;
    uint64_t tokens, generated;
    bool began;
    /* The protocol's. Whole: its tokens as it writes them, made as they come,
     * so that the end is only copying. Streamed: what it holds back. */
    struct buf list[GENERATION_LISTS];
    size_t n_told, characters; /* tokens so far, code points of their texts */
};

struct generation;

/* What a protocol makes of it. data: of one event; the callee's buf stays its
 * own. */
struct generation_form {
    enum api_proto proto;
    /* Whole: a token (of the prompt, of the answer) to the item's lists. */
    void (*token)(struct generation *g, struct generation_item *i,
                  const struct wire_node *token, bool of_prompt);
    /* Whole: piece number at of the answer: 0, one for each item, n + 1. */
    void (*write)(struct generation *g, size_t at, struct buf *out);
    /* Streamed, by generation_event(): what came for an item; its end; the end
     * of all. tokens: an array, or NULL. */
    void (*chunk)(struct generation *g, size_t item, struct str text,
                  const struct wire_node *tokens);
    void (*ended)(struct generation *g, size_t item);
    void (*last)(struct generation *g); /* or NULL */
};

struct generation {
    struct stream stream; /* streamed, once begun */
    struct api *api;
    struct http_request *r;
    const struct generation_form *form;
    char model[MANAGER_NAME_MAX], id[48], backend[INFER_BACKEND_MAX];
    uint64_t job, created_s;
    struct generation_item *items; /* [n] */
    size_t n;
    bool streams, begun;
    size_t n_events, held; /* held: bytes of the items' lists and texts */
    uint64_t owed;         /* bytes of chunks written and not given back */
    struct loop_timer wait;
    /* The protocol's. */
    bool logprobs, usage, details, single;
    unsigned top;
    size_t choices;
    size_t at; /* the next piece of a whole answer */
    struct buf head;
};

struct generation_job {
    const struct generation_form *form;
    const char *model, *task;
    const char *id_prefix; /* "chatcmpl-"; "" */
    struct str params;
    struct inputs in;
    bool streams, tokens; /* tokens: their log-probabilities are wanted */
    bool usage, details;
    unsigned top;
    size_t choices; /* items in a row that answer the same prompt */
};

/* Submits, or answers with the error. */
void generation_submit(const struct call *c, const struct generation_job *job);

/* One event of a stream. */
void generation_event(struct generation *g, const struct buf *data);

#endif
