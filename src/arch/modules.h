/* arch/modules.h - what the other files of a snapshot say about its use. */
#ifndef ARCH_MODULES_H
#define ARCH_MODULES_H
#include "model/snapshot.h"

/* From modules.json and what it names (the layout of sentence-transformers). */
struct modules {
    bool present;
    int64_t max_seq_length; /* 0: not limited */
    int64_t dim;            /* of the final vector; 0: the model's own */
};

/* hidden: the model's own dimension. E_DAMAGED_FILE with the file, the key and
 * the value. */
int modules_read(struct modules *m, const struct snapshot *s, int64_t hidden,
                 struct err *err) MUST_CHECK;

#endif
