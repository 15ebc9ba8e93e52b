/* model/safetensors.c - the headers of safetensors files, every word checked.
 *
 * Sizes are compared with the bytes that are really there before anything is
 * allocated; work is linear in the header but for one sort per file.
 */
#include "model/safetensors.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/size.h"
#include "model/damage.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_DEPTH = 8,
    INDEX_BYTES_MAX = 32 << 20,
    NAMES_BYTES_MAX = 1 << 29,
    LENGTH_BYTES = 8, /* the u64 before the header */
};

/* All n bytes at offset, or an error. */
static int read_at(const struct snapshot_file *f, void *p, size_t n,
                   uint64_t offset, struct err *err)
{
    char *to = p;
    while (n > 0) {
        ssize_t got = pread(f->fd, to, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(err, errno, "%s: cannot read: %s", f->name,
                           strerror(errno));
        if (got == 0)
            return damage_set(err,
                              "%s: ends at byte %" PRIu64
                              ", where %zu more bytes should be",
                              f->name, offset, n);
        to += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

char *tensor_shape_text(const uint64_t *shape, int n_dims, char *buf)
{
    size_t at = 0;
    at += (size_t)snprintf(buf, TENSOR_SHAPE_TEXT, "[");
    for (int i = 0; i < n_dims && at < TENSOR_SHAPE_TEXT; i++)
        at += (size_t)snprintf(buf + at, TENSOR_SHAPE_TEXT - at, "%s%" PRIu64,
                               i ? ", " : "", shape[i]);
    if (at < TENSOR_SHAPE_TEXT)
        snprintf(buf + at, TENSOR_SHAPE_TEXT - at, "]");
    return buf;
}

/* FNV-1a. */
static uint64_t hash_name(const char *z)
{
    uint64_t h = 0xcbf29ce484222325;
    for (; *z; z++)
        h = (h ^ (unsigned char)*z) * 0x100000001b3;
    return h ^ h >> 32;
}

/* The slot of a name: the one that holds it, or the free one where it goes. */
static uint32_t *slot_of(const struct tensors *t, const char *name)
{
    size_t mask = t->n_slots - 1, i = hash_name(name) & mask;
    while (t->slots[i] && strcmp(t->all[t->slots[i] - 1].name, name) != 0)
        i = (i + 1) & mask;
    return &t->slots[i];
}

const struct tensor *tensors_find(const struct tensors *t, const char *name)
{
    if (t->n == 0)
        return NULL;
    uint32_t slot = *slot_of(t, name);
    return slot ? &t->all[slot - 1] : NULL;
}

/* Makes room for n more tensors, in the list and in the slots. */
static int reserve(struct tensors *t, size_t n, struct err *err)
{
    size_t cap, n_slots = 64;
    if (!size_add(t->n, n, &cap) || cap > UINT32_MAX / 4)
        return damage_set(err, "too many tensors");
    while (n_slots < 2 * cap)
        n_slots *= 2;
    struct tensor *all = mem_try(cap + 1, sizeof(*all));
    uint32_t *slots = mem_try(n_slots, sizeof(*slots));
    if (!all || !slots) {
        free(all);
        free(slots);
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "no memory to list %zu tensors", cap);
    }
    if (t->n)
        memcpy(all, t->all, t->n * sizeof(*all));
    free(t->all);
    free(t->slots);
    t->all = all;
    t->slots = slots;
    t->cap = cap;
    t->n_slots = n_slots;
    for (size_t i = 0; i < t->n; i++)
        *slot_of(t, all[i].name) = (uint32_t)i + 1;
    return 0;
}

static int parse_shape(struct tensor *t, struct json v, struct err *err)
{
    if (json_type(v) != JSON_ARRAY)
        return damage_set(err, "shape is not an array");
    if (json_count(v) > TENSOR_DIMS_MAX)
        return damage_set(err, "shape has %zu dimensions; at most %d are known",
                          json_count(v), TENSOR_DIMS_MAX);
    size_t elements = 1;
    char text[DAMAGE_VALUE];
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        int64_t n;
        if (!json_to_int(it.value, 0, INT64_MAX, &n))
            return damage_set(err, "shape[%d] is %s, not a whole number >= 0",
                              t->n_dims, damage_value(it.value, text));
        t->shape[t->n_dims++] = (uint64_t)n;
        if (!size_mul(elements, (size_t)n, &elements))
            return damage_set(err, "the product of its shape overflows");
    }
    t->elements = elements;
    return 0;
}

static int parse_offsets(struct tensor *t, struct json v, struct err *err)
{
    int64_t ends[2];
    char text[DAMAGE_VALUE];
    int n = 0;
    if (json_type(v) != JSON_ARRAY || json_count(v) != 2)
        return damage_set(err, "data_offsets is not an array of two numbers");
    for (struct json_iter it = json_iter(v); json_next(&it); n++)
        if (!json_to_int(it.value, 0, INT64_MAX, &ends[n]))
            return damage_set(err,
                              "data_offsets[%d] is %s, not a whole number >= 0",
                              n, damage_value(it.value, text));
    if (ends[1] < ends[0])
        return damage_set(err,
                          "data_offsets end at %" PRId64
                          " before they begin at %" PRId64,
                          ends[1], ends[0]);
    t->offset = (uint64_t)ends[0];
    t->bytes = (uint64_t)(ends[1] - ends[0]);
    return 0;
}

static int parse_dtype(struct tensor *t, struct json v, struct err *err)
{
    struct str s;
    if (!json_to_str(v, &s))
        return damage_set(err, "dtype is not a string");
    if (!dtype_from_name(s, &t->dtype))
        return damage_set(err, "its dtype '%.*s' is not known",
                          s.n > 40 ? 40 : (int)s.n, s.p);
    return 0;
}

/* {"dtype", "shape", "data_offsets"}, all three and nothing else. The JSON
 * reader has refused duplicates, so three known keys are the three. */
static int parse_entry(struct tensor *t, struct json v, struct err *err)
{
    int r = 0;
    if (json_type(v) != JSON_OBJECT)
        return damage_set(err, "is not an object");
    if (json_count(v) != 3)
        return damage_set(err,
                          "has %zu fields where dtype, shape and "
                          "data_offsets should be",
                          json_count(v));
    for (struct json_iter it = json_iter(v); r == 0 && json_next(&it);) {
        if (str_is(it.key, "dtype"))
            r = parse_dtype(t, it.value, err);
        else if (str_is(it.key, "shape"))
            r = parse_shape(t, it.value, err);
        else if (str_is(it.key, "data_offsets"))
            r = parse_offsets(t, it.value, err);
        else
            r = damage_set(err, "has an unknown field '%.*s'",
                           it.key.n > 40 ? 40 : (int)it.key.n, it.key.p);
    }
    if (r < 0)
        return r;
    size_t bits;
    char shape[TENSOR_SHAPE_TEXT];
    if (!size_mul(t->elements, dtype_bits(t->dtype), &bits) || bits % 8 ||
        bits / 8 != t->bytes)
        return damage_set(err,
                          "a shape of %s in %s is not the %" PRIu64
                          " bytes of its data_offsets",
                          tensor_shape_text(t->shape, t->n_dims, shape),
                          dtype_name(t->dtype), t->bytes);
    return 0;
}

static int check_metadata(struct json v, struct err *err)
{
    struct str text;
    if (json_type(v) != JSON_OBJECT)
        return damage_set(err, "__metadata__ is not an object");
    for (struct json_iter it = json_iter(v); json_next(&it);)
        if (!json_to_str(it.value, &text))
            return damage_set(err, "__metadata__: '%.*s' is not a string",
                              it.key.n > 40 ? 40 : (int)it.key.n, it.key.p);
    return 0;
}

static int add_tensor(struct tensors *t, const struct snapshot_file *f,
                      struct json_iter *it, struct err *err)
{
    char name[TENSOR_NAME_MAX + 1];
    if (!str_to_z(it->key, name, sizeof(name)) || !name[0])
        return damage_set(err,
                          "the name of tensor %zu is empty, holds a zero "
                          "byte, or is longer than %d bytes",
                          t->n, TENSOR_NAME_MAX);
    struct tensor *e = &t->all[t->n];
    *e = (struct tensor){.file = f};
    int r = parse_entry(e, it->value, err);
    if (r < 0)
        return err_prefix(err, "tensor '%.100s'", name);
    uint32_t *slot = slot_of(t, name);
    if (*slot)
        return damage_set(err, "tensor '%.100s' is in %s too", name,
                          t->all[*slot - 1].file->name);
    e->name = arena_str(&t->names, it->key);
    if (!e->name)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "no memory for the names of tensors");
    *slot = (uint32_t)++t->n;
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const struct tensor *x = *(const struct tensor *const *)a;
    const struct tensor *y = *(const struct tensor *const *)b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The file's own tensors, all[first..n), lie end to end over all its data. */
static int check_layout(struct tensors *t, size_t first, uint64_t data_bytes,
                        struct err *err)
{
    size_t n = t->n - first;
    const struct tensor **order = mem_try(n + 1, sizeof(*order));
    if (!order)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "no memory to order %zu tensors", n);
    for (size_t i = 0; i < n; i++)
        order[i] = &t->all[first + i];
    qsort(order, n, sizeof(*order), by_offset);
    uint64_t end = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (order[i]->offset != end)
            r = damage_set(err,
                           "tensor '%.100s': data_offsets begin at %" PRIu64
                           " where the one before it ends at %" PRIu64,
                           order[i]->name, order[i]->offset, end);
        else if (order[i]->bytes > data_bytes - end)
            r = damage_set(err,
                           "tensor '%.100s': data_offsets end at %" PRIu64
                           ", past the %" PRIu64 " bytes of data",
                           order[i]->name, order[i]->offset + order[i]->bytes,
                           data_bytes);
        else
            end += order[i]->bytes;
    }
    free(order);
    if (r == 0 && end != data_bytes)
        r = damage_set(
            err, "tensors end at %" PRIu64 " of %" PRIu64 " bytes of data", end,
            data_bytes);
    return r;
}

