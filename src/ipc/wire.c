/* ipc/wire.c - CBOR in and out, on libcbor's streaming decoder and encoders.
 *
 * The decoder keeps a stack of open containers. A map expects a text key at
 * every even child; keys are compared with their earlier siblings when the map
 * closes, in time linear in the keys through sorting for large maps.
 */
#include "ipc/wire.h"
#include "base/utf8.h"
#include <cbor.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { HEAD_MAX = 9, SMALL_MAP = 23, KEYS_LINEAR = 32 };

struct open_container {
    struct wire_node *node;
    uint64_t left; /* children still to come: values, and keys in a map */
};

struct reader {
    struct wire_node *nodes;
    size_t n, cap;
    struct open_container stack[WIRE_DEPTH_MAX];
    int depth;
    bool done; /* the one value is complete */
    const char *bad;
    struct wire_node sink; /* where nodes go once the bytes are bad */
};

static int compare_keys(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = n ? memcmp(x->p, y->p, n) : 0;
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

static void check_sorted(struct reader *r, struct str *keys, size_t n)
{
    qsort(keys, n, sizeof(*keys), compare_keys);
    for (size_t i = 1; i < n; i++)
        if (str_eq(keys[i - 1], keys[i]))
            r->bad = "a key appears twice";
}

static void check_keys(struct reader *r, const struct wire_node *map)
{
    struct str few[KEYS_LINEAR], *keys = few;
    size_t n = 0;
    if (map->count > KEYS_LINEAR)
        keys = malloc(map->count * sizeof(*keys));
    if (!keys) {
        r->bad = "out of memory";
        return;
    }
    const struct wire_node *k = map + 1;
    for (; n < map->count; k += 1 + k[1].size)
        keys[n++] = k->s;
    check_sorted(r, keys, n);
    if (keys != few)
        free(keys);
}

/* A value is complete: so are the containers that it was the last child of. */
static void complete(struct reader *r)
{
    while (r->depth > 0) {
        struct open_container *top = &r->stack[r->depth - 1];
        if (--top->left > 0)
            return;
        top->node->size = (uint32_t)(r->nodes + r->n - top->node);
        if (top->node->kind == WIRE_MAP)
            check_keys(r, top->node);
        r->depth--;
    }
    r->done = true;
}

static bool key_expected(const struct reader *r)
{
    if (r->depth == 0)
        return false;
    const struct open_container *top = &r->stack[r->depth - 1];
    return top->node->kind == WIRE_MAP && top->left % 2 == 0;
}

static struct wire_node *add(struct reader *r, enum wire_kind kind)
{
    if (!r->bad && key_expected(r) && kind != WIRE_TEXT)
        r->bad = "a key is not text";
    if (!r->bad && r->n == r->cap)
        r->bad = "too many values";
    if (r->bad)
        return &r->sink;
    struct wire_node *node = &r->nodes[r->n++];
    *node = (struct wire_node){.kind = kind, .size = 1};
    return node;
}

static void add_scalar(struct reader *r, enum wire_kind kind, uint64_t u)
{
    struct wire_node *node = add(r, kind);
    if (r->bad)
        return;
    node->u = u;
    complete(r);
}

static void add_string(struct reader *r, enum wire_kind kind, struct str s)
{
    struct wire_node *node = add(r, kind);
    if (!r->bad && kind == WIRE_TEXT && !utf8_valid(s))
        r->bad = "text is not valid UTF-8";
    if (r->bad)
        return;
    node->s = s;
    complete(r);
}

static void add_container(struct reader *r, enum wire_kind kind, uint64_t n)
{
    struct wire_node *node = add(r, kind);
    if (!r->bad && r->depth == WIRE_DEPTH_MAX)
        r->bad = "nested too deep";
    if (!r->bad && n > r->cap - r->n)
        r->bad = "too many values";
    if (r->bad)
        return;
    node->count = (uint32_t)n;
    if (n == 0) {
        complete(r);
        return;
    }
    r->stack[r->depth++] =
        (struct open_container){node, kind == WIRE_MAP ? 2 * n : n};
}

static void on_uint8(void *r, uint8_t v)
{
    add_scalar(r, WIRE_UINT, v);
}
static void on_uint16(void *r, uint16_t v)
{
    add_scalar(r, WIRE_UINT, v);
}
static void on_uint32(void *r, uint32_t v)
{
    add_scalar(r, WIRE_UINT, v);
}
static void on_uint64(void *r, uint64_t v)
{
    add_scalar(r, WIRE_UINT, v);
}
static void on_negint8(void *r, uint8_t v)
{
    add_scalar(r, WIRE_NEGINT, v);
}
static void on_negint16(void *r, uint16_t v)
{
    add_scalar(r, WIRE_NEGINT, v);
}
static void on_negint32(void *r, uint32_t v)
{
    add_scalar(r, WIRE_NEGINT, v);
}
static void on_negint64(void *r, uint64_t v)
{
    add_scalar(r, WIRE_NEGINT, v);
}
static void on_bool(void *r, bool v)
{
    add_scalar(r, WIRE_BOOL, v);
}
static void on_null(void *r)
{
    add_scalar(r, WIRE_NULL, 0);
}
static void on_float(struct reader *r, double v)
{
    struct wire_node *node = add(r, WIRE_FLOAT);
    if (r->bad)
        return;
    node->f = v;
    complete(r);
}
static void on_float4(void *r, float v)
{
    on_float(r, (double)v);
}
static void on_float8(void *r, double v)
{
    on_float(r, v);
}
static void on_bytes(void *r, cbor_data p, size_t n)
{
    add_string(r, WIRE_BYTES, str_n(p, n));
}
static void on_text(void *r, cbor_data p, size_t n)
{
    add_string(r, WIRE_TEXT, str_n(p, n));
}
static void on_array(void *r, size_t n)
{
    add_container(r, WIRE_ARRAY, n);
}
static void on_map(void *r, size_t n)
{
    add_container(r, WIRE_MAP, n);
}
static void on_refused(void *ctx)
{
    struct reader *r = ctx;
    r->bad = "an indefinite length or an undefined value";
}
static void on_tag(void *ctx, uint64_t tag)
{
    struct reader *r = ctx;
    (void)tag;
    r->bad = "a tag";
}

static const struct cbor_callbacks callbacks = {
    .uint8 = on_uint8,
    .uint16 = on_uint16,
    .uint32 = on_uint32,
    .uint64 = on_uint64,
    .negint8 = on_negint8,
    .negint16 = on_negint16,
    .negint32 = on_negint32,
    .negint64 = on_negint64,
    .byte_string_start = on_refused,
    .byte_string = on_bytes,
    .string = on_text,
    .string_start = on_refused,
    .indef_array_start = on_refused,
    .array_start = on_array,
    .indef_map_start = on_refused,
    .map_start = on_map,
    .tag = on_tag,
    .float2 = on_float4,
    .float4 = on_float4,
    .float8 = on_float8,
    .undefined = on_refused,
    .null = on_null,
    .boolean = on_bool,
    .indef_break = on_refused,
};

int wire_decode(struct str body, struct wire_node *nodes, size_t cap,
                struct err *err)
{
    struct reader r = {.nodes = nodes, .cap = cap};
    size_t at = 0;
    while (!r.bad && !r.done) {
        struct cbor_decoder_result d = cbor_stream_decode(
            (cbor_data)body.p + at, body.n - at, &callbacks, &r);
        if (d.status == CBOR_DECODER_NEDATA)
            r.bad = "it ends inside a value";
        else if (d.status == CBOR_DECODER_ERROR)
            r.bad = "malformed CBOR";
        at += d.read;
    }
    if (!r.bad && at != body.n)
        r.bad = "bytes after the value";
    if (r.bad)
        return err_set(err, E_INVALID_REQUEST, "frame body: %s", r.bad);
    return (int)r.n;
}

size_t wire_count(struct str body)
{
    size_t n = 0;
    for (size_t at = 0; at < body.n; n++) {
        struct cbor_decoder_result d = cbor_stream_decode(
            (cbor_data)body.p + at, body.n - at, &cbor_empty_callbacks, NULL);
        if (d.status != CBOR_DECODER_FINISHED)
            break;
        at += d.read;
    }
    return n;
}

const struct wire_node *wire_first(const struct wire_node *v)
{
    bool holds = v && (v->kind == WIRE_ARRAY || v->kind == WIRE_MAP);
    return holds && v->count > 0 ? v + 1 : NULL;
}

const struct wire_node *wire_next(const struct wire_node *v,
                                  const struct wire_node *child)
{
    const struct wire_node *next = child + child->size;
    return next < v + v->size ? next : NULL;
}

const struct wire_node *wire_get(const struct wire_node *map, const char *key)
{
    if (!map || map->kind != WIRE_MAP)
        return NULL;
    for (const struct wire_node *k = wire_first(map); k;
         k = wire_next(map, k + 1))
        if (str_is(k->s, key))
            return k + 1;
    return NULL;
}

static bool has_bytes(const struct wire_node *v)
{
    return v->kind == WIRE_TEXT || v->kind == WIRE_BYTES;
}

struct wire_node *wire_dup(const struct wire_node *v)
{
    size_t bytes = 0;
    for (uint32_t i = 0; v && i < v->size; i++)
        bytes += has_bytes(&v[i]) ? v[i].s.n : 0;
    struct wire_node *copy = v ? malloc(v->size * sizeof(*copy) + bytes) : NULL;
    if (!copy)
        return NULL;
    char *at = (char *)(copy + v->size);
    memcpy(copy, v, v->size * sizeof(*copy));
    for (uint32_t i = 0; i < v->size; i++) {
        if (!has_bytes(&copy[i]) || copy[i].s.n == 0)
            continue;
        memcpy(at, copy[i].s.p, copy[i].s.n);
        copy[i].s.p = at;
        at += copy[i].s.n;
    }
    return copy;
}

uint64_t wire_uint(const struct wire_node *map, const char *key, uint64_t other)
{
    const struct wire_node *v = wire_get(map, key);
    return v && v->kind == WIRE_UINT ? v->u : other;
}

int64_t wire_int(const struct wire_node *map, const char *key, int64_t other)
{
    const struct wire_node *v = wire_get(map, key);
    if (!v || v->u > INT64_MAX ||
        (v->kind != WIRE_UINT && v->kind != WIRE_NEGINT))
        return other;
    return v->kind == WIRE_UINT ? (int64_t)v->u : -1 - (int64_t)v->u;
}

double wire_float(const struct wire_node *map, const char *key, double other)
{
    const struct wire_node *v = wire_get(map, key);
    if (!v)
        return other;
    if (v->kind == WIRE_UINT)
        return (double)v->u;
    if (v->kind == WIRE_NEGINT)
        return -1.0 - (double)v->u;
    return v->kind == WIRE_FLOAT ? v->f : other;
}

bool wire_bool(const struct wire_node *map, const char *key, bool other)
{
    const struct wire_node *v = wire_get(map, key);
    return v && v->kind == WIRE_BOOL ? v->u != 0 : other;
}

static struct str string_of(const struct wire_node *v, enum wire_kind kind)
{
    return v && v->kind == kind ? v->s : str_n("", 0);
}

struct str wire_text(const struct wire_node *map, const char *key)
{
    return string_of(wire_get(map, key), WIRE_TEXT);
}

struct str wire_bytes(const struct wire_node *map, const char *key)
{
    return string_of(wire_get(map, key), WIRE_BYTES);
}

static unsigned char *head_room(struct buf *out)
{
    return buf_room(out, HEAD_MAX);
}

void wire_put_uint(struct buf *out, uint64_t v)
{
    unsigned char *p = head_room(out);
    if (p)
        out->len += cbor_encode_uint(v, p, HEAD_MAX);
}

static void put_negint(struct buf *out, uint64_t v)
{
    unsigned char *p = head_room(out);
    if (p)
        out->len += cbor_encode_negint(v, p, HEAD_MAX);
}

void wire_put_int(struct buf *out, int64_t v)
{
    if (v >= 0) {
        wire_put_uint(out, (uint64_t)v);
        return;
    }
    put_negint(out, (uint64_t)(-1 - v));
}

void wire_put_float(struct buf *out, double v)
{
    unsigned char *p = head_room(out);
    if (p)
        out->len += cbor_encode_double(v, p, HEAD_MAX);
}

void wire_put_bool(struct buf *out, bool v)
{
    buf_putc(out, v ? (char)0xF5 : (char)0xF4);
}

void wire_put_null(struct buf *out)
{
    buf_putc(out, (char)0xF6);
}

void wire_put_text(struct buf *out, struct str s)
{
    unsigned char *p = head_room(out);
    if (!p)
        return;
    if (!utf8_valid(s)) {
        out->failed = -EILSEQ;
        return;
    }
    out->len += cbor_encode_string_start(s.n, p, HEAD_MAX);
    buf_add(out, s.p, s.n);
}

void wire_put_bytes(struct buf *out, struct str s)
{
    unsigned char *p = head_room(out);
    if (!p)
        return;
    out->len += cbor_encode_bytestring_start(s.n, p, HEAD_MAX);
    buf_add(out, s.p, s.n);
}

void wire_put_array(struct buf *out, size_t n)
{
    unsigned char *p = head_room(out);
    if (p)
        out->len += cbor_encode_array_start(n, p, HEAD_MAX);
}

void wire_put_map(struct buf *out, size_t n)
{
    unsigned char *p = head_room(out);
    if (p)
        out->len += cbor_encode_map_start(n, p, HEAD_MAX);
}

static void put_node(struct buf *out, const struct wire_node *v)
{
    switch (v->kind) {
    case WIRE_NULL:
        wire_put_null(out);
        break;
    case WIRE_BOOL:
        wire_put_bool(out, v->u);
        break;
    case WIRE_UINT:
        wire_put_uint(out, v->u);
        break;
    case WIRE_NEGINT:
        put_negint(out, v->u);
        break;
    case WIRE_FLOAT:
        wire_put_float(out, v->f);
        break;
    case WIRE_TEXT:
        wire_put_text(out, v->s);
        break;
    case WIRE_BYTES:
        wire_put_bytes(out, v->s);
        break;
    case WIRE_ARRAY:
        wire_put_array(out, v->count);
        break;
    case WIRE_MAP:
        wire_put_map(out, v->count);
        break;
    }
}

/* The nodes lie in the order in which CBOR writes them. */
void wire_put_tree(struct buf *out, const struct wire_node *v)
{
    for (uint32_t i = 0; i < v->size; i++)
        put_node(out, &v[i]);
}

struct wire_map wire_map_open(struct buf *out)
{
    struct wire_map m = {out, out->len, 0};
    buf_putc(out, (char)0xA0);
    return m;
}

void wire_map_close(struct wire_map *m)
{
    if (m->n > SMALL_MAP)
        m->out->failed = -E2BIG;
    if (!m->out->failed)
        m->out->p[m->at] = (char)(0xA0 | m->n);
}

void wire_key(struct wire_map *m, const char *key)
{
    m->n++;
    wire_put_text(m->out, str_of(key));
}

void wire_kuint(struct wire_map *m, const char *key, uint64_t v)
{
    wire_key(m, key);
    wire_put_uint(m->out, v);
}

void wire_kint(struct wire_map *m, const char *key, int64_t v)
{
    wire_key(m, key);
    wire_put_int(m->out, v);
}

void wire_kfloat(struct wire_map *m, const char *key, double v)
{
    wire_key(m, key);
    wire_put_float(m->out, v);
}

void wire_kbool(struct wire_map *m, const char *key, bool v)
{
    wire_key(m, key);
    wire_put_bool(m->out, v);
}

void wire_ktext(struct wire_map *m, const char *key, struct str s)
{
    wire_key(m, key);
    wire_put_text(m->out, s);
}

void wire_kz(struct wire_map *m, const char *key, const char *z)
{
    wire_ktext(m, key, str_of(z));
}

void wire_kbytes(struct wire_map *m, const char *key, struct str s)
{
    wire_key(m, key);
    wire_put_bytes(m->out, s);
}
