/* token/trie.c - builds and walks a double array.
 *
 * The keys are sorted; a stack holds ranges of keys that share a prefix. Each
 * node's children are placed by the first base that leaves no collision. The
 * free nodes are in a ring, and only TRIES of them are tried before a new block
 * of 256 nodes is added, so that building stays linear; the nodes of a block
 * leave the ring when OPEN_BLOCKS newer ones exist. base ^ c stays inside the
 * block of base, so every look-up is inside the array.
 */
#include "token/trie.h"
#include "base/mem.h"
#include <errno.h>

enum { BLOCK = 256, OPEN_BLOCKS = 16, TRIES = 256 };
#define FREE UINT32_MAX

struct range {
    size_t lo, hi; /* keys [lo, hi) share depth bytes and lead to node */
    size_t depth;
    uint32_t node;
};
struct link {
    uint32_t next, prev;
};
struct children {
    unsigned char byte[256];
    size_t lo[257]; /* child i has keys [lo[i], lo[i + 1]) */
    size_t n;
};
struct build {
    struct trie *t;
    size_t cap;
    struct link *ring; /* [cap]: the free nodes' neighbours */
    uint32_t head;     /* the oldest free node, or FREE */
    const struct trie_key *keys;
    struct range *stack;
    size_t n_stack, cap_stack;
    struct children children; /* of the node in hand */
};

static int key_order(const void *a, const void *b)
{
    const struct trie_key *x = a, *y = b;
    size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
    int r = n ? memcmp(x->key.p, y->key.p, n) : 0;
    if (!r)
        r = (x->key.n > y->key.n) - (x->key.n < y->key.n);
    return r ? r : (x->value > y->value) - (x->value < y->value);
}

static void ring_add(struct build *b, uint32_t i)
{
    struct link *l = b->ring;
    if (b->head == FREE) {
        b->head = l[i].next = l[i].prev = i;
        return;
    }
    uint32_t last = l[b->head].prev;
    l[i] = (struct link){b->head, last};
    l[last].next = l[b->head].prev = i;
}

static void ring_remove(struct build *b, uint32_t i)
{
    struct link *l = b->ring;
    l[l[i].prev].next = l[i].next;
    l[l[i].next].prev = l[i].prev;
    if (b->head == i)
        b->head = l[i].next == i ? FREE : l[i].next;
}

static int grow(struct build *b)
{
    size_t cap = b->cap ? b->cap * 2 : 64 * BLOCK;
    if (cap > INT32_MAX)
        return -ENOMEM;
    struct trie_node *nodes = realloc(b->t->nodes, cap * sizeof(*nodes));
    if (nodes)
        b->t->nodes = nodes;
    struct link *ring = realloc(b->ring, cap * sizeof(*ring));
    if (ring)
        b->ring = ring;
    if (!nodes || !ring)
        return -ENOMEM;
    b->cap = cap;
    return 0;
}

static int add_block(struct build *b)
{
    struct trie *t = b->t;
    if (t->n + BLOCK > b->cap && grow(b) < 0)
        return -ENOMEM;
    size_t old =
        t->n >= OPEN_BLOCKS * BLOCK ? t->n - OPEN_BLOCKS * BLOCK : t->n;
    for (size_t i = old; old < t->n && i < old + BLOCK; i++)
        if (t->nodes[i].parent == FREE)
            ring_remove(b, (uint32_t)i);
    for (size_t i = t->n; i < t->n + BLOCK; i++) {
        t->nodes[i] = (struct trie_node){0, FREE, TRIE_NONE};
        ring_add(b, (uint32_t)i);
    }
    t->n += BLOCK;
    return 0;
}

static void take(struct build *b, uint32_t i, uint32_t parent)
{
    ring_remove(b, i);
    b->t->nodes[i].parent = parent;
}

static int push(struct build *b, struct range r)
{
    if (b->n_stack == b->cap_stack) {
        size_t cap = b->cap_stack ? b->cap_stack * 2 : 256;
        struct range *p = realloc(b->stack, cap * sizeof(*p));
        if (!p)
            return -ENOMEM;
        b->stack = p;
        b->cap_stack = cap;
    }
    b->stack[b->n_stack++] = r;
    return 0;
}

