/* ipc/frame.c - headers, and bodies checked against the table of fields. */
#include "ipc/frame.h"
#include <assert.h>
#include <endian.h>
#include <errno.h>

enum field_kind {
    FIELD_UINT = WIRE_UINT,
    FIELD_BOOL = WIRE_BOOL,
    FIELD_TEXT = WIRE_TEXT,
    FIELD_BYTES = WIRE_BYTES,
    FIELD_ARRAY = WIRE_ARRAY,
    FIELD_MAP = WIRE_MAP,
    FIELD_TREE = 100, /* any kind */
};

struct field {
    enum frame_type type;
    const char *key;
    enum field_kind kind;
    bool required;
    uint64_t max;
};

static const struct field fields[] = {
#define FRAME_ROW(frame, key, kind, required, max) \
    {FRAME_##frame, #key, FIELD_##kind, required, max},
    FRAME_FIELDS(FRAME_ROW)
#undef FRAME_ROW
};

const char *frame_type_name(int type)
{
    switch (type) {
#define FRAME_CASE(name, n) \
    case n:                 \
        return #name;
        FRAME_TYPES(FRAME_CASE)
#undef FRAME_CASE
    }
    return NULL;
}

int frame_header_read(const void *p, struct frame_header *ret, struct err *err)
{
    struct frame_header h;
    const char *s = p;
    memcpy(&h.length, s, 4);
    memcpy(&h.type, s + 4, 2);
    memcpy(&h.flags, s + 6, 2);
    memcpy(&h.job, s + 8, 8);
    h.length = le32toh(h.length);
    h.type = le16toh(h.type);
    h.flags = le16toh(h.flags);
    h.job = le64toh(h.job);
    if (!frame_type_name(h.type))
        return err_set(err, E_INVALID_REQUEST, "frame of unknown type %u",
                       h.type);
    if (h.length > FRAME_BODY_MAX)
        return err_set(err, E_TOO_LARGE, "%s frame of %u bytes, limit %d",
                       frame_type_name(h.type), h.length, FRAME_BODY_MAX);
    if (h.flags > FRAME_FDS_MAX)
        return err_set(err, E_INVALID_REQUEST,
                       "%s frame with unknown flags 0x%x",
                       frame_type_name(h.type), h.flags);
    *ret = h;
    return 0;
}

static uint64_t measure(const struct wire_node *v)
{
    switch (v->kind) {
    case WIRE_UINT:
        return v->u;
    case WIRE_TEXT:
    case WIRE_BYTES:
        return v->s.n;
    case WIRE_ARRAY:
    case WIRE_MAP:
        return v->count;
    default:
        return 0;
    }
}

static int check_field(const struct field *f, const struct wire_node *body,
                       struct err *err)
{
    const struct wire_node *v = wire_get(body, f->key);
    const char *frame = frame_type_name((int)f->type);
    if (!v && !f->required)
        return 0;
    if (!v)
        return err_set(err, E_INVALID_REQUEST, "%s frame without \"%s\"", frame,
                       f->key);
    if (f->kind == FIELD_TREE)
        return 0;
    if ((int)v->kind != (int)f->kind)
        return err_set(err, E_INVALID_REQUEST,
                       "%s frame: \"%s\" is of the wrong kind", frame, f->key);
    if (measure(v) > f->max)
        return err_set(err, E_TOO_LARGE, "%s frame: \"%s\" is over its limit",
                       frame, f->key);
    return 0;
}

int frame_body_read(enum frame_type type, struct str body,
                    struct wire_node *nodes, size_t cap, struct err *err)
{
    int n = wire_decode(body, nodes, cap, err);
    if (n < 0)
        return n;
    if (nodes[0].kind != WIRE_MAP)
        return err_set(err, E_INVALID_REQUEST, "%s frame: the body is no map",
                       frame_type_name((int)type));
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        int r =
            fields[i].type == type ? check_field(&fields[i], nodes, err) : 0;
        if (r < 0)
            return r;
    }
    return n;
}

size_t frame_begin(struct buf *out, enum frame_type type, uint64_t job,
                   int n_fds)
{
    assert(n_fds >= 0 && n_fds <= FRAME_FDS_MAX);
    size_t at = out->len;
    uint16_t t = htole16((uint16_t)type), flags = htole16((uint16_t)n_fds);
    uint64_t j = htole64(job);
    char head[FRAME_HEADER] = {0};
    memcpy(head + 4, &t, 2);
    memcpy(head + 6, &flags, 2);
    memcpy(head + 8, &j, 8);
    buf_add(out, head, sizeof(head));
    return at;
}

/* What its receiver would refuse is not sent: each value takes a byte or more.
 */
static bool is_too_large(const struct buf *out, size_t at)
{
    struct str body =
        str_n(out->p + at + FRAME_HEADER, out->len - at - FRAME_HEADER);
    return body.n > FRAME_BODY_MAX ||
           (body.n > WIRE_NODES_MAX && wire_count(body) > WIRE_NODES_MAX);
}

int frame_end(struct buf *out, size_t at)
{
    size_t body = out->len - at - FRAME_HEADER;
    int r = out->failed ? out->failed : is_too_large(out, at) ? -E2BIG : 0;
    if (r < 0) {
        out->len = at;
        out->failed = 0;
        return r;
    }
    uint32_t length = htole32((uint32_t)body);
    memcpy(out->p + at, &length, 4);
    return 0;
}
