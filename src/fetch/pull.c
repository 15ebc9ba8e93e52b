/* fetch/pull.c - gets a model's files: resumes, hashes on the way, and gives a
 * file its name only when its bytes are the ones that the hub listed.
 *
 * A file goes through: its lock; a blob of that name that is there already is
 * hashed and kept; else what is there of it is hashed and continued. Links and
 * the ref come last, so that a snapshot that can be seen is whole.
 */
#include "base/mem.h"
#include "fetch/digest.h"
#include "fetch/listing.h"
#include "fetch/place.h"
#include "fetch/result.h"
#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { SEAT_WAIT_MS = 50 };

struct pull;

struct pull_file {
    struct pull *pull;
    const struct hub_entry *entry;
    const char *name; /* terminated */
    struct digest *digest;
    int lock, part; /* descriptors, or -1 */
    bool present;   /* the blob was there, and is right */
    uint64_t have;  /* bytes of it, counted in progress.done */
};

struct pull {
    struct session *s;
    struct place place;
    struct listing listing;
    struct pull_file *files; /* [listing.n] */
    uint64_t downloaded;
};

static void count(struct pull_file *f, uint64_t have)
{
    f->pull->s->progress.done += have - f->have; /* modulo 2^64 on purpose */
    f->have = have;
}

static int write_at(int fd, const char *p, size_t n, uint64_t at)
{
    while (n > 0) {
        ssize_t w = pwrite(fd, p, n, (off_t)at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        p += w;
        n -= (size_t)w;
        at += (uint64_t)w;
    }
    return 0;
}

/* 1: the blob is there and right. A wrong one is fetched anew and replaced. */
static int check_present(struct pull_file *f, struct err *err)
{
    const struct hub_entry *e = f->entry;
    uint64_t moved = 0;
    int fd = place_blob(&f->pull->place, &e->hash);
    if (fd < 0)
        return 0;
    off_t size = lseek(fd, 0, SEEK_END);
    int r = 0;
    if (size >= 0 && (uint64_t)size == e->size)
        r = digest_file(f->digest, fd, e->size, f->pull->s, &moved, err);
    close(fd);
    if (r < 0)
        return r;
    bool same = !strcmp(digest_end(f->digest).hex, e->hash.hex);
    digest_restart(f->digest);
    if (!same)
        return 0;
    f->present = true;
    count(f, e->size);
    return 1;
}

static int resume(struct transfer *t, struct pull_file *f, struct err *err)
{
    const struct hub_entry *e = f->entry;
    f->part = place_partial(&f->pull->place, &e->hash, err);
    if (f->part < 0)
        return f->part;
    off_t size = lseek(f->part, 0, SEEK_END);
    uint64_t have = size < 0 ? 0 : (uint64_t)size;
    if (have > e->size && ftruncate(f->part, 0))
        return err_set(err, errno, "cannot cut a file of the cache");
    if (have > e->size)
        have = 0;
    int r = digest_file(f->digest, f->part, have, f->pull->s, NULL, err);
    count(f, have);
    t->from = have;
    return r;
}

static int file_begin(struct transfer *t, struct err *err)
{
    struct pull_file *f = t->ctx;
    if (f->part >= 0)
        return 0; /* once more: t->from is where it stopped */
    if (f->lock < 0)
        f->lock = place_lock(&f->pull->place, &f->entry->hash, err);
    if (f->lock < 0)
        return f->lock;
    f->digest = digest_new(f->entry->hash.kind, f->entry->size);
    f->pull->s->progress.file = f->name;
    int r = check_present(f, err);
    if (r > 0)
        transfer_skip(t);
    return r == 0 ? resume(t, f, err) : r < 0 ? r : 0;
}

static int file_restart(struct transfer *t, struct err *err)
{
    struct pull_file *f = t->ctx;
    if (ftruncate(f->part, 0))
        return err_set(err, errno, "cannot cut a file of the cache");
    digest_restart(f->digest);
    count(f, 0);
    return 0;
}

static int file_data(struct transfer *t, const void *p, size_t n,
                     struct err *err)
{
    struct pull_file *f = t->ctx;
    int r = write_at(f->part, p, n, t->from);
    if (r < 0)
        return err_set(err, r == -ENOSPC || r == -EDQUOT ? E_DISK_FULL : -r,
                       "cannot write %s to the cache: %s", f->name,
                       strerror(-r));
    digest_add(f->digest, p, n);
    f->pull->downloaded += n;
    f->pull->s->progress.file = f->name;
    count(f, f->have + n);
    return 0;
}

static void let_go(struct pull_file *f)
{
    digest_free(f->digest);
    f->digest = NULL;
    if (f->part >= 0 && !f->have && f->entry->size)
        place_drop_partial(&f->pull->place, &f->entry->hash);
    if (f->part >= 0)
        close(f->part);
    if (f->lock >= 0)
        close(f->lock);
    f->part = f->lock = -1;
}

static int file_end(struct transfer *t, struct err *err)
{
    struct pull_file *f = t->ctx;
    const struct hub_hash *want = &f->entry->hash;
    int r = 0;
    if (!f->present) {
        struct hub_hash is = digest_end(f->digest);
        if (strcmp(is.hex, want->hex) != 0) {
            place_drop_partial(&f->pull->place, want);
            r = err_set(err, E_WRONG_HASH,
                        "the bytes of %s are not those that the hub lists: "
                        "their %s is %.16s..., not %.16s.... Nothing was "
                        "kept: pull again, and if that repeats, do not trust "
                        "this source",
                        f->name, hub_hash_name(is.kind), is.hex, want->hex);
        } else {
            r = place_finish(&f->pull->place, want, f->part, err);
        }
    }
    let_go(f);
    return r;
}

static const struct transfer_ops file_ops = {file_begin, file_restart,
                                             file_data, file_end};

/* Files with the same bytes are one blob: fetched once. */
static bool is_repeated(const struct listing *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (!strcmp(l->files[k].hash.hex, l->files[i].hash.hex))
            return true;
    return false;
}

static uint64_t bytes_missing(struct pull *p)
{
    uint64_t need = 0;
    for (size_t i = 0; i < p->listing.n; i++) {
        const struct hub_entry *e = &p->listing.files[i];
        uint64_t part = place_blob_bytes(&p->place, &e->hash, true);
        bool there = place_blob_bytes(&p->place, &e->hash, false) == e->size;
        if (!is_repeated(&p->listing, i) && !there)
            need += part < e->size ? e->size - part : 0;
    }
    return need;
}

static int make_transfers(struct pull *p, struct transfer *t, size_t *ret_n,
                          struct err *err)
{
    struct listing *l = &p->listing;
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct pull_file *f = &p->files[i];
        *f = (struct pull_file){.pull = p,
                                .entry = &l->files[i],
                                .name = l->files[i].name.p,
                                .lock = -1,
                                .part = -1};
        if (is_repeated(l, i)) {
            count(f, f->entry->size);
            continue;
        }
        t[n] = (struct transfer){
            .ops = &file_ops,
            .ctx = f,
            .url = listing_url(l, &p->s->params, l->files[i].name),
            .what = f->name,
            .size = f->entry->size,
            .end = UINT64_MAX,
            .hash = f->entry->hash};
        if (!t[n++].url)
            return err_set(err, E_TOO_LARGE, "the address of %s is too long",
                           f->name);
    }
    *ret_n = n;
    return 0;
}

