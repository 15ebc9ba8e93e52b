/* api/inputs.h - JSON inputs to the items of a job.
 *
 * Text stays a slice of the JSON document, tokens go into the arena: both must
 * live until the job has been submitted. Errors name the element.
 */
#ifndef API_INPUTS_H
#define API_INPUTS_H
#include "base/arena.h"
#include "base/json.h"
#include "ipc/job.h"

struct inputs {
    struct item *items;
    size_t n;
    bool single;       /* it was one text or one list of tokens */
    size_t characters; /* bytes of text */
};

/* "a" | ["a", ...] | [1, ...] | [[1, ...], ...]; mixed: texts and lists of
 * tokens may stand side by side. key: what the sentence calls it. */
int inputs_read(struct json v, const char *key, struct arena *a,
                struct inputs *ret, struct err *err) MUST_CHECK;
/* {"source_sentence": "a", "sentences": ["b", ...]}: one item for each
 * TASK_PAIRS_MAX - 1 sentences. */
int inputs_pairs(struct json v, struct arena *a, struct inputs *ret,
                 struct err *err) MUST_CHECK;
/* One text. */
int inputs_text(struct json v, const char *key, struct arena *a,
                struct inputs *ret, struct err *err) MUST_CHECK;

/* For readers of other shapes: n items without parts (key: what the sentence
 * calls them), and an item's n parts. */
int inputs_new(struct inputs *in, size_t n, struct arena *a, const char *key,
               struct err *err) MUST_CHECK;
int inputs_parts(struct item *item, size_t n, struct arena *a,
                 struct err *err) MUST_CHECK;

/* The body's "dimensions", if it is there, to a parameter of the job. */
int inputs_dimensions(struct json body, struct wire_map *m,
                      struct err *err) MUST_CHECK;

#endif
