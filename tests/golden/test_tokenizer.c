/* tests/golden/test_tokenizer.c - ids and offsets of the golden texts against
 * the tokenizers library's.
 *
 *     test_tokenizer [FIRST]      so many texts; all of them without a number
 *
 * BERTH_TESTS names the folder tests/. The model's files are in BERTH_CACHE, or
 * in berth/ in the XDG cache folder; script/test puts them there. Exits with
 * 77, which meson counts as skipped, when they are not.
 */
#include "base/fs.h"
#include "base/json.h"
#include "token/tokenizer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILE_MAX = 64 << 20, LINE_MAX_BYTES = 1 << 20, SKIPPED = 77 };

struct golden {
    uint32_t n;
    const uint32_t *row; /* [n][3]: id, start, end */
};

static void model_folder(char *out, size_t size)
{
    const char *cache = getenv("BERTH_CACHE"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    const char *name = "models/sentence-transformers/all-MiniLM-L6-v2";
    if (cache && *cache)
        snprintf(out, size, "%s/%s", cache, name);
    else if (xdg && *xdg)
        snprintf(out, size, "%s/berth/%s", xdg, name);
    else
        snprintf(out, size, "%s/.cache/berth/%s", home ? home : "", name);
}

static bool read_file(const char *dir, const char *name, struct buf *out)
{
    char path[FS_PATH_MAX];
    struct err err;
    *out = (struct buf)BUF_MAX(FILE_MAX);
    return fs_join(path, dir, name) == 0 &&
           fs_read(AT_FDCWD, path, out, &err) == 0;
}

static struct golden next_golden(struct str *rest)
{
    struct golden g = {0};
    if (rest->n < sizeof(g.n))
        return g;
    memcpy(&g.n, rest->p, sizeof(g.n));
    g.row = (const uint32_t *)(const void *)(rest->p + sizeof(g.n));
    size_t bytes = sizeof(g.n) + g.n * 3 * sizeof(uint32_t);
    *rest = str_n(rest->p + bytes, rest->n - bytes);
    return g;
}

/* The first token that differs, or -1. */
static long differs(const struct encoding *e, struct golden g)
{
    size_t n = e->n < g.n ? e->n : g.n;
    for (size_t i = 0; i < n; i++)
        if (e->ids[i] != g.row[3 * i] || e->start[i] != g.row[3 * i + 1] ||
            e->end[i] != g.row[3 * i + 2])
            return (long)i;
    return e->n == g.n ? -1 : (long)n;
}

/* Alone, and cut: cutting must keep the tokens before the cut. */
static bool check(const struct tokenizer *t, struct str text, struct golden g,
                  struct encoding *e, size_t line)
{
    struct err err;
    if (tokenizer_encode(t, text, NULL, TOKEN_SPECIALS | TOKEN_OFFSETS, 0, e,
                         &err) < 0) {
        printf("text %zu: %s\n", line, err.msg);
        return false;
    }
    long at = differs(e, g);
    if (at >= 0)
        printf("text %zu: token %ld differs (%zu of ours, %u expected)\n", line,
               at, e->n, g.n);
    size_t max = g.n > 4 ? g.n / 2 : g.n;
    if (at < 0 &&
        tokenizer_encode(t, text, NULL, TOKEN_SPECIALS, max, e, &err) < 0)
        at = 0;
    bool cut_well = at < 0 && e->n == max && e->truncated == (max < g.n);
    for (size_t i = 0; cut_well && i + 1 < max; i++)
        cut_well = e->ids[i] == g.row[3 * i];
    if (at < 0 && !cut_well)
        printf("text %zu: cutting to %zu tokens changes them\n", line, max);
    return at < 0 && cut_well;
}

static int run(const struct tokenizer *t, struct str lines, struct str tokens,
               size_t count)
{
    struct encoding e = {0};
    size_t line = 0, bad = 0;
    const char *end;
    while (line < count && lines.n && (end = memchr(lines.p, '\n', lines.n))) {
        struct str one = str_n(lines.p, (size_t)(end - lines.p)), text;
        struct err err;
        struct json_doc *doc = json_parse(one, LINE_MAX_BYTES, 4, &err);
        struct golden g = next_golden(&tokens);
        if (!doc || !json_to_str(json_root(doc), &text)) {
            printf("texts.jsonl: line %zu is no string\n", line + 1);
            return 1;
        }
        bad += !check(t, text, g, &e, ++line);
        json_free(doc);
        lines = str_n(end + 1, lines.n - one.n - 1);
    }
    encoding_fini(&e);
    printf("%zu texts, %zu differ\n", line, bad);
    return bad || line == 0;
}

int main(int argc, char **argv)
{
    char model[FS_PATH_MAX], golden[FS_PATH_MAX];
    struct buf json, config, lines, tokens;
    struct tokenizer *t;
    struct err err;
    const char *tests = getenv("BERTH_TESTS");
    model_folder(model, sizeof(model));
    if (!read_file(model, "tokenizer.json", &json) ||
        !read_file(model, "tokenizer_config.json", &config)) {
        printf("no model in %s\n", model);
        return SKIPPED;
    }
    if (fs_join(golden, tests ? tests : "tests", "golden") < 0 ||
        !read_file(golden, "texts.jsonl", &lines) ||
        !read_file(golden, "texts.tokens.bin", &tokens)) {
        printf("no golden texts in %s\n", golden);
        return 1;
    }
    struct tokenizer_files files = {.tokenizer_json = buf_str(&json),
                                    .tokenizer_config_json = buf_str(&config)};
    if (tokenizer_open(&t, &files, &err) < 0) {
        printf("%s\n", err.msg);
        return 1;
    }
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : SIZE_MAX;
    int r = run(t, buf_str(&lines), buf_str(&tokens), count);
    tokenizer_close(t);
    buf_fini(&json);
    buf_fini(&config);
    buf_fini(&lines);
    buf_fini(&tokens);
    return r;
}
