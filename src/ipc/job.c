/* ipc/job.c - items and parts in and out of frames. */
#include "ipc/job.h"
#include "base/fs.h"
#include "base/size.h"
#include "base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK };

static const char *const kind_names[] = {"text", "tokens", "bytes", "tensor"};

static size_t item_bytes(const struct item *item)
{
    size_t n = 0;
    for (size_t i = 0; i < item->n_parts; i++)
        n += item->parts[i].data.n;
    return n;
}

size_t items_bytes(const struct item *items, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += item_bytes(&items[i]);
    return sum;
}

void part_map_fini(struct part_map *map)
{
    if (map->p)
        munmap(map->p, map->n);
    *map = (struct part_map){0};
}

static int write_parts(int fd, const struct item *items, size_t n)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        for (size_t j = 0; j < items[i].n_parts && r == 0; j++)
            r = fs_write_all(fd, items[i].parts[j].data.p,
                             items[i].parts[j].data.n);
    return r;
}

int parts_seal(const struct item *items, size_t n, int *ret_fd, struct err *err)
{
    size_t bytes = items_bytes(items, n);
    if (bytes <= FRAME_INLINE_MAX) {
        *ret_fd = -1;
        return 0;
    }
    if (bytes > FRAME_DATA_MAX)
        return err_set(err, E_TOO_LARGE, "%zu bytes of input, limit %d", bytes,
                       FRAME_DATA_MAX);
    int fd = memfd_create("parts", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = fd < 0 ? -errno : write_parts(fd, items, n);
    if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS))
        r = -errno;
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        return err_set(err, -r, "cannot hold %zu bytes of input: %s", bytes,
                       strerror(-r));
    }
    *ret_fd = fd;
    return 0;
}

static void part_put(struct buf *out, const struct part *p, bool sealed,
                     size_t offset)
{
    struct wire_map m = wire_map_open(out);
    wire_kz(&m, "k", kind_names[p->kind]);
    if (p->role.n)
        wire_ktext(&m, "role", p->role);
    if (p->media.n)
        wire_ktext(&m, "media", p->media);
    if (p->kind == PART_TENSOR) {
        wire_ktext(&m, "dtype", p->dtype);
        wire_key(&m, "shape");
        wire_put_array(out, (size_t)p->rank);
        for (int i = 0; i < p->rank; i++)
            wire_put_uint(out, (uint64_t)p->shape[i]);
    }
    if (sealed) {
        wire_kuint(&m, "o", offset);
        wire_kuint(&m, "n", p->data.n);
    } else {
        wire_kbytes(&m, "d", p->data);
    }
    wire_map_close(&m);
}

void parts_put(struct buf *out, const struct item *item, bool sealed,
               size_t offset)
{
    wire_put_array(out, item->n_parts);
    for (size_t i = 0; i < item->n_parts; i++) {
        part_put(out, &item->parts[i], sealed, offset);
        offset += item->parts[i].data.n;
    }
}

void items_put(struct buf *out, const struct item *items, size_t n, bool sealed)
{
    size_t offset = 0;
    wire_put_array(out, n);
    for (size_t i = 0; i < n; i++) {
        parts_put(out, &items[i], sealed, offset);
        offset += item_bytes(&items[i]);
    }
}

static int map_data(const struct frame *f, struct part_map *map,
                    struct err *err)
{
    uint64_t bytes = wire_uint(f->body, "data", 0);
    *map = (struct part_map){0};
    if (bytes == 0 && f->n_fds == 0)
        return 0;
    struct stat st;
    if (f->n_fds != 1 || bytes == 0 || fs_fstat(f->fds[0], &st) ||
        (uint64_t)st.st_size != bytes || fcntl(f->fds[0], F_GET_SEALS) != SEALS)
        return err_set(err, E_INVALID_REQUEST,
                       "%s frame: its data are not one sealed memfd of the "
                       "size that it names",
                       frame_type_name((int)f->type));
    void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, f->fds[0], 0);
    if (p == MAP_FAILED)
        return err_set(err, errno, "cannot map the data of a frame: %s",
                       strerror(errno));
    *map = (struct part_map){p, bytes};
    return 0;
}

static int bad(struct err *err, const char *what)
{
    return err_set(err, E_INVALID_REQUEST, "a part %s", what);
}

