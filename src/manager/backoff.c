/* manager/backoff.c - how long to wait after a crash. */
#include "manager/backoff.h"

enum { FIRST_MS = 100, LAST_MS = 10000, MS_NS = 1000000, SHIFT_MAX = 7 };

uint64_t backoff_crashed(struct backoff *b, uint64_t now_ns, uint64_t random)
{
    uint64_t pause = 0;
    b->crashes++;
    if (b->crashes > 1) {
        unsigned shift = b->crashes - 2;
        pause = (uint64_t)FIRST_MS << (shift < SHIFT_MAX ? shift : SHIFT_MAX);
        pause = (pause < LAST_MS ? pause : LAST_MS) * MS_NS;
        pause += random % (pause / 4);
    }
    b->until_ns = now_ns + pause;
    return b->until_ns;
}

void backoff_completed(struct backoff *b)
{
    *b = (struct backoff){0};
}

bool backoff_open(const struct backoff *b)
{
    return b->crashes > BACKOFF_CRASHES_MAX;
}
