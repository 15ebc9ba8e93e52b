/* daemon/yaml_json.c - YAML to JSON, by libyaml's events and a fixed stack. */
#include "daemon/yaml_json.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include <errno.h>
#include <math.h>
#include <yaml.h>

enum { NODES_MAX = 100000 };

struct level {
    bool map, value; /* of a map: a value comes next */
    struct buf keys; /* NUL after each */
};

struct reader {
    struct yaml_json *out;
    struct jsonw w;
    struct level stack[YAML_DEPTH];
    int depth;
    bool any;
    struct err *err;
};

static int at(struct err *err, yaml_mark_t m, const char *what)
{
    return err_set(err, E_INVALID_REQUEST, "line %zu, column %zu: %s",
                   m.line + 1, m.column + 1, what);
}

static int mark(struct reader *r, yaml_mark_t m)
{
    struct yaml_json *y = r->out;
    if (y->n == NODES_MAX)
        return at(r->err, m, "too many values");
    if (y->n == y->cap) {
        size_t cap = y->cap ? 2 * y->cap : 64;
        void *p = realloc(y->marks, cap * sizeof(*y->marks));
        if (!p)
            return err_set(r->err, ENOMEM, "out of memory");
        y->marks = p;
        y->cap = cap;
    }
    y->marks[y->n++] = (struct yaml_mark){(int)m.line + 1, (int)m.column + 1};
    return 0;
}

/* ---- scalars ------------------------------------------------------------ */

static bool one_of(struct str s, const char *const *words)
{
    for (; *words; words++)
        if (str_is(s, *words))
            return true;
    return false;
}

static bool put_int(struct jsonw *w, const char *z)
{
    char *end;
    size_t digits = strspn(z + (*z == '-' || *z == '+'), "0123456789");
    bool other = z[0] == '0' && (z[1] == 'x' || z[1] == 'o');
    if (!other && digits != strlen(z + (*z == '-' || *z == '+')))
        return false;
    errno = 0;
    long long v = strtoll(other ? z + 2 : z, &end,
                          !other        ? 10
                          : z[1] == 'x' ? 16
                                        : 8);
    if (errno || *end || end == z + (other ? 2 : 0))
        return false;
    jsonw_int(w, v);
    return true;
}

static bool put_double(struct jsonw *w, const char *z)
{
    char *end;
    if (!*z || strspn(z, "0123456789+-.eE") != strlen(z))
        return false;
    double v = strtod(z, &end);
    if (*end || end == z || !isfinite(v))
        return false;
    jsonw_double(w, v);
    return true;
}

