/* bench/bench_token.c - times the tokenizer on demand, for bench/tokenizer.py.
 *
 *     bench_token FOLDER TEXTS    the tokenizer's folder; u32 length and bytes
 *                                 of each text
 *
 * Each line "ids" or "offsets" on standard input is one pass over all texts, in
 * this thread; the answer is a line: nanoseconds of its CPU time, tokens, sum
 * of ids.
 */
#include "base/fs.h"
#include "token/tokenizer.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { FILE_MAX = 512 << 20, LINE = 32 };

static bool read_file(const char *dir, const char *name, struct buf *out)
{
    char path[FS_PATH_MAX];
    struct err err;
    *out = (struct buf)BUF_MAX(FILE_MAX);
    if (fs_join(path, dir, name) == 0 &&
        fs_read(AT_FDCWD, path, out, &err) == 0)
        return true;
    fprintf(stderr, "bench_token: cannot read %s/%s\n", dir, name);
    return false;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pass(const struct tokenizer *t, struct str rest, unsigned flags,
                 struct encoding *e)
{
    uint64_t tokens = 0, sum = 0, start = cpu_ns();
    uint32_t n;
    while (rest.n >= sizeof(n)) {
        struct err err;
        memcpy(&n, rest.p, sizeof(n));
        struct str text = str_n(rest.p + sizeof(n), n);
        if (tokenizer_encode(t, text, NULL, flags, 0, e, &err) < 0)
            fprintf(stderr, "bench_token: %s\n", err.msg);
        tokens += e->n;
        for (size_t i = 0; i < e->n; i++)
            sum += e->ids[i];
        rest = str_n(text.p + n, rest.n - sizeof(n) - n);
    }
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", cpu_ns() - start, tokens,
           sum);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct buf json, texts;
    struct tokenizer *t;
    struct err err;
    if (argc != 3 || !read_file(argv[1], "tokenizer.json", &json) ||
        !read_file("", argv[2], &texts))
        return 2;
    struct tokenizer_files files = {.tokenizer_json = buf_str(&json)};
    uint64_t start = cpu_ns();
    if (tokenizer_open(&t, &files, &err) < 0) {
        fprintf(stderr, "bench_token: %s\n", err.msg);
        return 1;
    }
    printf("%" PRIu64 " 0 0\n", cpu_ns() - start);
    fflush(stdout);
    struct encoding e = {0};
    char line[LINE];
    while (fgets(line, sizeof(line), stdin))
        pass(t, buf_str(&texts),
             str_starts(str_of(line), "offsets")
                 ? TOKEN_SPECIALS | TOKEN_OFFSETS
                 : TOKEN_SPECIALS,
             &e);
    encoding_fini(&e);
    tokenizer_close(t);
    buf_fini(&json);
    buf_fini(&texts);
    return 0;
}
