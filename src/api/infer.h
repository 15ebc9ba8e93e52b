/* api/infer.h - one job for one request, whatever the protocol.
 *
 * Collects the results of all items, then has the protocol write its answer,
 * item by item, so that a long answer is encoded while it is sent. A client
 * that leaves cancels the job. Owns itself from infer_submit() on.
 */
#ifndef API_INFER_H
#define API_INFER_H
#include "api/call.h"
#include "api/inputs.h"

enum { INFER_LABEL_MAX = 64 };

struct infer_item {
    float *v; /* [rows][dim], or NULL */
    size_t rows, dim;
    size_t inner;    /* rank 3: rows of the second dimension; else 0 */
    bool flat;       /* rank 1 */
    struct buf json; /* of a result that is a tree, or bytes */
    uint64_t tokens;
};

struct infer {
    struct api *api;
    struct http_request *r; /* NULL: the client has left */
    enum api_proto proto;
    char model[MANAGER_NAME_MAX];
    uint64_t job, submitted_ns;
    struct infer_item *items; /* [n] */
    size_t n;
    struct err err; /* code 0 = none */

    size_t held; /* bytes of the items' results */

    /* Sums over the items. */
    uint64_t tokens, queue_ns, run_ns; /* the times: maxima */
    size_t truncated, characters;

    /* The protocol's. write() writes the answer's piece number at, of pieces;
     * it may add headers before the first. */
    void (*headers)(struct infer *x);
    void (*write)(struct infer *x, size_t at, struct buf *out);
    size_t pieces, at;
    const struct infer_item
        *rest; /* whose rows from row on are to be written */
    size_t row;
    struct buf head; /* what was written before it proved to be long */
    void (*put)(const struct infer *x, struct jsonw *w,
                const struct wire_node *result);
    const char *type; /* of the answer; NULL: JSON */
    char label[INFER_LABEL_MAX];
    bool single, base64, several, bytes;
};

/* What the job is, beside the inputs. params: an encoded map, or empty. */
struct infer_job {
    const char *model, *task; /* task NULL: the model's default */
    struct inputs in;
    struct str params;
    size_t pieces;     /* 0: one for each item, and one before and one after */
    const char *type;  /* of the answer; NULL: JSON */
    const char *label; /* a word of the request that put() repeats; NULL: "" */
    bool bytes;        /* results are bytes */
    bool base64;
    bool several; /* more than the best result was asked for */
    /* A result that is a tree, as JSON; NULL: as it is. */
    void (*put)(const struct infer *x, struct jsonw *w,
                const struct wire_node *result);
    void (*headers)(struct infer *x);
    void (*write)(struct infer *x, size_t at, struct buf *out);
};

/* Submits, or answers with the error. */
void infer_submit(const struct call *c, enum api_proto proto,
                  const struct infer_job *job);

/* The header that says which backend serves the model, and the same into
 * out[INFER_BACKEND_MAX]: "transformers/f32/cpu/avx2". */
enum { INFER_BACKEND_MAX = 256 };
void infer_backend(const struct api *a, struct http_request *r,
                   const char *model, char *out);

/* Adds "[" and "," and "]" for element i of n. */
void infer_open(struct buf *out, size_t i, size_t n);
/* The item's rows as JSON: [..], [[..],..] or [[[..],..],..]. */
void infer_vector(const struct infer_item *item, struct buf *out);
/* The same, row by row, as the last thing that a write() adds: what does not
 * fit in one piece follows before the next write(). */
void infer_rows(struct infer *x, const struct infer_item *item,
                struct buf *out);

/* A tree from a worker as JSON. */
void wire_json(struct jsonw *w, const struct wire_node *node);
/* A client's JSON as the tree of a frame, or as JSON again. Refused: what is
 * nested deeper than a frame takes. */
int json_wire(struct buf *out, struct json v, struct err *err) MUST_CHECK;
int json_copy(struct jsonw *w, struct json v, struct err *err) MUST_CHECK;

#endif
