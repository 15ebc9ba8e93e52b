/* worker/values.c - the trees of frames and those of the pipeline. */
#include "worker/worker.h"

/* A container whose children are being read. */
struct level {
    struct value *parent;
    uint32_t left;
};

static bool fill(const struct wire_node *n, struct arena *a, struct value *v)
{
    if (n->kind == WIRE_BOOL)
        v->b = n->u != 0;
    else if (n->kind == WIRE_UINT)
        v->i = (int64_t)n->u;
    else if (n->kind == WIRE_NEGINT)
        v->i = -1 - (int64_t)n->u;
    else if (n->kind == WIRE_FLOAT)
        v->f = n->f;
    else if (n->kind == WIRE_TEXT) {
        v->s = str_n(arena_str(a, n->s), n->s.n);
        return v->s.p;
    }
    return true;
}

/* -1: bytes, or a number beyond int64. */
static int kind_of(const struct wire_node *n)
{
    bool wide = n->kind == WIRE_UINT || n->kind == WIRE_NEGINT;
    if (n->kind == WIRE_BYTES || (wide && n->u > INT64_MAX))
        return -1;
    static const enum value_kind kinds[] = {
        [WIRE_NULL] = VALUE_NULL,   [WIRE_BOOL] = VALUE_BOOL,
        [WIRE_UINT] = VALUE_INT,    [WIRE_NEGINT] = VALUE_INT,
        [WIRE_FLOAT] = VALUE_FLOAT, [WIRE_TEXT] = VALUE_TEXT,
        [WIRE_BYTES] = VALUE_NULL,  [WIRE_ARRAY] = VALUE_LIST,
        [WIRE_MAP] = VALUE_MAP};
    return (int)kinds[n->kind];
}

/* The nodes of a tree lie in order, parents before their children, so one pass
 * with a stack of open containers does. */
int value_read(const struct wire_node *v, struct arena *a,
               const struct value **ret, struct err *err)
{
    struct level open[WIRE_DEPTH_MAX + 1];
    struct value *root = NULL;
    int depth = 0;
    for (uint32_t i = 0; i < v->size; i++) {
        struct str key = {"", 0};
        while (depth > 0 && open[depth - 1].left == 0)
            depth--;
        struct level *in = depth > 0 ? &open[depth - 1] : NULL;
        if (in && in->parent->kind == VALUE_MAP)
            key = str_n(arena_str(a, v[i].s), v[i].s.n), i++;
        int kind = kind_of(&v[i]);
        if (kind < 0)
            return err_set(err, E_INVALID_REQUEST,
                           "a parameter is of a kind that no task takes");
        struct value *to =
            !in      ? value_new(a, (enum value_kind)kind)
            : !key.p ? NULL
                     : value_add(a, in->parent, key, (enum value_kind)kind);
        if (!to || !fill(&v[i], a, to))
            return err_set(err, E_TOO_LARGE, "the parameters are too large");
        if (in)
            in->left--;
        else
            root = to;
        if (v[i].kind == WIRE_ARRAY || v[i].kind == WIRE_MAP)
            open[depth++] = (struct level){to, v[i].count};
    }
    *ret = root;
    return 0;
}

static void put_one(struct buf *out, const struct value *v)
{
    if (v->kind == VALUE_BOOL)
        wire_put_bool(out, v->b);
    else if (v->kind == VALUE_INT)
        wire_put_int(out, v->i);
    else if (v->kind == VALUE_FLOAT)
        wire_put_float(out, v->f);
    else if (v->kind == VALUE_TEXT)
        wire_put_text(out, v->s);
    else if (v->kind == VALUE_LIST)
        wire_put_array(out, v->count);
    else if (v->kind == VALUE_MAP)
        wire_put_map(out, v->count);
    else
        wire_put_null(out);
}

/* Our own results, a few levels deep: open holds what comes after each. */
void value_put(struct buf *out, const struct value *v)
{
    const struct value *open[WIRE_DEPTH_MAX];
    int depth = 0;
    open[depth++] = v;
    put_one(out, v);
    const struct value *at = v->kind >= VALUE_LIST ? v->first : NULL;
    while (depth > 0) {
        if (!at) {
            at = --depth > 0 ? open[depth]->next : NULL;
            continue;
        }
        if (open[depth - 1]->kind == VALUE_MAP)
            wire_put_text(out, at->key);
        put_one(out, at);
        bool inner = at->kind >= VALUE_LIST && depth < WIRE_DEPTH_MAX;
        if (inner)
            open[depth++] = at;
        at = inner ? at->first : at->next;
    }
}
