/* token/wordpiece.h - the WordPiece model: the longest token first, again and
 * again, or one unknown token for the whole word. */
#ifndef TOKEN_WORDPIECE_H
#define TOKEN_WORDPIECE_H
#include "token/parts.h"

enum { WORDPIECE_CHARS_MAX = 65536, WORDPIECE_SHORT = 15 };

/* A token of up to WORDPIECE_SHORT bytes: they, zeros, and the length in the
 * last byte. */
struct short_key {
    uint64_t lo, hi;
};

struct wordpiece {
    const struct trie *trie; /* the vocabulary's */
    int64_t inner;    /* the node of the prefix of inner pieces, or TRIE_NONE */
    size_t max_chars; /* longer words are unknown */
    uint32_t unk;
    /* Short tokens by hash: most words are one, and are found at once. */
    struct short_key *keys; /* [1 << bits] */
    uint32_t *ids;          /* [1 << bits], plus 1; 0 = free */
    unsigned bits;
};
extern const struct model_type wordpiece_type;

/* A word of n_chars code points; word may be cut where n_chars > max_chars, n
 * is its whole length in bytes. */
void wordpiece_word(const struct wordpiece *m, struct str word, size_t n_chars,
                    struct token_list *out);

/* The token that a whole word of 1 to WORDPIECE_SHORT bytes is, or TRIE_NONE:
 * then wordpiece_word() must look. 16 bytes at word are readable. */
int64_t wordpiece_short(const struct wordpiece *m, const char *word, size_t n);

#endif
