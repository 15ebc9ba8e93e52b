/* fetch/offline.c - a pull that may not ask the hub: what the cache has, whole
 * and with the right bytes, or a sentence that says why not. */
#include "fetch/digest.h"
#include "fetch/result.h"
#include "hub/cache.h"

static int check(struct session *s, const struct cache_file *f, struct err *err)
{
    if (f->hash.kind == HUB_HASH_NONE)
        return 0; /* nothing says what it must be */
    struct digest *d = digest_new(f->hash.kind, f->size);
    s->progress.file = f->name;
    int r = digest_file(d, f->fd, f->size, s, &s->progress.done, err);
    if (r == 0 && strcmp(digest_end(d).hex, f->hash.hex) != 0)
        r = err_set(err, E_WRONG_HASH,
                    "the bytes of %s in the cache are not those that the hub "
                    "listed. Pull again without HF_HUB_OFFLINE",
                    f->name);
    digest_free(d);
    return r;
}

static int check_all(struct session *s, const struct cache_files *files,
                     struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < files->n; i++)
        s->progress.all += files->v[i].size;
    session_phase(s, "verifying");
    for (size_t i = 0; i < files->n && r == 0; i++)
        r = check(s, &files->v[i], err);
    return r;
}

static int answer(struct session *s, const char *commit,
                  const struct cache_files *files, struct err *err)
{
    struct wire_map done, m = session_result(s, &done);
    wire_kz(&m, "repo", s->params.name.id);
    wire_kz(&m, "revision", s->params.name.revision);
    wire_kz(&m, "commit", commit);
    wire_kbool(&m, "gated", false);
    wire_kz(&m, "licence", "");
    wire_kuint(&m, "bytes", s->progress.all);
    wire_kuint(&m, "downloaded", 0);
    result_snapshot(&m, &s->params, commit);
    wire_key(&m, "files");
    wire_put_array(m.out, files->n);
    for (size_t i = 0; i < files->n; i++)
        result_file(m.out, str_of(files->v[i].name), files->v[i].size,
                    &files->v[i].hash);
    return session_done(s, &done, &m, NULL, 0, err);
}

int offline_run(struct session *s, struct err *err)
{
    char commit[HUB_COMMIT_MAX];
    struct cache_files files = {0};
    int r = cache_resolve(s->params.cache, &s->params.name, commit, NULL);
    if (r < 0)
        return err_set(
            err, E_HUB_UNREACHABLE,
            "%s (revision %s) is not in the cache, and HF_HUB_OFFLINE "
            "forbids to ask the hub",
            s->params.name.id, s->params.name.revision);
    r = cache_open(s->params.cache, s->params.name.id, commit, &files, err);
    if (r == 0)
        r = check_all(s, &files, err);
    if (r == 0)
        r = answer(s, commit, &files, err);
    cache_files_fini(&files);
    return r;
}
