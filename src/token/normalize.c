/* token/normalize.c - the normalizers of plain Unicode: Lowercase,
 * StripAccents, NFC, NFD, NFKC, NFKD. */
#include "token/normalize.h"
#include "token/parts.h"
#include "token/unicode.h"
#include <errno.h>
#include <stdlib.h>

/* A code point of a decomposition. change: 0 where it stands for the next code
 * point of the input, 1 where it was inserted, -k where it stands for the next
 * one and swallows k more. A change travels with its code point when marks are
 * reordered: so does the library's. */
struct item {
    uint32_t cp;
    int32_t change;
};
struct items {
    struct item *v; /* [n] */
    size_t n, cap;
    size_t run; /* where the current run of non-starters begins */
    struct item *sorted;
    size_t sorted_cap;
};

static int grow(struct item **v, size_t *cap, size_t n)
{
    if (n <= *cap)
        return 0;
    if (n > TEXT_MAX)
        return -E2BIG;
    size_t to = n + n / 2 + 64;
    struct item *p = realloc(*v, to * sizeof(*p));
    if (!p)
        return -ENOMEM;
    *v = p;
    *cap = to;
    return 0;
}

/* Puts a run of non-starters in canonical order: stable, and linear however
 * long somebody makes it. */
static int sort_run(struct items *l)
{
    size_t n = l->n - l->run, count[257] = {0};
    if (n < 2)
        return 0;
    if (grow(&l->sorted, &l->sorted_cap, n) < 0)
        return -ENOMEM;
    struct item *run = l->v + l->run;
    for (size_t i = 0; i < n; i++)
        count[unicode_get(run[i].cp)->rank + 1]++;
    for (size_t i = 1; i < 257; i++)
        count[i] += count[i - 1];
    for (size_t i = 0; i < n; i++)
        l->sorted[count[unicode_get(run[i].cp)->rank]++] = run[i];
    memcpy(run, l->sorted, n * sizeof(*run));
    return 0;
}

static int decompose(const struct text *in, bool compatibility, struct items *l)
{
    int r = 0;
    for (size_t at = 0; at < in->n && !r;) {
        uint32_t cp, d[UNICODE_LONGEST];
        at += text_next(in->p + at, &cp);
        size_t n = unicode_decompose(cp, compatibility, d);
        r = grow(&l->v, &l->cap, l->n + n);
        for (size_t i = 0; i < n && !r; i++) {
            bool starter = unicode_get(d[i])->rank == 0;
            if (starter)
                r = sort_run(l);
            l->v[l->n++] = (struct item){d[i], i > 0};
            if (starter)
                l->run = l->n;
        }
    }
    return r ? r : sort_run(l);
}

/* Unicode standard, section 3.11, D117. */
static void compose(struct items *l)
{
    struct item *starter = NULL;
    unsigned last =
        0; /* rank of what was kept since the starter; 0 = nothing */
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct item it = l->v[i];
        unsigned rank = unicode_get(it.cp)->rank;
        uint32_t both = 0;
        if (starter && (last == 0 || last < rank))
            both = unicode_compose(starter->cp, it.cp);
        if (both) {
            starter->cp = both;
            starter->change += it.change - 1;
            continue;
        }
        l->v[n] = it;
        if (rank == 0)
            starter = &l->v[n];
        last = rank;
        n++;
    }
    l->n = n;
}

static int write_items(const struct items *l, const struct text *in,
                       struct text *out)
{
    struct rewrite w = rewrite_begin(in, out);
    for (size_t i = 0; i < l->n && !w.failed; i++) {
        if (l->v[i].change > 0) {
            rewrite_insert(&w, l->v[i].cp);
            continue;
        }
        rewrite_replace(&w, l->v[i].cp);
        for (int32_t k = l->v[i].change; k < 0; k++)
            rewrite_drop(&w);
    }
    return w.failed;
}

int normalize_form(const struct text *in, unsigned form, struct text *out)
{
    struct items l = {0};
    int r = decompose(in, form & FORM_COMPATIBILITY, &l);
    if (!r && (form & FORM_COMPOSED))
        compose(&l);
    if (!r)
        r = write_items(&l, in, out);
    free(l.v);
    free(l.sorted);
    return r;
}

static int nfd(const void *self, const struct text *in, struct text *out)
{
    (void)self;
    return normalize_form(in, 0, out);
}

static int nfc(const void *self, const struct text *in, struct text *out)
{
    (void)self;
    return normalize_form(in, FORM_COMPOSED, out);
}

static int nfkd(const void *self, const struct text *in, struct text *out)
{
    (void)self;
    return normalize_form(in, FORM_COMPATIBILITY, out);
}

static int nfkc(const void *self, const struct text *in, struct text *out)
{
    (void)self;
    return normalize_form(in, FORM_COMPATIBILITY | FORM_COMPOSED, out);
}

void normalize_lower(struct rewrite *w, uint32_t cp)
{
    uint32_t low[UNICODE_LONGEST];
    size_t n = unicode_lower(cp, low);
    rewrite_replace(w, low[0]);
    for (size_t i = 1; i < n; i++)
        rewrite_insert(w, low[i]);
}

static int lowercase(const void *self, const struct text *in, struct text *out)
{
    (void)self;
    struct rewrite w = rewrite_begin(in, out);
    for (uint32_t cp; rewrite_peek(&w, &cp) && !w.failed;)
        normalize_lower(&w, cp);
    return w.failed;
}

static int strip_accents(const void *self, const struct text *in,
                         struct text *out)
{
    (void)self;
    struct rewrite w = rewrite_begin(in, out);
    for (uint32_t cp; rewrite_peek(&w, &cp) && !w.failed;)
        if (unicode_is(cp, U_MARK))
            rewrite_drop(&w);
        else
            rewrite_replace(&w, cp);
    return w.failed;
}

const struct part_type nfc_type = {"NFC", .normalize = nfc};
const struct part_type nfd_type = {"NFD", .normalize = nfd};
const struct part_type nfkc_type = {"NFKC", .normalize = nfkc};
const struct part_type nfkd_type = {"NFKD", .normalize = nfkd};
const struct part_type lowercase_type = {"Lowercase", .normalize = lowercase};
const struct part_type strip_accents_type = {"StripAccents",
                                             .normalize = strip_accents};
