/* tests/fuzz/fuzz_tokenizer.c - tokenizer files and texts.
 *
 * The input is tokenizer.json, tokenizer_config.json, vocab.txt and two texts,
 * with zero bytes between them. Whatever opens must keep its promises: the same
 * ids with offsets as without, offsets inside the text, nothing but a shorter
 * list when it is cut, the same from the fused path as from the general one.
 */
#include "base/utf8.h"
#include "fuzz.h"
#include "token/machine.h"
#include <stdlib.h>

static void must(bool ok)
{
    if (!ok)
        abort();
}

static struct str next_part(struct str *rest)
{
    const char *end = rest->n ? memchr(rest->p, 0, rest->n) : NULL;
    struct str part = *rest;
    if (end)
        part.n = (size_t)(end - rest->p);
    size_t skip = part.n + (end != NULL);
    *rest = str_n(rest->p + skip, rest->n - skip);
    return part;
}

static void same_ids(const struct encoding *a, const struct encoding *b)
{
    must(a->n == b->n);
    must(a->n == 0 || !memcmp(a->ids, b->ids, a->n * sizeof(*a->ids)));
    must(a->n == 0 || !memcmp(a->types, b->types, a->n));
}

static void same_offsets(const struct encoding *a, const struct encoding *b)
{
    same_ids(a, b);
    for (size_t i = 0; i < a->n; i++)
        must(a->start[i] == b->start[i] && a->end[i] == b->end[i]);
}

static void inside(const struct encoding *e, size_t n_chars,
                   const struct tokenizer *t)
{
    for (size_t i = 0; i < e->n; i++) {
        must(e->start[i] <= e->end[i] && e->end[i] <= n_chars);
        must(e->ids[i] < tokenizer_size(t));
    }
}

static void check_decode(const struct tokenizer *t, const struct encoding *e)
{
    struct buf out = BUF_MAX(1 << 20);
    struct err err;
    for (int skip = 0; skip < 2; skip++)
        if (tokenizer_decode(t, e->ids, e->n, skip, &out, &err) == 0)
            must(utf8_valid(buf_str(&out)));
    buf_fini(&out);
}

/* True: the text was taken. */
static bool encode(const struct tokenizer *t, struct str a, const struct str *b,
                   unsigned flags, size_t max, struct encoding *e)
{
    struct err err = {0};
    int r = tokenizer_encode(t, a, b, flags, max, e, &err);
    must(r == 0 || (r == -err.code && err.msg[0]));
    return r == 0;
}

static void check_text(struct tokenizer *t, struct str a, const struct str *b)
{
    struct encoding e = {0}, other = {0};
    if (encode(t, a, b, TOKEN_OFFSETS, 0, &e)) {
        must(encode(t, a, b, 0, 0, &other));
        same_ids(&e, &other);
        size_t chars = text_count(a), second = b ? text_count(*b) : 0;
        inside(&e, chars > second ? chars : second, t);
        struct bert_words *fused = t->fused;
        t->fused = NULL;
        must(encode(t, a, b, TOKEN_OFFSETS, 0, &other));
        t->fused = fused;
        same_offsets(&e, &other);
        size_t max = e.n / 2 + 1;
        must(encode(t, a, b, 0, max, &other));
        must(other.n <= max && other.truncated == (e.n > max));
        for (size_t i = 0; i < other.n && !b; i++)
            must(other.ids[i] == e.ids[i]);
        check_decode(t, &e);
    }
    if (encode(t, a, b, TOKEN_SPECIALS, 0, &e))
        (void)encode(t, a, b, TOKEN_SPECIALS | TOKEN_OFFSETS, 3, &other);
    encoding_fini(&e);
    encoding_fini(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_n(data, size);
    struct tokenizer_files f = {0};
    struct tokenizer *t;
    struct err err = {0};
    f.tokenizer_json = next_part(&rest);
    f.tokenizer_config_json = next_part(&rest);
    f.vocab_txt = next_part(&rest);
    struct str a = next_part(&rest), b = next_part(&rest);
    if (tokenizer_open(&t, &f, &err) < 0) {
        must(err.code && err.msg[0]);
        return 0;
    }
    for (int role = 0; role < TOKEN_ROLES; role++)
        must(tokenizer_role(t, (enum token_role)role) <
             (int64_t)tokenizer_size(t));
    check_text(t, a, NULL);
    check_text(t, a, &b);
    tokenizer_close(t);
    return 0;
}