/* Adds what the header's JSON says; data begins at base in the file. */
static int parse_header(struct tensors *t, const struct snapshot_file *f,
                        struct json root, uint64_t base, struct err *err)
{
    size_t first = t->n;
    if (json_type(root) != JSON_OBJECT)
        return damage_set(err, "the header is not a JSON object");
    int r = reserve(t, json_count(root), err);
    for (struct json_iter it = json_iter(root); r == 0 && json_next(&it);) {
        if (str_is(it.key, "__metadata__"))
            r = check_metadata(it.value, err);
        else
            r = add_tensor(t, f, &it, err);
    }
    if (r == 0)
        r = check_layout(t, first, f->size - base, err);
    if (r == 0)
        for (size_t i = first; i < t->n; i++)
            t->all[i].offset += base;
    return r;
}

/* The header's length, checked against the file's before it is believed. */
static int header_length(const struct snapshot_file *f, size_t *ret,
                         struct err *err)
{
    unsigned char le[LENGTH_BYTES];
    if (f->size < LENGTH_BYTES)
        return damage_set(err, "%s: %" PRIu64 " bytes are too few for a header",
                          f->name, f->size);
    int r = read_at(f, le, sizeof(le), 0, err);
    if (r < 0)
        return r;
    uint64_t n = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        n = n << 8 | le[i];
    if (n > TENSORS_HEADER_MAX)
        return damage_set(
            err, "%s: a header of %" PRIu64 " bytes is over the limit of %d",
            f->name, n, TENSORS_HEADER_MAX);
    if (n < 2 || n > f->size - LENGTH_BYTES)
        return damage_set(err,
                          "%s: a header of %" PRIu64
                          " bytes does not fit a file of %" PRIu64 " bytes",
                          f->name, n, f->size);
    *ret = (size_t)n;
    return 0;
}

