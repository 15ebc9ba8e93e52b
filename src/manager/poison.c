/* manager/poison.c - requests that ended their inference server, alone.
 *
 * The hash is 64-bit FNV-1a from a secret start: enough where what can be won
 * is that one's own request is refused.
 */
#include "manager/poison.h"
#include <string.h>

enum { POISON_S = 600 };
static const uint64_t SECOND_NS = 1000000000, PRIME = 0x100000001b3;

void poison_init(struct poison *p, uint64_t random)
{
    *p = (struct poison){.key = random};
}

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * PRIME;
    return h;
}

/* With its length, so that what is next to each other can not move. */
static uint64_t mix_str(uint64_t h, struct str s)
{
    h = mix(h, &s.n, sizeof(s.n));
    return s.n ? mix(h, s.p, s.n) : h;
}

static uint64_t hash(const struct poison *p, const struct poison_request *r)
{
    uint64_t h = 0xcbf29ce484222325 ^ p->key;
    h = mix_str(h, str_of(r->model));
    h = mix_str(h, str_of(r->task));
    h = mix_str(h, r->params);
    for (size_t i = 0; i < r->n_items; i++) {
        const struct item *item = &r->items[i];
        h = mix(h, &item->n_parts, sizeof(item->n_parts));
        for (size_t k = 0; k < item->n_parts; k++) {
            h = mix_str(h, item->parts[k].role);
            h = mix_str(h, item->parts[k].media);
            h = mix_str(h, item->parts[k].data);
        }
    }
    return h;
}

void poison_add(struct poison *p, const struct poison_request *request,
                uint64_t now_ns)
{
    p->all[p->next].hash = hash(p, request);
    p->all[p->next].until_ns = now_ns + POISON_S * SECOND_NS;
    p->next = (p->next + 1) % POISON_MAX;
    p->n += p->n < POISON_MAX;
}

int poison_check(const struct poison *p, const struct poison_request *request,
                 uint64_t now_ns, struct err *err)
{
    uint64_t h = 0, left = 0;
    for (unsigned i = 0; i < p->n; i++) {
        if (p->all[i].until_ns <= now_ns)
            continue;
        h = h ? h : hash(p, request); /* the inputs may be long */
        if (p->all[i].hash == h && p->all[i].until_ns - now_ns > left)
            left = p->all[i].until_ns - now_ns;
    }
    if (!left)
        return 0;
    return err_set(err, E_WORKER_CRASHED,
                   "this request ended the inference server of %s twice: it is "
                   "refused for %llu s more",
                   request->model, (unsigned long long)(left / SECOND_NS + 1));
}