static int fetch_files(struct pull *p, struct net *net, struct err *err)
{
    struct transfer *t = mem_zero(p->listing.n + 1, sizeof(*t));
    p->files = mem_zero(p->listing.n + 1, sizeof(*p->files));
    size_t n = 0;
    int r = make_transfers(p, t, &n, err);
    p->s->progress.all = p->listing.bytes;
    session_phase(p->s, "downloading");
    if (r == 0)
        r = net_run(net, t, n, err);
    for (size_t i = 0; i < p->listing.n; i++)
        if (p->files[i].pull)
            let_go(&p->files[i]);
    free(p->files);
    free(t);
    return r;
}

/* The seat, as soon as nobody else has it: its descriptor. */
static int wait_for_seat(struct pull *p, struct err *err)
{
    for (;;) {
        int seat = place_seat(&p->place, err);
        if (seat != -EAGAIN)
            return seat;
        struct pollfd daemon = {channel_fd(p->s->channel), POLLIN, 0};
        poll(&daemon, 1, SEAT_WAIT_MS);
        int r = session_tick(p->s, err);
        if (r < 0)
            return r;
    }
}

static int place_files(struct pull *p, struct err *err)
{
    const struct fetch_params *params = &p->s->params;
    const char *commit = p->listing.info.commit;
    session_phase(p->s, "placing");
    int seat = wait_for_seat(p, err), r = seat < 0 ? seat : 0;
    for (size_t i = 0; i < p->listing.n && r == 0; i++)
        r = place_link(&p->place, commit, p->listing.files[i].name,
                       &p->listing.files[i].hash, err);
    if (r == 0 && strcmp(params->name.revision, commit) != 0)
        r = place_ref(&p->place, params->name.revision, commit, err);
    if (seat >= 0)
        close(seat);
    return r;
}

static int answer(struct pull *p, struct err *err)
{
    struct wire_map done, m = session_result(p->s, &done);
    listing_put(&p->listing, &p->s->params, &m);
    wire_kuint(&m, "downloaded", p->downloaded);
    result_snapshot(&m, &p->s->params, p->listing.info.commit);
    wire_key(&m, "files");
    wire_put_array(m.out, p->listing.n);
    for (size_t i = 0; i < p->listing.n; i++)
        result_file(m.out, p->listing.files[i].name, p->listing.files[i].size,
                    &p->listing.files[i].hash);
    return session_done(p->s, &done, &m, NULL, 0, err);
}

static int pull_online(struct pull *p, struct net *net, struct err *err)
{
    int r = listing_get(&p->listing, p->s, net, err);
    if (r == 0)
        r = place_open(&p->place, p->s->params.cache, p->s->params.name.id,
                       err);
    if (r == 0)
        r = place_room(&p->place, bytes_missing(p), p->s->params.cache, err);
    if (r == 0)
        r = fetch_files(p, net, err);
    if (r == 0)
        r = place_files(p, err);
    return r < 0 ? r : answer(p, err);
}

int pull_run(struct session *s, struct err *err)
{
    if (!s->params.name.id[0])
        return err_set(err, E_INVALID_REQUEST, "pull without \"repo\"");
    if (s->params.offline)
        return offline_run(s, err);
    struct net *net = net_new(s, err);
    if (!net)
        return -err->code;
    struct pull p = {.s = s, .place = PLACE_NONE};
    int r = pull_online(&p, net, err);
    place_close(&p.place);
    listing_fini(&p.listing);
    net_free(net);
    return r;
}
