/* api/openai_text.h - what chat and completions have in common: the options of
 * a request, the head of an answer and of a chunk, finish reasons, usage.
 */
#ifndef API_OPENAI_TEXT_H
#define API_OPENAI_TEXT_H
#include "api/generation.h"

enum { OPENAI_CHOICES_MAX = 128, OPENAI_TOP_MAX = 20, OPENAI_STOP_MAX = 16 };

/* A request while it is read; its strings live until the handler returns. */
struct openai_text {
    struct arena arena;
    struct buf params;
    struct wire_map map; /* into params */
    char model[MANAGER_NAME_MAX];
    struct generation_job job;
};
void openai_text_init(struct openai_text *t);
void openai_text_fini(struct openai_text *t);
/* The model (of the path, else as api_model() says), "stream", sampling,
 * "stop", and the refusal of what would be ignored in silence. */
int openai_text_read(const struct call *c, struct openai_text *t,
                     struct err *err) MUST_CHECK;
/* Each item n times in a row, as the body's "n" says. */
int openai_text_choices(struct openai_text *t, struct json body,
                        struct err *err) MUST_CHECK;
/* Closes the parameters and submits, or answers with err when code is negative.
 * Ends t. */
void openai_text_run(const struct call *c, struct openai_text *t, int code,
                     const struct err *err);
/* Whole numbers: 1, 0 (not there, or null), or a negative code. */
int openai_whole(struct json body, const char *key, int64_t min, int64_t max,
                 int64_t *ret, struct err *err) MUST_CHECK;

/* ,"id","object","created","model","system_fingerprint" of an open object. */
void openai_head(struct jsonw *w, const struct generation *g,
                 const char *object);
/* "stop" or "length". */
const char *openai_finish(const struct generation_item *i);
/* Of a token; what cannot be is -9999, as theirs says. */
double openai_logprob(const struct wire_node *token);
/* "usage" of an open object: of all choices. */
void openai_usage(struct jsonw *w, const struct generation *g);
/* The tail of a whole answer. */
void openai_tail(struct generation *g, struct buf *out);
/* What ends a stream: the usage if it is wanted, and [DONE]. */
void openai_last(struct generation *g, const char *object);

#endif