static int read_shape(const struct wire_node *v, struct part *p,
                      struct err *err)
{
    const struct wire_node *shape = wire_get(v, "shape");
    p->dtype = wire_text(v, "dtype");
    if (!shape || shape->kind != WIRE_ARRAY || shape->count > PART_RANK_MAX ||
        p->dtype.n == 0)
        return bad(err, "is a tensor without a dtype or a shape");
    for (const struct wire_node *d = wire_first(shape); d;
         d = wire_next(shape, d)) {
        if (d->kind != WIRE_UINT || d->u > INT32_MAX)
            return bad(err, "is a tensor with a bad shape");
        p->shape[p->rank++] = (int64_t)d->u;
    }
    return 0;
}

static int read_data(const struct wire_node *v, struct arena *a,
                     const struct part_map *map, struct part *p,
                     struct err *err)
{
    const struct wire_node *d = wire_get(v, "d");
    if (d && d->kind == WIRE_BYTES) {
        p->data = str_n(arena_str(a, d->s), d->s.n);
        return p->data.p ? 0 : err_set(err, ENOMEM, "out of memory");
    }
    uint64_t at = wire_uint(v, "o", UINT64_MAX),
             n = wire_uint(v, "n", UINT64_MAX);
    if (!map->p || n > map->n || at > map->n - n)
        return bad(err, "without its data");
    p->data = str_n((const char *)map->p + at, n);
    return 0;
}

static int part_read(const struct wire_node *v, struct arena *a,
                     const struct part_map *map, struct part *p,
                     struct err *err)
{
    struct str kind = wire_text(v, "k");
    size_t k = 0;
    while (k < ARRAY_LEN(kind_names) && !str_is(kind, kind_names[k]))
        k++;
    if (k == ARRAY_LEN(kind_names))
        return bad(err, "of unknown kind");
    p->kind = (enum part_kind)k;
    struct str role = wire_text(v, "role"), media = wire_text(v, "media");
    p->role = str_n(arena_str(a, role), role.n);
    p->media = str_n(arena_str(a, media), media.n);
    if (!p->role.p || !p->media.p)
        return err_set(err, ENOMEM, "out of memory");
    int r = read_data(v, a, map, p, err);
    if (r == 0 && p->kind == PART_TENSOR) {
        r = read_shape(v, p, err);
        char *dtype = arena_str(a, p->dtype);
        p->dtype.p = dtype ? dtype : "";
    }
    if (r == 0 && p->kind == PART_TEXT && !utf8_valid(p->data))
        r = bad(err, "is text that is not valid UTF-8");
    if (r == 0 && p->kind == PART_TOKENS && p->data.n % 4)
        r = bad(err, "with tokens is not a multiple of 4 bytes");
    return r;
}

static int item_read(const struct wire_node *v, struct arena *a,
                     const struct part_map *map, struct item *ret,
                     struct err *err)
{
    if (!v || v->kind != WIRE_ARRAY || v->count > FRAME_PARTS_MAX)
        return err_set(err, E_INVALID_REQUEST, "an item is no array of parts");
    ret->n_parts = 0;
    ret->parts = arena_alloc(a, v->count, sizeof(*ret->parts));
    if (!ret->parts)
        return err_set(err, ENOMEM, "out of memory");
    for (const struct wire_node *p = wire_first(v); p; p = wire_next(v, p)) {
        int r = part_read(p, a, map, &ret->parts[ret->n_parts], err);
        if (r < 0)
            return r;
        ret->n_parts++;
    }
    return 0;
}

int parts_read(const struct frame *f, struct arena *a, struct part_map *map,
               struct item *ret, struct err *err)
{
    static const struct wire_node nothing = {.kind = WIRE_ARRAY, .size = 1};
    const struct wire_node *parts = wire_get(f->body, "parts");
    int r = map_data(f, map, err);
    if (r == 0)
        r = item_read(parts ? parts : &nothing, a, map, ret, err);
    if (r < 0)
        part_map_fini(map);
    return r;
}

int items_read(const struct frame *f, struct arena *a, struct part_map *map,
               struct item **ret, size_t *ret_n, struct err *err)
{
    const struct wire_node *v = wire_get(f->body, "items");
    size_t n = v ? v->count : 0, i = 0;
    int r = map_data(f, map, err);
    struct item *items = r < 0 ? NULL : arena_alloc(a, n, sizeof(*items));
    if (r == 0 && !items)
        r = err_set(err, ENOMEM, "out of memory");
    const struct wire_node *it = r < 0 ? NULL : wire_first(v);
    for (; it && r == 0; it = wire_next(v, it))
        r = item_read(it, a, map, &items[i++], err);
    if (r < 0) {
        part_map_fini(map);
        return r;
    }
    *ret = items;
    *ret_n = n;
    return 0;
}
