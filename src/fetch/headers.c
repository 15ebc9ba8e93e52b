/* fetch/headers.c - what a plan needs of a model that is not here: its small
 * files whole, and of each *.safetensors the beginning up to the end of its
 * header, as sealed memfds. Nothing is written to the cache.
 */
#include "base/mem.h"
#include "fetch/digest.h"
#include "fetch/listing.h"
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    WHOLE_MAX = 1 << 20,    /* larger files are only named */
    FIRST_BYTES = 64 << 10, /* of a *.safetensors, in the first request */
    HEADER_MAX = 100000000, /* the format's own limit */
    ALL_MAX = 256 << 20,    /* of all that is held in memory */
    SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL,
};

struct headers_file {
    struct session *s;
    const struct hub_entry *entry;
    const char *name; /* terminated */
    int fd;           /* the memfd; -1: only named */
    uint64_t have;    /* bytes in it */
    bool whole;       /* all of the file: its hash is checked */
    struct digest *digest;
};

static int file_begin(struct transfer *t, struct err *err)
{
    struct headers_file *f = t->ctx;
    (void)err;
    f->s->progress.file = f->name;
    t->from = f->have;
    return 0;
}

static int file_restart(struct transfer *t, struct err *err)
{
    struct headers_file *f = t->ctx;
    f->s->progress.done -= f->have;
    f->have = 0;
    if (f->digest)
        digest_restart(f->digest);
    if (ftruncate(f->fd, 0))
        return err_set(err, errno, "cannot cut a memfd");
    return 0;
}

static int file_data(struct transfer *t, const void *p, size_t n,
                     struct err *err)
{
    struct headers_file *f = t->ctx;
    if (lseek(f->fd, (off_t)f->have, SEEK_SET) < 0 ||
        fs_write_all(f->fd, p, n) < 0)
        return err_set(err, ENOMEM, "out of memory for %s", f->name);
    if (f->digest)
        digest_add(f->digest, p, n);
    f->have += n;
    f->s->progress.done += n;
    return 0;
}

static int file_end(struct transfer *t, struct err *err)
{
    struct headers_file *f = t->ctx;
    if (!f->digest || !strcmp(digest_end(f->digest).hex, f->entry->hash.hex))
        return 0;
    return err_set(err, E_WRONG_HASH,
                   "the bytes of %s are not those that the hub lists", f->name);
}

static const struct transfer_ops file_ops = {file_begin, file_restart,
                                             file_data, file_end};

static bool is_tensors(const struct headers_file *f)
{
    return str_ends(f->entry->name, ".safetensors");
}

