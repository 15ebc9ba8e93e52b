/* token/wordpiece.h - the WordPiece model: the longest token first, again and
 * again, or one unknown token for the whole word. */
#ifndef TOKEN_WORDPIECE_H
#define TOKEN_WORDPIECE_H
#include "token/parts.h"

enum { WORDPIECE_CHARS_MAX = 65536, WORDPIECE_SHORT = 11 };

/* A token of up to WORDPIECE_SHORT bytes and its id; four share a cache line.
 */
struct short_token {
    uint64_t lo; /* its first eight bytes, then zeros */
    uint32_t hi; /* the others, then zeros; the length in the last byte */
    uint32_t id; /* plus 1; 0 = a free slot */
};

struct wordpiece {
    const struct trie *trie; /* the vocabulary's */
    int64_t inner;    /* the node of the prefix of inner pieces, or TRIE_NONE */
    size_t max_chars; /* longer words are unknown */
    uint32_t unk;
    /* Short tokens by hash: most words are one, and are found at once. */
    struct short_token *shorts; /* [1 << bits] */
    unsigned bits;
};
extern const struct model_type wordpiece_type;

/* A word of n_chars code points; word may be cut where n_chars > max_chars, n
 * is its whole length in bytes. */
void wordpiece_word(const struct wordpiece *m, struct str word, size_t n_chars,
                    struct token_list *out);

/* The token that a whole word of 1 to WORDPIECE_SHORT bytes is, or TRIE_NONE:
 * then wordpiece_word() must look. 12 bytes at word are readable. */
int64_t wordpiece_short(const struct wordpiece *m, const char *word, size_t n);

#endif
