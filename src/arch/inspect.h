/* arch/inspect.h - what a snapshot holds, before a byte of its weights is read.
 *
 * Reads config.json and the tensor headers; answers the architecture, the tasks
 * and the memory that serving it will take. Admission, the choice of a backend,
 * `berth plan` and the load itself use this one answer. It is as complete for
 * an architecture that the native engine does not know, but for the native
 * engine's memory.
 */
#ifndef ARCH_INSPECT_H
#define ARCH_INSPECT_H
#include "model/snapshot.h"

enum {
    INSPECT_UNSUPPORTED_MAX = 16,
    INSPECT_RUNTIME_MAX = 8,
    INSPECT_TASKS_MAX = 8
};

struct inspection {
    char architecture[128]; /* config.json's first: "BertModel" */
    char model_type[64];    /* "bert" */
    const char
        *tasks[INSPECT_TASKS_MAX + 1]; /* NULL-terminated; [0] = default */
    char licence[64];      /* from README.md's front matter; may be empty */
    char pipeline_tag[64]; /* the same */
    bool auto_map;         /* config.json asks for code of the repository */
    bool pickles;          /* its weights are in no format that berth reads */
    uint32_t n_tensors;
    uint64_t n_parameters;
    struct {
        char dtype[16]; /* "F32" */
        uint64_t bytes;
    } bytes[24];
    size_t n_bytes;
    uint32_t context; /* tokens: the lesser of positions and max_seq_length */
    uint32_t dim;     /* of an embedding; 0 = the model makes none */
    uint32_t vocab, n_labels;
    struct {
        char what[96], why[300];
    } unsupported[INSPECT_UNSUPPORTED_MAX];
    size_t n_unsupported;  /* 0: the native engine serves it */
    uint64_t weight_bytes; /* packed, in memory; of the native engine, as what
                              follows */
    struct {
        uint32_t tokens;
        uint64_t bytes;
    } runtime[INSPECT_RUNTIME_MAX]; /* working memory of 1, 2, 4, ... compute
                                       threads, by the tokens that they can
                                       have in hand */
    size_t n_runtime;
};

/* Unsupported things are listed in *ret and are no failure. A damaged file is:
 * E_DAMAGED_FILE with the file, the field and the value. */
int arch_inspect(const struct snapshot *s, struct inspection *ret,
                 struct err *err) MUST_CHECK;

#endif
