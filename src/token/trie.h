/* token/trie.h - byte strings to numbers, by longest prefix.
 *
 * A double array (Aoe 1989): from node s the byte c leads to s' = base[s] ^ c
 * when parent[s'] == s. Immutable once built; any thread.
 */
#ifndef TOKEN_TRIE_H
#define TOKEN_TRIE_H
#include "base/attr.h"
#include "base/str.h"
#include <stdint.h>

enum { TRIE_ROOT = 0, TRIE_NONE = -1 };

struct trie_node {
    uint32_t base;
    uint32_t parent; /* UINT32_MAX: free */
    int32_t value;   /* TRIE_NONE: no key ends here */
};
struct trie {
    struct trie_node *nodes; /* [n], a multiple of 256 */
    size_t n;
};

struct trie_key {
    struct str key;
    int32_t value; /* 0 or more */
};

/* Sorts keys. Of equal ones the smallest value counts; but where ret_twice is
 * given, -EEXIST, and *ret_twice is one of them. -ENOMEM. The keys' bytes are
 * not kept. */
int trie_build(struct trie *t, struct trie_key *keys, size_t n,
               struct str *ret_twice) MUST_CHECK;
void trie_fini(struct trie *t);

/* The node that c leads to, or TRIE_NONE. */
static inline int64_t trie_step(const struct trie *t, int64_t node,
                                unsigned char c)
{
    uint32_t next = t->nodes[node].base ^ c;
    return t->nodes[next].parent == (uint32_t)node ? (int64_t)next : TRIE_NONE;
}
/* The node that a whole string leads to, or TRIE_NONE. */
int64_t trie_walk(const struct trie *t, int64_t node, struct str s);
/* The value of exactly s, or TRIE_NONE. */
int32_t trie_find(const struct trie *t, struct str s);
/* The longest key that s begins with after node (at least one byte): its
 * length, 0 for none; its value in *ret. */
size_t trie_longest(const struct trie *t, int64_t node, struct str s,
                    int32_t *ret);

#endif
