/* token/unicode.h - what the tokenizers library thinks of each code point.
 *
 * The tables are measured on the library itself (tools/make_unicode_tables.py),
 * part by part, because its parts carry different Unicode versions. Read-only,
 * any thread.
 */
#ifndef TOKEN_UNICODE_H
#define TOKEN_UNICODE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unicode_flag {
    U_DROP = 1,   /* BertNormalizer's clean_text removes it */
    U_BLANK = 2,  /* ... or makes it a space */
    U_SPACE = 4,  /* white space */
    U_PUNCT = 8,  /* punctuation, ASCII symbols included */
    U_CJK = 16,   /* handle_chinese_chars puts spaces around it */
    U_MN = 32,    /* BertNormalizer's strip_accents removes it */
    U_MARK = 64,  /* StripAccents removes it */
    U_WORD = 128, /* \w */
};

/* UNICODE_LONGEST: the most code points that one becomes (NFKD of U+FDFA). */
enum { UNICODE_END = 0x110000, UNICODE_BLOCK = 128, UNICODE_LONGEST = 18 };

/* The places are in unicode_points; a length of 0 means: itself. */
struct unicode_char {
    int32_t lower; /* to be added for lower case, when n_lower is 0 */
    uint16_t lower_at, nfd_at, nfkd_at;
    uint8_t flags;
    uint8_t rank; /* 0 for starters, else ordered as the combining classes */
    uint8_t n_lower, n_nfd, n_nfkd;
};
struct unicode_pair {
    uint32_t first, second, composed;
};

extern const uint32_t unicode_points[];
extern const struct unicode_char unicode_chars[];
extern const uint16_t unicode_stage1[], unicode_stage2[];
extern const struct unicode_pair unicode_pairs[]; /* sorted */
extern const size_t unicode_n_pairs;

/* cp < UNICODE_END. */
static inline const struct unicode_char *unicode_get(uint32_t cp)
{
    size_t block = unicode_stage1[cp / UNICODE_BLOCK];
    return &unicode_chars[unicode_stage2[block * UNICODE_BLOCK +
                                         cp % UNICODE_BLOCK]];
}
static inline bool unicode_is(uint32_t cp, unsigned flags)
{
    return unicode_get(cp)->flags & flags;
}

/* A syllable that decomposes into jamo, by arithmetic. */
static inline bool unicode_is_hangul(uint32_t cp)
{
    return cp >= 0xAC00 && cp < 0xAC00 + 11172;
}

/* Each writes 1 to UNICODE_LONGEST code points and returns how many. The
 * decompositions are full, but not put in canonical order: that needs their
 * neighbours. */
size_t unicode_lower(uint32_t cp, uint32_t *out);
size_t unicode_decompose(uint32_t cp, bool compatibility, uint32_t *out);
/* The primary composite of two code points, or 0. */
uint32_t unicode_compose(uint32_t first, uint32_t second);

#endif
