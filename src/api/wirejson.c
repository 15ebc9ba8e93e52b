/* api/wirejson.c - a tree from a worker as JSON. Trees are at most
 * WIRE_DEPTH_MAX deep: the way back up is a fixed stack. */
#include "api/infer.h"

static void scalar(struct jsonw *w, const struct wire_node *n)
{
    switch (n->kind) {
    case WIRE_BOOL:
        jsonw_bool(w, n->u != 0);
        break;
    case WIRE_UINT:
        jsonw_uint(w, n->u);
        break;
    case WIRE_NEGINT:
        if (n->u <= INT64_MAX)
            jsonw_int(w, -1 - (int64_t)n->u);
        else
            jsonw_double(w, -1.0 - (double)n->u);
        break;
    case WIRE_FLOAT:
        jsonw_double(w, n->f);
        break;
    case WIRE_TEXT:
        jsonw_str(w, n->s);
        break;
    default: /* bytes have no JSON */
        jsonw_null(w);
        break;
    }
}

struct level {
    const struct wire_node *node, *child;
    bool value; /* of a map: a value comes next, not a key */
};

static bool open_level(struct jsonw *w, struct level *l,
                       const struct wire_node *n)
{
    if (n->kind != WIRE_MAP && n->kind != WIRE_ARRAY)
        return false;
    if (n->kind == WIRE_MAP)
        jsonw_object(w);
    else
        jsonw_array(w);
    *l = (struct level){n, wire_first(n), false};
    return true;
}

void wire_json(struct jsonw *w, const struct wire_node *node)
{
    struct level stack[WIRE_DEPTH_MAX + 1];
    int depth = 0;
    if (!node || !open_level(w, &stack[0], node)) {
        if (node)
            scalar(w, node);
        else
            jsonw_null(w);
        return;
    }
    while (depth >= 0) {
        struct level *l = &stack[depth];
        const struct wire_node *n = l->child;
        if (!n) {
            if (l->node->kind == WIRE_MAP)
                jsonw_end_object(w);
            else
                jsonw_end_array(w);
            depth--;
            continue;
        }
        l->child = wire_next(l->node, n);
        if (l->node->kind == WIRE_MAP && !l->value) {
            jsonw_key_n(w, n->s);
            l->value = true;
            continue;
        }
        l->value = false;
        if (depth < WIRE_DEPTH_MAX && open_level(w, &stack[depth + 1], n))
            depth++;
        else
            scalar(w, n);
    }
}