/* The bytes that follow the shared prefix, from key lo on. */
static void list_children(struct build *b, size_t lo, const struct range *r)
{
    struct children *c = &b->children;
    c->n = 0;
    for (size_t i = lo; i < r->hi; i++) {
        unsigned char byte = (unsigned char)b->keys[i].key.p[r->depth];
        if (c->n == 0 || c->byte[c->n - 1] != byte) {
            c->byte[c->n] = byte;
            c->lo[c->n++] = i;
        }
    }
    c->lo[c->n] = r->hi;
}

static bool fits(const struct trie *t, uint32_t base, const struct children *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (t->nodes[base ^ c->byte[i]].parent != FREE)
            return false;
    return true;
}

static int find_base(struct build *b, uint32_t *ret)
{
    const struct children *c = &b->children;
    uint32_t slot = b->head;
    for (int i = 0; i < TRIES && slot != FREE; i++) {
        *ret = slot ^ c->byte[0];
        if (fits(b->t, *ret, c))
            return 0;
        slot = b->ring[slot].next;
        if (slot == b->head)
            break;
    }
    *ret = (uint32_t)b->t->n;
    return add_block(b);
}

static int place(struct build *b, struct range r)
{
    struct trie *t = b->t;
    size_t lo = r.lo;
    if (b->keys[lo].key.n == r.depth)
        t->nodes[r.node].value = b->keys[lo].value;
    while (lo < r.hi && b->keys[lo].key.n == r.depth)
        lo++;
    if (lo == r.hi)
        return 0;
    const struct children *c = &b->children;
    list_children(b, lo, &r);
    uint32_t base;
    int err = find_base(b, &base);
    if (err)
        return err;
    t->nodes[r.node].base = base;
    for (size_t i = 0; i < c->n && !err; i++) {
        uint32_t child = base ^ c->byte[i];
        take(b, child, r.node);
        err =
            push(b, (struct range){c->lo[i], c->lo[i + 1], r.depth + 1, child});
    }
    return err;
}

int trie_build(struct trie *t, struct trie_key *keys, size_t n,
               struct str *ret_twice)
{
    *t = (struct trie){0};
    if (n)
        qsort(keys, n, sizeof(*keys), key_order);
    for (size_t i = 1; i < n && ret_twice; i++)
        if (str_eq(keys[i - 1].key, keys[i].key)) {
            *ret_twice = keys[i].key;
            return -EEXIST;
        }
    struct build b = {.t = t, .keys = keys, .head = FREE};
    int r = add_block(&b);
    if (!r) {
        take(&b, TRIE_ROOT, FREE - 1); /* nobody's child */
        if (n)
            r = push(&b, (struct range){0, n, 0, TRIE_ROOT});
    }
    while (!r && b.n_stack)
        r = place(&b, b.stack[--b.n_stack]);
    free(b.stack);
    free(b.ring);
    if (r)
        trie_fini(t);
    return r;
}

void trie_fini(struct trie *t)
{
    free(t->nodes);
    *t = (struct trie){0};
}

int64_t trie_walk(const struct trie *t, int64_t node, struct str s)
{
    for (size_t i = 0; i < s.n && node != TRIE_NONE; i++)
        node = trie_step(t, node, (unsigned char)s.p[i]);
    return node;
}

int32_t trie_find(const struct trie *t, struct str s)
{
    int64_t node = trie_walk(t, TRIE_ROOT, s);
    return node == TRIE_NONE ? TRIE_NONE : t->nodes[node].value;
}

size_t trie_longest(const struct trie *t, int64_t node, struct str s,
                    int32_t *ret)
{
    size_t best = 0;
    for (size_t i = 0; i < s.n; i++) {
        node = trie_step(t, node, (unsigned char)s.p[i]);
        if (node == TRIE_NONE)
            break;
        if (t->nodes[node].value != TRIE_NONE) {
            best = i + 1;
            *ret = t->nodes[node].value;
        }
    }
    return best;
}