static int prepare(struct headers_file *f, struct session *s,
                   const struct hub_entry *e, struct err *err)
{
    *f = (struct headers_file){.s = s, .entry = e, .name = e->name.p, .fd = -1};
    bool tensors = is_tensors(f);
    f->whole = !tensors && e->size <= WHOLE_MAX && !str_ends(e->name, ".gguf");
    if (!f->whole && !tensors)
        return 0;
    if (f->whole)
        f->digest = digest_new(e->hash.kind, e->size);
    f->fd = memfd_create("header", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return f->fd < 0 ? err_set(err, errno, "cannot make a memfd") : 0;
}

/* One request for each file that is not yet as long as end says. */
static int fetch_to(struct listing *l, struct headers_file *files,
                    const uint64_t *end, struct net *net, struct err *err)
{
    struct transfer *t = mem_zero(l->n + 1, sizeof(*t));
    struct session *s = files[0].s;
    size_t n = 0;
    int r = 0;
    for (size_t i = 0; i < l->n && r == 0; i++) {
        const struct hub_entry *e = files[i].entry;
        if (files[i].fd < 0 || files[i].have >= end[i])
            continue;
        t[n] = (struct transfer){.ops = &file_ops,
                                 .ctx = &files[i],
                                 .url = listing_url(l, &s->params, e->name),
                                 .what = files[i].name,
                                 .size = e->size,
                                 .end = end[i] < e->size ? end[i] : UINT64_MAX,
                                 .hash = e->hash};
        s->progress.all += end[i] - files[i].have;
        if (!t[n++].url)
            r = err_set(err, E_TOO_LARGE, "the address of %s is too long",
                        files[i].name);
    }
    if (r == 0)
        r = net_run(net, t, n, err);
    free(t);
    return r;
}

/* Where the header of a *.safetensors ends. */
static int header_end(const struct headers_file *f, uint64_t *ret,
                      struct err *err)
{
    uint64_t n;
    if (f->have < 8 || pread(f->fd, &n, 8, 0) != 8)
        return err_set(err, E_DAMAGED_FILE, "%s is too short", f->name);
    n = le64toh(n);
    if (n > HEADER_MAX || n > f->entry->size - 8)
        return err_set(err, E_DAMAGED_FILE,
                       "%s: its header claims %llu bytes, the limit is %llu",
                       f->name, (unsigned long long)n,
                       (unsigned long long)(n > HEADER_MAX
                                                ? HEADER_MAX
                                                : f->entry->size - 8));
    *ret = 8 + n;
    return 0;
}

static int plan_ends(struct listing *l, struct headers_file *files, bool first,
                     uint64_t *end, struct err *err)
{
    uint64_t all = 0;
    int r = 0;
    for (size_t i = 0; i < l->n && r == 0; i++) {
        const struct hub_entry *e = files[i].entry;
        end[i] = files[i].fd < 0 ? 0 : e->size;
        if (files[i].fd >= 0 && is_tensors(&files[i]) && first)
            end[i] = e->size < FIRST_BYTES ? e->size : FIRST_BYTES;
        else if (files[i].fd >= 0 && is_tensors(&files[i]))
            r = header_end(&files[i], &end[i], err);
        all += end[i];
    }
    if (r == 0 && all > ALL_MAX)
        r = err_set(err, E_TOO_LARGE,
                    "the headers of this model have %llu bytes, the limit is "
                    "%d: pull it to plan it",
                    (unsigned long long)all, ALL_MAX);
    return r;
}

static int fetch_all(struct session *s, struct net *net, struct listing *l,
                     struct headers_file *files, struct err *err)
{
    uint64_t end[HUB_TAKEN_MAX];
    int r = listing_get(l, s, net, err);
    for (size_t i = 0; i < l->n && r == 0; i++)
        r = prepare(&files[i], s, &l->files[i], err);
    session_phase(s, "downloading");
    for (int pass = 0; pass < 2 && r == 0; pass++) {
        r = plan_ends(l, files, pass == 0, end, err);
        if (r == 0)
            r = fetch_to(l, files, end, net, err);
    }
    return r;
}

static int answer(struct session *s, struct listing *l,
                  struct headers_file *files, struct err *err)
{
    struct wire_map done, m = session_result(s, &done);
    int fds[HUB_TAKEN_MAX], n = 0;
    listing_put(l, &s->params, &m);
    wire_key(&m, "files");
    wire_put_array(m.out, l->n);
    for (size_t i = 0; i < l->n; i++) {
        struct wire_map f = wire_map_open(m.out);
        wire_ktext(&f, "name", files[i].entry->name);
        wire_kuint(&f, "size", files[i].entry->size);
        wire_kint(&f, "fd", files[i].fd < 0 ? -1 : n);
        wire_map_close(&f);
        if (files[i].fd < 0)
            continue;
        fcntl(files[i].fd, F_ADD_SEALS, SEALS);
        fds[n++] = files[i].fd;
        files[i].fd = -1; /* the channel's now */
    }
    return session_done(s, &done, &m, fds, n, err);
}

int headers_run(struct session *s, struct err *err)
{
    if (s->params.offline)
        return err_set(err, E_HUB_UNREACHABLE,
                       "%s is not here, and HF_HUB_OFFLINE forbids to ask the "
                       "hub",
                       s->params.name.id);
    struct net *net = net_new(s, err);
    if (!net)
        return -err->code;
    struct listing l = {0};
    struct headers_file files[HUB_TAKEN_MAX] = {0};
    int r = fetch_all(s, net, &l, files, err);
    if (r == 0)
        r = answer(s, &l, files, err);
    for (size_t i = 0; i < l.n; i++) {
        digest_free(files[i].digest);
        if (files[i].s && files[i].fd >= 0)
            close(files[i].fd);
    }
    listing_fini(&l);
    net_free(net);
    return r;
}
