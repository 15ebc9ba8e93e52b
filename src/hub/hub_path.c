/* hub/hub_path.c - judges file names and hashes that a hub sent.
 *
 * A name that passes is safe to open beneath a folder on any system that a
 * shared cache may meet, so the rules of Windows and of case-blind file systems
 * count too. Case is folded for ASCII and, by their code points, for Latin,
 * Greek and Cyrillic: what those file systems take for one name.
 */
#include "hub/hub_path.h"
#include "base/mem.h"
#include "base/utf8.h"
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

static const char *character_fault(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        size_t n = utf8_decode(s.p + i, s.n - i, &cp);
        if (n == 0)
            return "it is not valid UTF-8";
        if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
            return "it holds a control character";
        if (cp == '\\' || cp == ':')
            return "it holds a '\\' or a ':'";
        if (cp == 0x2028 || cp == 0x2029 || cp == 0xfeff ||
            (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x202a && cp <= 0x202e) ||
            (cp >= 0x2066 && cp <= 0x2069))
            return "it holds an invisible character";
        i += n;
    }
    return NULL;
}

static const char *component_fault(struct str c)
{
    if (c.n == 0)
        return "a part of it is empty";
    if (c.n > HUB_COMPONENT_MAX)
        return "a part of it is longer than 255 bytes";
    if (str_is(c, ".") || str_is(c, ".."))
        return "a part of it is \".\" or \"..\"";
    if (c.p[c.n - 1] == '.' || c.p[c.n - 1] == ' ' || c.p[0] == ' ')
        return "a part of it begins or ends with a space or ends with a '.'";
    if (c.n == 4 && !strncasecmp(c.p, ".git", 4))
        return "a part of it is \".git\"";
    return NULL;
}

/* The components of s, one a call: false at the end. */
static bool next_component(struct str *s, struct str *ret)
{
    if (!s->p)
        return false;
    const char *slash = memchr(s->p, '/', s->n);
    *ret = str_n(s->p, slash ? (size_t)(slash - s->p) : s->n);
    *s = slash ? str_n(slash + 1, s->n - ret->n - 1) : (struct str){0};
    return true;
}

static const char *path_fault(struct str name)
{
    if (name.n == 0)
        return "it is empty";
    if (name.n >= HUB_PATH_MAX)
        return "it is longer than 511 bytes";
    if (name.p[0] == '/')
        return "it is absolute";
    const char *bad = character_fault(name);
    int depth = 0;
    struct str rest = name, part;
    while (!bad && next_component(&rest, &part)) {
        bad = component_fault(part);
        if (++depth > HUB_DEPTH_MAX && !bad)
            bad = "it is nested deeper than 16 folders";
    }
    return bad;
}

int hub_path_check(struct str name, struct err *err)
{
    const char *bad = path_fault(name);
    if (!bad)
        return 0;
    return err_set(err, E_DAMAGED_FILE, "the file name \"%.*s\" is refused: %s",
                   (int)(name.n < 100 ? name.n : 100), name.n ? name.p : "",
                   bad);
}

static uint32_t fold(uint32_t cp)
{
    if ((cp >= 'A' && cp <= 'Z') || (cp >= 0xC0 && cp <= 0xDE && cp != 0xD7) ||
        (cp >= 0x391 && cp <= 0x3A9) || (cp >= 0x410 && cp <= 0x42F))
        return cp + 32;
    if (cp >= 0x400 && cp <= 0x40F)
        return cp + 80;
    if (cp >= 0x100 && cp <= 0x17F && cp != 0x130 && cp != 0x131)
        return cp | 1;
    return cp;
}

/* '/' sorts first, so that a folder comes right before what is in it. */
static uint32_t rank(struct str s, size_t *at)
{
    uint32_t cp;
    if (*at == s.n)
        return 0;
    *at += utf8_decode(s.p + *at, s.n - *at, &cp);
    return cp == '/' ? 1 : fold(cp) + 1;
}

static int compare_folded(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    size_t i = 0, j = 0;
    for (;;) {
        uint32_t p = rank(*x, &i), q = rank(*y, &j);
        if (p != q)
            return p < q ? -1 : 1;
        if (p == 0)
            return 0;
    }
}

/* Is a, folded, equal to b or a folder in b? */
static bool collides(struct str a, struct str b)
{
    size_t i = 0, j = 0;
    while (i < a.n) {
        if (rank(a, &i) != rank(b, &j))
            return false;
    }
    return j == b.n || b.p[j] == '/';
}

int hub_paths_check(const struct str *names, size_t n, struct err *err)
{
    struct str *sorted = mem_try(n, sizeof(*sorted));
    if (!sorted && n > 0)
        return err_set(err, ENOMEM, "out of memory");
    int r = 0;
    for (size_t i = 0; i < n; i++)
        sorted[i] = names[i];
    if (n > 0)
        qsort(sorted, n, sizeof(*sorted), compare_folded);
    for (size_t i = 1; i < n && r == 0; i++)
        if (collides(sorted[i - 1], sorted[i]))
            r = err_set(err, E_DAMAGED_FILE,
                        "the file names \"%.*s\" and \"%.*s\" are refused: on "
                        "some file systems they are one name",
                        (int)(sorted[i - 1].n < 100 ? sorted[i - 1].n : 100),
                        sorted[i - 1].p,
                        (int)(sorted[i].n < 100 ? sorted[i].n : 100),
                        sorted[i].p);
    free(sorted);
    return r;
}

bool hub_hash_parse(struct str text, struct hub_hash *ret)
{
    if (text.n != 40 && text.n != 64)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!memchr("0123456789abcdef", text.p[i], 16))
            return false;
    ret->kind = text.n == 40 ? HUB_SHA1_GIT : HUB_SHA256;
    return str_to_z(text, ret->hex, sizeof(ret->hex));
}

bool hub_etag_parse(struct str header, struct hub_hash *ret)
{
    if (str_starts(header, "W/"))
        header = str_n(header.p + 2, header.n - 2);
    if (header.n < 2 || header.p[0] != '"' || header.p[header.n - 1] != '"')
        return false;
    return hub_hash_parse(str_n(header.p + 1, header.n - 2), ret);
}

const char *hub_hash_name(enum hub_hash_kind kind)
{
    return kind == HUB_SHA256     ? "sha256"
           : kind == HUB_SHA1_GIT ? "git-sha1"
                                  : "none";
}