static void put_plain(struct jsonw *w, struct str s)
{
    static const char *const null[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    char z[64];
    if (one_of(s, null))
        jsonw_null(w);
    else if (one_of(s, yes))
        jsonw_bool(w, true);
    else if (one_of(s, no))
        jsonw_bool(w, false);
    else if (!s.n || !str_to_z(s, z, sizeof(z)) ||
             (!put_int(w, z) && !put_double(w, z)))
        jsonw_str(w, s);
}

/* ---- structure ---------------------------------------------------------- */

static int put_key(struct reader *r, const yaml_event_t *e)
{
    struct level *l = &r->stack[r->depth - 1];
    struct str key = str_n(e->data.scalar.value, e->data.scalar.length);
    if (str_is(key, "<<"))
        return at(r->err, e->start_mark, "merge keys are not supported");
    if (key.n && memchr(key.p, 0, key.n))
        return at(r->err, e->start_mark, "a key holds a NUL");
    for (size_t i = 0; i < l->keys.len; i += strlen(l->keys.p + i) + 1)
        if (str_is(key, l->keys.p + i)) {
            char text[300];
            snprintf(text, sizeof(text), "the key '%.200s' comes twice",
                     l->keys.p + i);
            return at(r->err, e->start_mark, text);
        }
    buf_add(&l->keys, key.p, key.n);
    if (buf_putc(&l->keys, 0) < 0)
        return at(r->err, e->start_mark, "too many keys");
    jsonw_key_n(&r->w, key);
    l->value = true;
    return mark(r, e->start_mark);
}

static int put_scalar(struct reader *r, const yaml_event_t *e)
{
    struct level *l = r->depth ? &r->stack[r->depth - 1] : NULL;
    if (e->data.scalar.anchor)
        return at(r->err, e->start_mark, "anchors are not supported");
    if (e->data.scalar.tag)
        return at(r->err, e->start_mark, "tags are not supported");
    if (l && l->map && !l->value)
        return put_key(r, e);
    struct str s = str_n(e->data.scalar.value, e->data.scalar.length);
    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        put_plain(&r->w, s);
    else
        jsonw_str(&r->w, s);
    if (l)
        l->value = false;
    return mark(r, e->start_mark);
}

static int open_level(struct reader *r, const yaml_event_t *e, bool map)
{
    struct level *l = r->depth ? &r->stack[r->depth - 1] : NULL;
    if (map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor)
        return at(r->err, e->start_mark, "anchors are not supported");
    if (map ? e->data.mapping_start.tag : e->data.sequence_start.tag)
        return at(r->err, e->start_mark, "tags are not supported");
    if (l && l->map && !l->value)
        return at(r->err, e->start_mark, "a key must be a plain word");
    if (r->depth == YAML_DEPTH)
        return at(r->err, e->start_mark, "too deep");
    if (l)
        l->value = false;
    r->stack[r->depth++] =
        (struct level){.map = map, .keys = BUF_MAX(YAML_BYTES_MAX)};
    if (map)
        jsonw_object(&r->w);
    else
        jsonw_array(&r->w);
    return mark(r, e->start_mark);
}

static void close_level(struct reader *r)
{
    struct level *l = &r->stack[--r->depth];
    buf_fini(&l->keys);
    if (l->map)
        jsonw_end_object(&r->w);
    else
        jsonw_end_array(&r->w);
}

/* 1 at the end of the stream. */
static int take(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_STREAM_END_EVENT:
        return 1;
    case YAML_DOCUMENT_START_EVENT:
        if (r->any)
            return at(r->err, e->start_mark, "only one document is read");
        r->any = true;
        return 0;
    case YAML_ALIAS_EVENT:
        return at(r->err, e->start_mark, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        return put_scalar(r, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_level(r, e, false);
    case YAML_MAPPING_START_EVENT:
        return open_level(r, e, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        close_level(r);
        return 0;
    default:
        return 0;
    }
}

static int run(struct reader *r, yaml_parser_t *p)
{
    int done = 0;
    while (done == 0) {
        yaml_event_t e;
        if (!yaml_parser_parse(p, &e))
            return at(r->err, p->problem_mark,
                      p->problem ? p->problem : "this is not YAML");
        done = take(r, &e);
        yaml_event_delete(&e);
    }
    return done < 0 ? done : 0;
}

int yaml_to_json(struct str text, struct yaml_json *ret, struct err *err)
{
    yaml_parser_t p;
    *ret = (struct yaml_json){.json = BUF_MAX(8 * YAML_BYTES_MAX)};
    struct reader r = {.out = ret, .w = jsonw_to(&ret->json), .err = err};
    if (text.n > YAML_BYTES_MAX)
        return err_set(err, E_TOO_LARGE, "more than %d bytes", YAML_BYTES_MAX);
    if (!yaml_parser_initialize(&p))
        return err_set(err, ENOMEM, "out of memory");
    yaml_parser_set_input_string(&p, (const unsigned char *)text.p, text.n);
    yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
    int code = run(&r, &p);
    yaml_parser_delete(&p);
    while (r.depth > 0)
        buf_fini(&r.stack[--r.depth].keys);
    if (code == 0 && (!r.any || str_is(buf_str(&ret->json), "null"))) {
        buf_reset(&ret->json);
        buf_puts(&ret->json, "{}");
    }
    if (code == 0 && ret->json.failed)
        code = err_set(err, E_TOO_LARGE, "the configuration is too long");
    if (code < 0)
        yaml_json_fini(ret);
    return code;
}

void yaml_json_fini(struct yaml_json *y)
{
    buf_fini(&y->json);
    free(y->marks);
    *y = (struct yaml_json){0};
}
