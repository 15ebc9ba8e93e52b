/* token/added.h - tokens that are found in the text before the model sees it.
 *
 * Those that are not normalized are looked for in the text as it came, the
 * others in each normalized part of it, leftmost first and the longest of
 * those. Immutable once open.
 */
#ifndef TOKEN_ADDED_H
#define TOKEN_ADDED_H
#include "token/parts.h"

enum { ADDED_MAX = 1 << 18 };

struct added_token {
    struct str content;
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
};
/* What is looked for: indices of tokens by their bytes. */
struct added_set {
    struct trie trie;
    bool first[256]; /* bytes that one of them begins with */
    size_t n;
};
struct added {
    struct arena arena;
    struct added_token *token; /* [n], the special ones first */
    size_t n;
    size_t next_id; /* of the next token that the vocabulary lacks */
    struct trie by_content;
    struct added_set raw, normalized;
};

/* Reads "added_tokens" (may be NONE), gives each its id as the library does and
 * puts those that are new into vocab; then extra[n_extra], which are not in the
 * list, the first of equal ones. */
int added_open(struct added *a, struct json list, struct vocab *vocab,
               const struct added_token *extra, size_t n_extra,
               const struct chain *normalizer, const struct place *at,
               struct err *err) MUST_CHECK;
void added_close(struct added *a);

/* Appends s's parts to out, in order. from and to are bytes of s. 0 or -ENOMEM.
 */
int added_split(const struct added *a, const struct added_set *set,
                struct str s, struct piece_list *out) MUST_CHECK;

#endif
