/* fetch/params.c - what a JOB asks, copied out of its frame and checked. */
#include "base/mem.h"
#include "fetch/session.h"
#include <errno.h>

static int copy(const struct wire_node *map, const char *key, char *out,
                size_t size, struct err *err)
{
    if (!str_to_z(wire_text(map, key), out, size))
        return err_set(err, E_INVALID_REQUEST,
                       "the parameter %s is too long or holds a NUL", key);
    for (const char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return err_set(err, E_INVALID_REQUEST,
                           "the parameter %s holds a control character", key);
    return 0;
}

static int absolute(const char *key, const char *path, struct err *err)
{
    if (path[0] && path[0] != '/')
        return err_set(err, E_INVALID_REQUEST, "%s must be an absolute path",
                       key);
    return 0;
}

static int copy_all(const struct wire_node *map, struct fetch_params *p,
                    struct err *err)
{
    const struct {
        const char *key;
        char *to;
        size_t size;
        bool path;
    } texts[] = {
        {"commit", p->commit, sizeof(p->commit), false},
        {"endpoint", p->endpoint, sizeof(p->endpoint), false},
        {"token", p->token, sizeof(p->token), false},
        {"cache", p->cache, sizeof(p->cache), true},
        {"folder", p->folder, sizeof(p->folder), true},
        {"proxy", p->proxy, sizeof(p->proxy), false},
        {"no_proxy", p->no_proxy, sizeof(p->no_proxy), false},
        {"ca_file", p->ca_file, sizeof(p->ca_file), true},
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(texts) && r == 0; i++) {
        r = copy(map, texts[i].key, texts[i].to, texts[i].size, err);
        if (r == 0 && texts[i].path)
            r = absolute(texts[i].key, texts[i].to, err);
    }
    return r;
}

static int read_name(const struct wire_node *map, struct fetch_params *p,
                     struct err *err)
{
    struct str repo = wire_text(map, "repo");
    struct str revision = wire_text(map, "revision");
    if (!repo.n)
        return 0;
    int r = hub_name_parse(repo, &p->name, err);
    if (r == 0 && memchr(repo.p, '@', repo.n))
        r = err_set(err, E_INVALID_REQUEST, "repo must not hold a revision");
    if (r == 0 && revision.n)
        r = hub_revision_parse(revision, p->name.revision, err);
    if (r == 0 && p->commit[0] && !hub_is_commit(str_of(p->commit)))
        r = err_set(err, E_INVALID_REQUEST, "commit is no commit");
    return r;
}

static int read_files(const struct wire_node *map, struct fetch_params *p,
                      struct err *err)
{
    const struct wire_node *list = wire_get(map, "files");
    if (!list || list->kind != WIRE_ARRAY || list->count == 0)
        return 0;
    p->files = mem_try(list->count, sizeof(*p->files));
    if (!p->files)
        return err_set(err, ENOMEM, "out of memory");
    for (const struct wire_node *v = wire_first(list); v;
         v = wire_next(list, v)) {
        if (v->kind != WIRE_TEXT)
            return err_set(err, E_INVALID_REQUEST, "files must be text");
        p->files[p->n_files++] = str_n(mem_strndup(v->s), v->s.n);
    }
    return 0;
}

int params_read(const struct wire_node *map, struct fetch_params *ret,
                struct err *err)
{
    int r = copy_all(map, ret, err);
    if (r == 0)
        r = read_name(map, ret, err);
    if (r == 0)
        r = read_files(map, ret, err);
    ret->offline = wire_bool(map, "offline", false);
    size_t n = strlen(ret->endpoint);
    while (n > 0 && ret->endpoint[n - 1] == '/')
        ret->endpoint[--n] = 0;
    return r;
}

void params_fini(struct fetch_params *p)
{
    explicit_bzero(p->token, sizeof(p->token));
    for (size_t i = 0; i < p->n_files; i++)
        free((char *)p->files[i].p);
    free(p->files);
    p->files = NULL;
    p->n_files = 0;
}