/* -E_DAMAGED_FILE at once when the descriptor ends before the header does. */
static int check_present(const struct snapshot_file *f, size_t n,
                         struct err *err)
{
    struct stat st;
    if (fs_fstat(f->fd, &st))
        return err_set(err, errno, "%s: %s", f->name, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return damage_set(err, "%s: is not a regular file", f->name);
    if ((uint64_t)st.st_size < LENGTH_BYTES + n)
        return damage_set(err,
                          "%s: %lld bytes are there and its header needs "
                          "%zu",
                          f->name, (long long)st.st_size, LENGTH_BYTES + n);
    return 0;
}

static int add_file(struct tensors *t, const struct snapshot_file *f,
                    struct err *err)
{
    size_t n = 0;
    int r = header_length(f, &n, err);
    if (r == 0)
        r = check_present(f, n, err);
    if (r < 0)
        return r;
    char *text = mem_try(n, 1);
    struct json_doc *doc = NULL;
    if (!text)
        return err_set(err, E_INSUFFICIENT_MEMORY,
                       "%s: no memory for a header of %zu bytes", f->name, n);
    r = read_at(f, text, n, LENGTH_BYTES, err);
    if (r < 0)
        goto out;
    if (text[0] != '{') {
        r = damage_set(err, "%s: its header does not begin with '{'", f->name);
        goto out;
    }
    doc = json_parse(str_n(text, n), TENSORS_HEADER_MAX, HEADER_DEPTH, err);
    r = doc ? parse_header(t, f, json_root(doc), LENGTH_BYTES + n, err)
            : damage_json(err);
    if (r < 0)
        r = err_prefix(err, "%s", f->name);
out:
    json_free(doc);
    free(text);
    return r;
}

static const struct snapshot_file *find_in(const struct snapshot *s,
                                           const char *folder, struct str name)
{
    char path[SNAPSHOT_NAME_MAX + 1];
    size_t n = strlen(folder);
    if (n >= sizeof(path) || !str_to_z(name, path + n, sizeof(path) - n))
        return NULL;
    memcpy(path, folder, n);
    return snapshot_find(s, path);
}

/* Which files the weight map names, as flags. */
static int mark_shards(const struct snapshot *s, const char *folder,
                       struct json map, bool *wanted, struct err *err)
{
    for (struct json_iter it = json_iter(map); json_next(&it);) {
        struct str name;
        if (!json_to_str(it.value, &name))
            return damage_set(err, "weight_map: '%.*s' is not a string",
                              it.key.n > 100 ? 100 : (int)it.key.n, it.key.p);
        const struct snapshot_file *f = find_in(s, folder, name);
        if (!f)
            return damage_set(err,
                              "weight_map names the file '%.*s', which is "
                              "missing from the model's files",
                              name.n > 100 ? 100 : (int)name.n, name.p);
        wanted[f - s->files] = true;
    }
    return 0;
}

/* Every tensor of the map is in the file that the map says. */
static int check_map(const struct tensors *t, const struct snapshot *s,
                     const char *folder, struct json map, struct err *err)
{
    for (struct json_iter it = json_iter(map); json_next(&it);) {
        char name[TENSOR_NAME_MAX + 1];
        struct str file = {0};
        const struct tensor *found =
            str_to_z(it.key, name, sizeof(name)) ? tensors_find(t, name) : NULL;
        if (!json_to_str(it.value, &file) || !found ||
            found->file != find_in(s, folder, file))
            return damage_set(err, "weight_map: tensor '%.*s' is not in '%.*s'",
                              it.key.n > 100 ? 100 : (int)it.key.n, it.key.p,
                              file.n > 100 ? 100 : (int)file.n, file.p);
    }
    return 0;
}

static int add_shards(struct tensors *t, const struct snapshot *s,
                      const char *folder, struct json root, struct err *err)
{
    bool wanted[SNAPSHOT_FILES_MAX] = {false};
    struct json map = json_get(root, "weight_map");
    if (json_type(map) != JSON_OBJECT || json_count(map) == 0)
        return damage_set(err, "weight_map is not an object with entries");
    int r = mark_shards(s, folder, map, wanted, err);
    for (size_t i = 0; r == 0 && i < s->n; i++)
        if (wanted[i])
            r = add_file(t, &s->files[i], err);
    return r < 0 ? r : check_map(t, s, folder, map, err);
}

static int open_index(struct tensors *t, const struct snapshot *s,
                      const char *folder, const struct snapshot_file *f,
                      struct err *err)
{
    struct buf text = BUF_MAX(INDEX_BYTES_MAX);
    int r = snapshot_read(s, f->name, INDEX_BYTES_MAX, false, &text, err);
    if (r == 0) {
        struct json_doc *doc =
            json_parse(buf_str(&text), INDEX_BYTES_MAX, HEADER_DEPTH, err);
        r = doc ? add_shards(t, s, folder, json_root(doc), err)
                : damage_json(err);
        if (r < 0)
            r = err_prefix(err, "%s", f->name);
        json_free(doc);
    }
    buf_fini(&text);
    return r;
}

int tensors_open(struct tensors *t, const struct snapshot *s,
                 const char *folder, struct err *err)
{
    *t = (struct tensors){.names = ARENA_MAX(NAMES_BYTES_MAX)};
    const struct snapshot_file *one =
        find_in(s, folder, str_of("model.safetensors"));
    const struct snapshot_file *index =
        find_in(s, folder, str_of("model.safetensors.index.json"));
    int r;
    if (one)
        r = add_file(t, one, err);
    else if (index)
        r = open_index(t, s, folder, index, err);
    else
        r = err_set(err, E_DAMAGED_FILE,
                    "the model has no weights in the safetensors format: "
                    "%smodel.safetensors is missing",
                    folder);
    if (r < 0)
        tensors_fini(t);
    return r;
}

void tensors_fini(struct tensors *t)
{
    free(t->all);
    free(t->slots);
    arena_fini(&t->names);
    *t = (struct tensors){0};
}

int tensors_check_files(const struct tensors *t, struct err *err)
{
    const struct snapshot_file *last = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct snapshot_file *f = t->all[i].file;
        struct stat st;
        if (f == last)
            continue;
        if (fs_fstat(f->fd, &st))
            return err_set(err, errno, "%s: %s", f->name, strerror(errno));
        if ((uint64_t)st.st_size != f->size)
            return damage_set(err,
                              "%s: %lld bytes are there where %" PRIu64
                              " were announced",
                              f->name, (long long)st.st_size, f->size);
        last = f;
    }
    return 0;
}

int tensor_read(const struct tensor *t, uint64_t first, size_t n, float *out,
                void *scratch, struct err *err)
{
    size_t size = dtype_bits(t->dtype) / 8;
    bool direct = t->dtype == DTYPE_F32;
    assert(dtype_is_weight(t->dtype)); /* or it would outgrow the scratch */
    int r = read_at(t->file, direct ? out : scratch, n * size,
                    t->offset + first * size, err);
    if (r == 0 && !direct)
        dtype_to_f32(t->dtype, scratch, n, out);
    return r;
}
