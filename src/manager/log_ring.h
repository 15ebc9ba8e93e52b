/* manager/log_ring.h - the last bytes that a model's children wrote. */
#ifndef MANAGER_LOG_RING_H
#define MANAGER_LOG_RING_H
#include "base/str.h"

enum {
    LOG_RING_MAX = 64 << 10,
    LOG_WORDS_MAX = 4096,
    LOG_LINE_MAX = 1024, /* longer ones are cut */
};

/* Whole lines, oldest first; the oldest go. Zero before its first use. */
struct log_ring {
    char *p; /* [LOG_RING_MAX], on first use */
    size_t len;
};

/* Control characters become '?'. */
void log_ring_add(struct log_ring *r, struct str line);
struct str log_ring_text(const struct log_ring *r);
void log_ring_fini(struct log_ring *r);

#endif
