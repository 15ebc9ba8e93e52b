/* tests/golden/token_tool.c - a tokenizer on pipes, for the scripts that
 * compare it with the reference library.
 *
 *     token_tool DIR      the folder with the tokenizer's files
 *
 * Requests on standard input, little-endian: u32 flags (1 special tokens, 2
 * offsets, 4 a pair, 8 decode, 16 skip special tokens), u32 max_tokens, then a
 * text as u32 length and bytes, and a second one for a pair; to decode, the
 * text is ids of u32. Answers: u32 n and n records of u32 id, start, end, type;
 * for decode, u32 length and bytes; n = UINT32_MAX and a text for an error.
 */
#include "base/fs.h"
#include "base/mem.h"
#include "token/tokenizer.h"
#include <fcntl.h>
#include <stdio.h>

enum { ASK_PAIR = 4, ASK_DECODE = 8, ASK_SKIP = 16, FILE_MAX = 256 << 20 };

struct files {
    struct buf buf[5];
    struct tokenizer_files f;
};

static void read_files(const char *dir, struct files *in)
{
    static const char *const names[] = {
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.txt"};
    struct str *const slots[] = {&in->f.tokenizer_json,
                                 &in->f.tokenizer_config_json,
                                 &in->f.special_tokens_map_json,
                                 &in->f.added_tokens_json, &in->f.vocab_txt};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[FS_PATH_MAX];
        struct err err;
        in->buf[i] = (struct buf)BUF_MAX(FILE_MAX);
        if (fs_join(path, dir, names[i]) == 0 &&
            fs_read(AT_FDCWD, path, &in->buf[i], &err) == 0)
            *slots[i] = buf_str(&in->buf[i]);
    }
}

static bool read_u32(uint32_t *v)
{
    return fread(v, sizeof(*v), 1, stdin) == 1;
}

static bool read_text(struct buf *b)
{
    uint32_t n;
    buf_reset(b);
    if (!read_u32(&n) || !buf_room(b, n))
        return false;
    b->len = n;
    return fread(b->p, 1, n, stdin) == n;
}

static void write_bytes(uint32_t head, const void *p, size_t n)
{
    fwrite(&head, sizeof(head), 1, stdout);
    if (n)
        fwrite(p, 1, n, stdout);
}

static void write_error(const struct err *err)
{
    uint32_t n = (uint32_t)strlen(err->msg);
    write_bytes(UINT32_MAX, &n, sizeof(n));
    fwrite(err->msg, 1, n, stdout);
}

static void write_encoding(const struct encoding *e, bool offsets)
{
    write_bytes((uint32_t)e->n, NULL, 0);
    for (size_t i = 0; i < e->n; i++) {
        uint32_t row[] = {e->ids[i], offsets ? e->start[i] : 0,
                          offsets ? e->end[i] : 0, e->types[i]};
        fwrite(row, sizeof(row), 1, stdout);
    }
}

static void answer_decode(const struct tokenizer *t, uint32_t flags,
                          const struct buf *ids)
{
    struct err err;
    struct buf out = BUF_MAX(FILE_MAX);
    if (tokenizer_decode(t, (const uint32_t *)(const void *)ids->p,
                         ids->len / sizeof(uint32_t), flags & ASK_SKIP, &out,
                         &err) < 0)
        write_error(&err);
    else
        write_bytes((uint32_t)out.len, out.p, out.len);
    buf_fini(&out);
}

static void serve(const struct tokenizer *t)
{
    struct buf a = BUF_MAX(FILE_MAX), b = BUF_MAX(FILE_MAX);
    struct encoding e = {0};
    struct err err;
    uint32_t flags, max;
    while (read_u32(&flags) && read_u32(&max) && read_text(&a) &&
           (!(flags & ASK_PAIR) || read_text(&b))) {
        struct str second = buf_str(&b);
        if (flags & ASK_DECODE)
            answer_decode(t, flags, &a);
        else if (tokenizer_encode(t, buf_str(&a),
                                  flags & ASK_PAIR ? &second : NULL,
                                  flags & (TOKEN_SPECIALS | TOKEN_OFFSETS), max,
                                  &e, &err) < 0)
            write_error(&err);
        else
            write_encoding(&e, flags & TOKEN_OFFSETS);
        fflush(stdout);
    }
    encoding_fini(&e);
    buf_fini(&a);
    buf_fini(&b);
}

int main(int argc, char **argv)
{
    struct files in = {0};
    struct tokenizer *t;
    struct err err;
    if (argc != 2) {
        fprintf(stderr, "usage: token_tool DIR\n");
        return 2;
    }
    read_files(argv[1], &in);
    int r = tokenizer_open(&t, &in.f, &err);
    for (size_t i = 0; i < ARRAY_LEN(in.buf); i++)
        buf_fini(&in.buf[i]);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    serve(t);
    tokenizer_close(t);
    return 0;
}
