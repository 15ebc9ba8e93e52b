/* fetch/listing.c - model info, asked for and chosen from. */
#include "fetch/listing.h"
#include "base/mem.h"
#include <errno.h>

enum { ARENA_BYTES = 64 << 20 };

static int info_begin(struct transfer *t, struct err *err)
{
    (void)err;
    buf_reset(t->ctx);
    t->from = 0;
    return 0;
}

static int info_restart(struct transfer *t, struct err *err)
{
    return info_begin(t, err);
}

static int info_data(struct transfer *t, const void *p, size_t n,
                     struct err *err)
{
    if (buf_add(t->ctx, p, n) < 0)
        return err_set(
            err, E_TOO_LARGE,
            "the hub's answer about the model has more than %d bytes",
            HUB_JSON_MAX);
    return 0;
}

static int info_end(struct transfer *t, struct err *err)
{
    (void)t;
    (void)err;
    return 0;
}

static const struct transfer_ops info_ops = {info_begin, info_restart,
                                             info_data, info_end};

static int ask(struct session *s, struct net *net, struct buf *json,
               struct err *err)
{
    struct buf url = BUF_MAX(URL_MAX);
    buf_addf(&url, "%s/api/models/%s/revision/", s->params.endpoint,
             s->params.name.id);
    net_quote(&url, str_of(s->params.name.revision), false);
    buf_puts(&url, "?blobs=true");
    buf_putc(&url, 0);
    struct transfer t = {.ops = &info_ops,
                         .ctx = json,
                         .url = url.p,
                         .what = s->params.name.id,
                         .size = UINT64_MAX,
                         .end = UINT64_MAX};
    int r = url.failed ? err_set(err, E_INVALID_REQUEST,
                                 "the endpoint's address is too long")
                       : net_run(net, &t, 1, err);
    buf_fini(&url);
    return r;
}

static const struct hub_entry *find(const struct hub_info *info,
                                    struct str name)
{
    for (size_t i = 0; i < info->n_files; i++)
        if (str_eq(info->files[i].name, name))
            return &info->files[i];
    return NULL;
}

static void take(struct listing *l, const struct hub_entry *e)
{
    l->files[l->n++] = *e;
    l->bytes += e->size; /* at most 250 of at most 2^50 */
}

static int take_named(struct listing *l, const struct fetch_params *p,
                      struct err *err)
{
    if (p->n_files > HUB_TAKEN_MAX)
        return err_set(err, E_TOO_LARGE, "more than %d files are asked for",
                       HUB_TAKEN_MAX);
    for (size_t i = 0; i < p->n_files; i++) {
        const struct hub_entry *e = find(&l->info, p->files[i]);
        if (!e)
            return err_set(err, E_MODEL_NOT_FOUND, "%s has no file %.*s",
                           p->name.id, STR_FMT(p->files[i]));
        take(l, e);
    }
    return 0;
}

static int take_chosen(struct listing *l, struct err *err)
{
    bool *taken = arena_alloc(&l->arena, l->info.n_files + 1, sizeof(*taken));
    if (!taken)
        return err_set(err, ENOMEM, "out of memory");
    int r = hub_select(l->info.files, l->info.n_files, taken, err);
    if (r >= 0)
        r = hub_complete(l->info.files, l->info.n_files, err);
    for (size_t i = 0; i < l->info.n_files && r >= 0; i++)
        if (taken[i])
            take(l, &l->info.files[i]);
    return r < 0 ? r : 0;
}

static int choose(struct listing *l, const struct fetch_params *p,
                  struct err *err)
{
    l->files = arena_alloc(&l->arena, HUB_TAKEN_MAX, sizeof(*l->files));
    if (!l->files)
        return err_set(err, ENOMEM, "out of memory");
    if (hub_is_commit(str_of(p->name.revision)) &&
        strcmp(p->name.revision, l->info.commit) != 0)
        return err_set(err, E_HUB_UNREACHABLE,
                       "the hub answers with another commit than the one asked "
                       "for");
    if (l->info.disabled)
        return err_set(err, E_GATED, "%s has been disabled by the hub",
                       p->name.id);
    return p->n_files ? take_named(l, p, err) : take_chosen(l, err);
}

int listing_get(struct listing *l, struct session *s, struct net *net,
                struct err *err)
{
    if (!s->params.name.id[0] || !s->params.endpoint[0])
        return err_set(err, E_INVALID_REQUEST,
                       "\"repo\" and \"endpoint\" must be given");
    l->arena.max = ARENA_BYTES;
    struct buf json = BUF_MAX(HUB_JSON_MAX);
    session_phase(s, "resolving");
    int r = ask(s, net, &json, err);
    if (r == 0)
        r = hub_info_read(buf_str(&json), &l->arena, &l->info, err);
    if (r == 0)
        r = choose(l, &s->params, err);
    buf_fini(&json);
    return r;
}

void listing_fini(struct listing *l)
{
    arena_fini(&l->arena);
    *l = (struct listing){0};
}

const char *listing_url(struct listing *l, const struct fetch_params *p,
                        struct str name)
{
    struct buf url = BUF_MAX(URL_MAX);
    buf_addf(&url, "%s/%s/resolve/%s/", p->endpoint, p->name.id,
             l->info.commit);
    net_quote(&url, name, true);
    const char *z = url.failed ? NULL : arena_str(&l->arena, buf_str(&url));
    buf_fini(&url);
    return z;
}

void listing_put(const struct listing *l, const struct fetch_params *p,
                 struct wire_map *m)
{
    wire_kz(m, "repo", p->name.id);
    wire_kz(m, "revision", p->name.revision);
    wire_kz(m, "commit", l->info.commit);
    wire_kbool(m, "gated", l->info.gated);
    wire_ktext(m, "licence", l->info.licence);
    wire_kuint(m, "bytes", l->bytes);
}
