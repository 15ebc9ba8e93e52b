/* token/wordpiece.h - the WordPiece model: the longest token first, again and
 * again, or one unknown token for the whole word. */
#ifndef TOKEN_WORDPIECE_H
#define TOKEN_WORDPIECE_H
#include "token/parts.h"

enum { WORDPIECE_CHARS_MAX = 65536 };

struct wordpiece {
    const struct trie *trie; /* the vocabulary's */
    int64_t inner;    /* the node of the prefix of inner pieces, or TRIE_NONE */
    size_t max_chars; /* longer words are unknown */
    uint32_t unk;
};
extern const struct model_type wordpiece_type;

/* A word of n_chars code points; word may be cut where n_chars > max_chars, n
 * is its whole length in bytes. */
void wordpiece_word(const struct wordpiece *m, struct str word, size_t n_chars,
                    struct token_list *out);

#endif
