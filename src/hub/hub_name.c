/* hub/hub_name.c - names of models and revisions, judged by character. */
#include "hub/hub_name.h"
#include <errno.h>
#include <stdio.h>

enum { SEGMENT_MAX = 96 };

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9');
}

static bool is_edge(char c)
{
    return is_alnum(c) || c == '_';
}

static bool holds(struct str s, const char *z)
{
    return s.n > 0 && memmem(s.p, s.n, z, strlen(z));
}

static const char *segment_fault(struct str s)
{
    if (s.n == 0)
        return "a part of it is empty";
    if (s.n > SEGMENT_MAX)
        return "a part of it is longer than 96 characters";
    for (size_t i = 0; i < s.n; i++)
        if (!is_edge(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return "it may hold letters, digits, '-', '_' and '.' only";
    if (!is_edge(s.p[0]) || !is_edge(s.p[s.n - 1]))
        return "no part of it may begin or end with '-' or '.'";
    return NULL;
}

/* What is wrong with "org/name", or NULL. */
static const char *id_fault(struct str id)
{
    const char *slash = id.n ? memchr(id.p, '/', id.n) : NULL;
    struct str name = id;
    const char *bad = NULL;
    if (slash) {
        size_t at = (size_t)(slash - id.p);
        name = str_n(slash + 1, id.n - at - 1);
        bad = segment_fault(str_n(id.p, at));
        if (!bad && memchr(name.p, '/', name.n))
            bad = "it has more than one '/'";
    }
    if (!bad)
        bad = segment_fault(name);
    if (!bad && (holds(id, "--") || holds(id, "..")))
        bad = "it may not hold \"--\" or \"..\"";
    if (!bad && str_ends(id, ".git"))
        bad = "it may not end in \".git\"";
    return bad;
}

static const char *revision_fault(struct str s)
{
    if (s.n == 0 || s.n >= HUB_REVISION_MAX)
        return "it must have 1 to 255 characters";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : '/';
        char before = i > 0 ? s.p[i - 1] : '/';
        if (!is_edge(c) && !memchr("-.+/", c, 4)) /* a NUL is none */
            return "it may hold letters, digits and ._+-/ only";
        if (c == '/' && (before == '/' || next == '/'))
            return "a part of it is empty";
        if (c == '.' && (before == '/' || next == '/' || next == '.'))
            return "no part of it may begin or end with '.' or hold \"..\"";
    }
    return NULL;
}

int hub_revision_parse(struct str text, char *out, struct err *err)
{
    const char *bad = revision_fault(text);
    if (bad)
        return err_set(err, E_INVALID_REQUEST, "\"%.*s\" is no revision: %s",
                       (int)(text.n < 100 ? text.n : 100), text.n ? text.p : "",
                       bad);
    memcpy(out, text.p, text.n);
    out[text.n] = 0;
    return 0;
}

int hub_name_parse(struct str text, struct hub_name *ret, struct err *err)
{
    const char *at = text.n ? memchr(text.p, '@', text.n) : NULL;
    struct str id = text, revision = str_of("main");
    if (at) {
        id.n = (size_t)(at - text.p);
        revision = str_n(at + 1, text.n - id.n - 1);
    }
    const char *bad = id_fault(id);
    if (bad)
        return err_set(err, E_INVALID_REQUEST,
                       "\"%.*s\" is no model name: %s. Names look like "
                       "org/name, name or org/name@revision",
                       (int)(id.n < 100 ? id.n : 100), id.n ? id.p : "", bad);
    struct hub_name name;
    int r = hub_revision_parse(revision, name.revision, err);
    if (r < 0)
        return r;
    memcpy(name.id, id.p, id.n);
    name.id[id.n] = 0;
    *ret = name;
    return 0;
}

bool hub_is_commit(struct str text)
{
    if (text.n != HUB_COMMIT_MAX - 1)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!strchr("0123456789abcdef", text.p[i]) || !text.p[i])
            return false;
    return true;
}

void hub_folder_name(const char *id, char *out)
{
    const char *slash = strchr(id, '/');
    if (slash)
        snprintf(out, HUB_FOLDER_MAX, "models--%.*s--%s", (int)(slash - id), id,
                 slash + 1);
    else
        snprintf(out, HUB_FOLDER_MAX, "models--%s", id);
}

bool hub_folder_id(struct str folder, char *out)
{
    if (!str_starts(folder, "models--") || folder.n >= HUB_FOLDER_MAX)
        return false;
    struct str id = str_n(folder.p + 8, folder.n - 8);
    const char *sep = memmem(id.p, id.n, "--", 2);
    size_t org = sep ? (size_t)(sep - id.p) : 0;
    int n = sep ? snprintf(out, HUB_ID_MAX, "%.*s/%.*s", (int)org, id.p,
                           (int)(id.n - org - 2), sep + 2)
                : snprintf(out, HUB_ID_MAX, "%.*s", (int)id.n, id.p);
    return n > 0 && n < HUB_ID_MAX && !id_fault(str_n(out, (size_t)n));
}
