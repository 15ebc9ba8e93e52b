/* arch/card.c - what README.md's front matter says of a model.
 *
 * YAML in general is not read: a line "key: value" at the start of the line is
 * how all of them write the two that matter here.
 */
#include "arch/card.h"
#include "base/utf8.h"
#include <unistd.h>

enum { CARD_BYTES = 16384 }; /* of README.md; the front matter is its start */

/* The next line of *text, without its end. */
static struct str next_line(struct str *text)
{
    const char *end = memchr(text->p, '\n', text->n);
    size_t n = end ? (size_t)(end - text->p) : text->n;
    struct str line = str_n(text->p, n);
    n += end != NULL;
    text->p += n;
    text->n -= n;
    while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
        line.n--;
    return line;
}

/* The line's value without quotes, if it is that key's and none was there. */
static void take(struct str line, const char *key, char *out)
{
    size_t n = strlen(key);
    if (out[0] || !str_starts(line, key) || line.n == n || line.p[n] != ':')
        return;
    struct str v = str_n(line.p + n + 1, line.n - n - 1);
    while (v.n && (*v.p == ' ' || *v.p == '"' || *v.p == '\''))
        v = str_n(v.p + 1, v.n - 1);
    while (v.n && (v.p[v.n - 1] == '"' || v.p[v.n - 1] == '\''))
        v.n--;
    if (!str_to_z(v, out, CARD_TEXT) || !utf8_valid(v))
        out[0] = 0;
}

void card_read(struct card *c, const struct snapshot *s)
{
    char text[CARD_BYTES];
    const struct snapshot_file *f = snapshot_find(s, "README.md");
    *c = (struct card){0};
    ssize_t n = f ? pread(f->fd, text, sizeof(text), 0) : 0;
    struct str rest = str_n(text, n > 0 ? (size_t)n : 0);
    if (!rest.n || !str_is(next_line(&rest), "---"))
        return;
    while (rest.n) {
        struct str line = next_line(&rest);
        if (str_is(line, "---"))
            return;
        take(line, "license", c->licence);
        take(line, "pipeline_tag", c->pipeline_tag);
    }
}
