/* token/decode.c - the WordPiece decoder, and the blanks that it takes away. */
#include "token/decode.h"
#include "base/mem.h"
#include "token/parts.h"
#include <errno.h>

void strings_init(struct strings *s, size_t max_bytes)
{
    *s = (struct strings){.bytes = BUF_MAX(max_bytes),
                          .ends = BUF_MAX(SIZE_MAX / 2)};
}

void strings_fini(struct strings *s)
{
    buf_fini(&s->bytes);
    buf_fini(&s->ends);
    s->n = 0;
}

void strings_reset(struct strings *s)
{
    buf_reset(&s->bytes);
    buf_reset(&s->ends);
    s->n = 0;
}

int strings_end(struct strings *s)
{
    int r = s->bytes.failed;
    if (!r)
        r = buf_add(&s->ends, &s->bytes.len, sizeof(s->bytes.len));
    s->n += !r;
    return r;
}

struct str strings_at(const struct strings *s, size_t i)
{
    const size_t *end = (const size_t *)(const void *)s->ends.p;
    size_t from = i ? end[i - 1] : 0;
    return str_n(s->bytes.p + from, end[i] - from);
}

/* In this order, each on what the one before left. */
static const struct cleanup_rule {
    const char *from, *to;
} cleanup_rules[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

static void replace_all(struct str s, const struct cleanup_rule *rule,
                        struct buf *out)
{
    size_t n = strlen(rule->from);
    const char *hit;
    while (s.n && (hit = memmem(s.p, s.n, rule->from, n))) {
        size_t before = (size_t)(hit - s.p);
        buf_add(out, s.p, before);
        buf_puts(out, rule->to);
        s = str_n(hit + n, s.n - before - n);
    }
    buf_add(out, s.p, s.n);
}

int decode_cleanup(struct str s, bool contract_do_not, struct buf *out)
{
    struct buf a = BUF_MAX(out->max), b = BUF_MAX(out->max);
    int r = buf_add(&a, s.p, s.n);
    for (size_t i = 0; i < ARRAY_LEN(cleanup_rules) && !r; i++) {
        const struct cleanup_rule *rule = &cleanup_rules[i];
        if (!contract_do_not && !strcmp(rule->from, " do not"))
            continue;
        if (a.len == 0 || !memmem(a.p, a.len, rule->from, strlen(rule->from)))
            continue;
        buf_reset(&b);
        replace_all(buf_str(&a), rule, &b);
        r = b.failed;
        struct buf made = b;
        b = a;
        a = made;
    }
    if (!r)
        r = buf_add(out, a.p, a.len);
    buf_fini(&a);
    buf_fini(&b);
    return r;
}

struct wordpiece_decoder {
    char *prefix;
    size_t prefix_len;
    bool cleanup;
};

static void wordpiece_close(void *self)
{
    struct wordpiece_decoder *d = self;
    if (d)
        free(d->prefix);
    free(d);
}

static int wordpiece_open(void **ret_self, struct json v,
                          const struct place *at, struct err *err)
{
    struct wordpiece_decoder *d = mem_new(struct wordpiece_decoder);
    *ret_self = d;
    struct str prefix = str_of("##");
    d->cleanup = true;
    int r = field_str(v, "prefix", FIELD_REQUIRED, at, &prefix, err);
    if (!r)
        r = field_bool(v, "cleanup", FIELD_REQUIRED, at, &d->cleanup, err);
    if (!r && prefix.n > VOCAB_TOKEN_BYTES_MAX)
        r = field_bad(at, "prefix", json_get(v, "prefix"), "at most 4096 bytes",
                      err);
    if (r)
        return r;
    d->prefix = mem_strndup(prefix);
    d->prefix_len = prefix.n;
    return 0;
}

static int wordpiece_decode(const void *self, const struct strings *in,
                            struct strings *out)
{
    const struct wordpiece_decoder *d = self;
    struct buf token = BUF_MAX(VOCAB_TOKEN_BYTES_MAX + 1);
    int r = 0;
    for (size_t i = 0; i < in->n && !r; i++) {
        struct str s = strings_at(in, i);
        struct str prefix = str_n(d->prefix, d->prefix_len);
        bool inner = i && s.n >= prefix.n && !memcmp(s.p, prefix.p, prefix.n);
        buf_reset(&token);
        if (i && !inner)
            buf_putc(&token, ' ');
        if (inner)
            s = str_n(s.p + prefix.n, s.n - prefix.n);
        r = buf_add(&token, s.p, s.n);
        if (!r)
            r = d->cleanup ? decode_cleanup(buf_str(&token), true, &out->bytes)
                           : buf_add(&out->bytes, token.p, token.len);
        if (!r)
            r = strings_end(out);
    }
    buf_fini(&token);
    return r;
}

const struct part_type wordpiece_decoder_type = {
    "WordPiece", wordpiece_open, wordpiece_close, .decode = wordpiece_decode};
