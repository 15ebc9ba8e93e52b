/* fetch/verify.c - hashes what is there and compares it with its blob's name.
 */
#include "fetch/digest.h"
#include "hub/cache.h"

struct verdict {
    struct hub_hash is;
    const char *state;
};

static int open_files(struct session *s, struct cache_files *files,
                      struct err *err)
{
    const struct fetch_params *p = &s->params;
    if (p->folder[0])
        return cache_open_folder(p->folder, files, err);
    if (p->cache[0] && p->name.id[0] && p->commit[0])
        return cache_open(p->cache, p->name.id, p->commit, files, err);
    return err_set(err, E_INVALID_REQUEST,
                   "verify wants \"folder\", or \"cache\", \"repo\" and "
                   "\"commit\"");
}

/* Where nothing says what a file must be, its sha256 is what we can tell. */
static int judge_file(struct session *s, const struct cache_file *f,
                      struct verdict *v, struct err *err)
{
    bool known = f->hash.kind != HUB_HASH_NONE;
    struct digest *d = digest_new(known ? f->hash.kind : HUB_SHA256, f->size);
    s->progress.file = f->name;
    int r = digest_file(d, f->fd, f->size, s, &s->progress.done, err);
    if (r == 0)
        v->is = digest_end(d);
    digest_free(d);
    v->state = !known                           ? "unknown"
               : strcmp(v->is.hex, f->hash.hex) ? "wrong"
                                                : "ok";
    return r;
}

static int answer(struct session *s, const struct cache_files *files,
                  const struct verdict *v, struct err *err)
{
    struct wire_map done, m = session_result(s, &done);
    uint64_t wrong = 0, unknown = 0;
    wire_key(&m, "files");
    wire_put_array(m.out, files->n);
    for (size_t i = 0; i < files->n; i++) {
        struct wire_map f = wire_map_open(m.out);
        wire_kz(&f, "name", files->v[i].name);
        wire_kuint(&f, "size", files->v[i].size);
        wire_kz(&f, "state", v[i].state);
        wire_kz(&f, "hash", v[i].is.hex);
        wire_kz(&f, "kind", hub_hash_name(v[i].is.kind));
        wire_map_close(&f);
        wrong += !strcmp(v[i].state, "wrong");
        unknown += !strcmp(v[i].state, "unknown");
    }
    wire_kuint(&m, "wrong", wrong);
    wire_kuint(&m, "unknown", unknown);
    return session_done(s, &done, &m, NULL, 0, err);
}

int verify_run(struct session *s, struct err *err)
{
    struct cache_files files = {0};
    struct verdict verdicts[HUB_TAKEN_MAX];
    int r = open_files(s, &files, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < files.n; i++)
        s->progress.all += files.v[i].size;
    session_phase(s, "verifying");
    for (size_t i = 0; i < files.n && r == 0; i++)
        r = judge_file(s, &files.v[i], &verdicts[i], err);
    if (r == 0)
        r = answer(s, &files, verdicts, err);
    cache_files_fini(&files);
    return r;
}
