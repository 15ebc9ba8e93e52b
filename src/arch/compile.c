/* arch/compile.c - a family, config.json and tensor headers to a plan.
 *
 * Every dimension comes from config.json within fixed limits, and every tensor
 * must have the shape that they make; so what follows cannot overflow.
 */
#include "arch/plan.h"
#include "base/mem.h"
#include "base/size.h"
#include "model/damage.h"
#include <math.h>
#include <stdio.h>

enum {
    HIDDEN_MAX = 16384,
    LAYERS_MAX = 512,
    HEADS_MAX = 512,
    HEAD_DIM_MAX = 1024,
    FFN_MAX = 65536,
    VOCAB_MAX = 1 << 22,
    POSITIONS_MAX = 65536,
    TYPES_MAX = 256,
    OPS_PER_LAYER = 9,
    OPS_BESIDE = 8,
    LOADS_PER_LAYER = 16,
    LOADS_BESIDE = 16,
    STRIDE_SPAN = 1024,       /* floats of 4 KiB, one set of the L1 cache */
    BLOCK_FLOATS = 128 << 10, /* of the widest buffer: half of a 1 MiB L2 */
    BLOCK_TILE = 12,
    BLOCK_TILES_MAX = 16,
};

struct compiler {
    struct plan *p;
    const struct family *family;
    const struct tensors *tensors;
    const struct config *config;
    const char *prefix;
    bool *used; /* [tensors->n] */
    struct err *err;
};

static const struct {
    const char *name;
    enum act act;
} activations[] = {
    {"gelu", ACT_GELU},
    {"gelu_python", ACT_GELU},
    {"gelu_new", ACT_GELU_TANH},
    {"gelu_fast", ACT_GELU_TANH},
    {"gelu_accurate", ACT_GELU_TANH},
    {"gelu_pytorch_tanh", ACT_GELU_TANH},
    {"gelu_python_tanh", ACT_GELU_TANH},
    {"relu", ACT_RELU},
    {"silu", ACT_SILU},
    {"swish", ACT_SILU},
    {"tanh", ACT_TANH},
    {"sigmoid", ACT_SIGMOID},
};

static int read_act(struct compiler *c, struct problems *problems)
{
    char name[64];
    const char *key = c->family->keys.act;
    int r = config_text(c->config, key, false, name, sizeof(name), c->err);
    if (r < 0)
        return r;
    c->p->act = ACT_GELU;
    for (size_t i = 0; name[0] && i < ARRAY_LEN(activations); i++)
        if (!strcmp(name, activations[i].name)) {
            c->p->act = activations[i].act;
            name[0] = 0;
        }
    if (name[0])
        problem_add(problems, key, "%s: the activation '%s' is not known",
                    c->config->file, name);
    return 0;
}

static int read_dims(struct compiler *c)
{
    const struct family_keys *keys = &c->family->keys;
    struct plan *p = c->p;
    double eps = c->family->eps;
    int64_t hidden = 0, layers = 0, heads = 0, ffn = 0, vocab = 0;
    int64_t positions = 512, types = 2;
    const struct {
        const char *key;
        int64_t max, *to;
        bool required;
    } rows[] = {
        {keys->hidden, HIDDEN_MAX, &hidden, true},
        {keys->layers, LAYERS_MAX, &layers, true},
        {keys->heads, HEADS_MAX, &heads, true},
        {keys->ffn, FFN_MAX, &ffn, true},
        {keys->vocab, VOCAB_MAX, &vocab, true},
        {keys->positions, POSITIONS_MAX, &positions, false},
        {keys->types, TYPES_MAX, &types, false},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(rows); i++)
        if (rows[i].key)
            r = config_int(c->config, rows[i].key, rows[i].required, 1,
                           rows[i].max, rows[i].to, c->err);
    if (r == 0 && keys->eps)
        r = config_number(c->config, keys->eps, false, 0, 1, &eps, c->err);
    if (r < 0)
        return r;
    if (hidden % heads || hidden / heads > HEAD_DIM_MAX)
        return damage_set(c->err,
                          "%s: %.*s is %lld, which does not divide %.*s, %lld, "
                          "into parts of at most %d",
                          c->config->file, (int)strcspn(keys->heads, "|"),
                          keys->heads, (long long)heads,
                          (int)strcspn(keys->hidden, "|"), keys->hidden,
                          (long long)hidden, HEAD_DIM_MAX);
    p->hidden = (size_t)hidden;
    p->layers = (size_t)layers;
    p->heads = (size_t)heads;
    p->head_dim = p->hidden / p->heads;
    p->ffn = (size_t)ffn;
    p->vocab = (size_t)vocab;
    p->positions = (size_t)positions;
    p->types = keys->types ? (size_t)types : 0;
    p->eps = (float)eps;
    p->scale = (float)(1 / sqrt((double)p->head_dim));
    return 0;
}

/* Columns to a stride whose rows do not all fall on one set of the cache. */
static size_t stride_for(size_t columns)
{
    size_t s = pack_width(columns) + PANEL;
    return s % STRIDE_SPAN ? s : s + PANEL;
}

static void lay_out(struct plan *p)
{
    p->part = pack_width(p->hidden);
    p->stride[PLAN_X] = stride_for(p->hidden);
    p->stride[PLAN_QKV_A] = p->stride[PLAN_QKV_B] = stride_for(3 * p->part);
    p->stride[PLAN_CTX] = stride_for(p->hidden);
    p->stride[PLAN_FFN] = stride_for(p->ffn);
    size_t widest = p->ffn > p->hidden ? p->ffn : p->hidden;
    size_t tiles = BLOCK_FLOATS / (BLOCK_TILE * stride_for(widest));
    tiles = tiles < 1 ? 1 : tiles > BLOCK_TILES_MAX ? BLOCK_TILES_MAX : tiles;
    p->block_rows = tiles * BLOCK_TILE;
    p->rows =
        p->positions > PLAN_BATCH_TOKENS ? p->positions : PLAN_BATCH_TOKENS;
}

/* The name of a slot's tensor, with its prefix, layer and suffix. */
static void slot_name(const struct compiler *c, enum slot slot, int layer,
                      const char *suffix, char *buf)
{
    const char *z = c->family->slots[slot], *mark = strchr(z, '#');
    const char *prefix = slot >= SLOT_HEAD_DENSE ? "" : c->prefix;
    if (mark)
        snprintf(buf, TENSOR_NAME_MAX, "%s%.*s%d%s%s", prefix, (int)(mark - z),
                 z, layer, mark + 1, suffix);
    else
        snprintf(buf, TENSOR_NAME_MAX, "%s%s%s", prefix, z, suffix);
}

/* The slot's tensor under its name or, for norms, its old one; or NULL. */
static const struct tensor *find(const struct compiler *c, enum slot slot,
                                 int layer, const char *suffix,
                                 const char *old_suffix)
{
    char name[TENSOR_NAME_MAX];
    slot_name(c, slot, layer, suffix, name);
    const struct tensor *t = tensors_find(c->tensors, name);
    if (!t && old_suffix) {
        slot_name(c, slot, layer, old_suffix, name);
        t = tensors_find(c->tensors, name);
    }
    return t;
}

/* A vector [k] when n is 0, else a matrix [n][k]. The words' table may have
 * more rows than the vocabulary; the rest is never read. */
static int check_tensor(struct compiler *c, enum slot slot,
                        const struct tensor *t, size_t n, size_t k)
{
    uint64_t want[2] = {n, k};
    int n_dims = n ? 2 : 1;
    const uint64_t *shape = n ? want : want + 1;
    char got[TENSOR_SHAPE_TEXT], expected[TENSOR_SHAPE_TEXT];
    if (slot == SLOT_WORDS && t->n_dims == 2 && t->shape[0] > n)
        want[0] = t->shape[0];
    if (t->n_dims != n_dims ||
        memcmp(t->shape, shape, (size_t)n_dims * sizeof(*shape)) != 0)
        return damage_set(
            c->err, "%s: tensor '%.150s' has the shape %s where %s makes it %s",
            t->file->name, t->name, tensor_shape_text(t->shape, t->n_dims, got),
            c->config->file, tensor_shape_text(shape, n_dims, expected));
    if (!dtype_is_weight(t->dtype))
        return err_set(c->err, E_UNSUPPORTED_OPTION,
                       "%s: tensor '%.150s' is in %s; weights are computed "
                       "from F32, F16 and BF16",
                       t->file->name, t->name, dtype_name(t->dtype));
    c->used[t - c->tensors->all] = true;
    return 0;
}

/* The file that a missing tensor should have been in. */
static const char *weights_file(const struct compiler *c)
{
    return c->tensors->n ? c->tensors->all[0].file->name : "model.safetensors";
}

/* Adds one tensor to what is loaded, at the given offset. n 0: a vector [k]. */
static int load(struct compiler *c, enum load_kind kind, enum slot slot,
                int layer, const char *suffix, const char *old_suffix,
                size_t at, size_t n, size_t k)
{
    char name[TENSOR_NAME_MAX];
    const struct tensor *t = find(c, slot, layer, suffix, old_suffix);
    if (!t) {
        slot_name(c, slot, layer, suffix, name);
        return damage_set(c->err, "%s: tensor '%.200s' is missing",
                          weights_file(c), name);
    }
    int r = check_tensor(c, slot, t, n, k);
    if (r < 0)
        return r;
    c->p->loads[c->p->n_loads++] = (struct load){
        .kind = kind, .tensor = t, .at = at, .n = n ? n : 1, .k = k};
    return 0;
}

static size_t take(struct plan *p, size_t floats)
{
    size_t at = p->weights;
    p->weights += size_round(floats, PANEL);
    return at;
}

static struct op *add(struct plan *p, enum op_kind kind, int layer)
{
    struct op *op = &p->ops[p->n_ops++];
    *op = (struct op){.kind = kind, .layer = layer};
    return op;
}

/* A table [n][hidden] of embeddings as it is. */
static int add_table(struct compiler *c, enum slot slot, size_t n, size_t *at)
{
    *at = take(c->p, n * c->p->hidden);
    return load(c, LOAD_ROWS, slot, 0, ".weight", NULL, *at, n, c->p->hidden);
}

/* The words' table: in panels where the decoder is tied to it. */
static int add_words(struct compiler *c, bool packed)
{
    struct plan *p = c->p;
    const struct tensor *t = find(c, SLOT_WORDS, 0, ".weight", NULL);
    p->words_packed = packed;
    p->words = take(p, (packed ? pack_width(p->vocab) : p->vocab) * p->hidden);
    if (t)
        p->dtype = t->dtype;
    return load(c, packed ? LOAD_MATRIX : LOAD_ROWS, SLOT_WORDS, 0, ".weight",
                NULL, p->words, p->vocab, p->hidden);
}

static int add_norm(struct compiler *c, enum slot slot, int layer,
                    enum plan_buffer buffer)
{
    struct plan *p = c->p;
    struct op *op = add(p, OP_NORM, layer);
    op->in = op->out = buffer;
    op->n = p->hidden;
    op->w = take(p, p->hidden);
    op->bias = take(p, p->hidden);
    int r = load(c, LOAD_ROWS, slot, layer, ".weight", ".gamma", op->w, 0,
                 p->hidden);
    return r < 0 ? r
                 : load(c, LOAD_ROWS, slot, layer, ".bias", ".beta", op->bias,
                        0, p->hidden);
}

/* The weights of one linear layer [n][k], at offsets already taken. */
static int load_linear(struct compiler *c, enum slot slot, int layer, size_t w,
                       size_t bias, size_t n, size_t k)
{
    int r = load(c, LOAD_MATRIX, slot, layer, ".weight", NULL, w, n, k);
    return r < 0 ? r
                 : load(c, LOAD_ROWS, slot, layer, ".bias", NULL, bias, 0, n);
}

static struct op *add_linear(struct compiler *c, int layer, enum plan_buffer in,
                             enum plan_buffer out, size_t n, size_t k)
{
    struct op *op = add(c->p, OP_LINEAR, layer);
    op->in = in;
    op->out = out;
    op->k = k;
    op->panels = pack_width(n) / PANEL;
    op->w = take(c->p, pack_width(n) * k);
    op->bias = take(c->p, pack_width(n));
    return op;
}

/* q|k|v as one product. In the last layer k and v are computed for every row
 * and q only for those that are wanted: two products with the same weights. */
static int add_qkv(struct compiler *c, int layer, bool last)
{
    struct plan *p = c->p;
    size_t part = p->part, h = p->hidden;
    enum plan_buffer out = layer % 2 ? PLAN_QKV_B : PLAN_QKV_A;
    struct op *all = add_linear(c, layer, PLAN_X, out, 3 * part, h);
    int r = 0;
    for (size_t i = 0; r == 0 && i < 3; i++)
        r = load_linear(c, SLOT_Q + (enum slot)i, layer, all->w + i * part * h,
                        all->bias + i * part, h, h);
    if (r < 0 || !last)
        return r;
    struct op q = *all;
    q.panels = part / PANEL;
    all->out_col = part;
    all->panels = 2 * part / PANEL;
    all->w += part * h;
    all->bias += part;
    add(p, OP_SELECT, layer);
    *add(p, OP_LINEAR, layer) = q;
    return 0;
}

static int add_ffn(struct compiler *c, int layer)
{
    struct plan *p = c->p;
    struct op *up = add_linear(c, layer, PLAN_X, PLAN_FFN, p->ffn, p->hidden);
    up->act = p->act;
    int r = load_linear(c, SLOT_UP, layer, up->w, up->bias, p->ffn, p->hidden);
    if (r < 0)
        return r;
    struct op *down = add_linear(c, layer, PLAN_FFN, PLAN_X, p->hidden, p->ffn);
    down->residual = true;
    r = load_linear(c, SLOT_DOWN, layer, down->w, down->bias, p->hidden,
                    p->ffn);
    return r < 0 ? r : add_norm(c, SLOT_FFN_NORM, layer, PLAN_X);
}

static int add_layer(struct compiler *c, int layer)
{
    struct plan *p = c->p;
    int r = add_qkv(c, layer, (size_t)layer + 1 == p->layers);
    if (r < 0)
        return r;
    struct op *attend = add(p, OP_ATTEND, layer);
    attend->in = layer % 2 ? PLAN_QKV_B : PLAN_QKV_A;
    attend->out = PLAN_CTX;
    struct op *o = add_linear(c, layer, PLAN_CTX, PLAN_X, p->hidden, p->hidden);
    o->residual = true;
    r = load_linear(c, SLOT_O, layer, o->w, o->bias, p->hidden, p->hidden);
    if (r == 0)
        r = add_norm(c, SLOT_ATTEND_NORM, layer, PLAN_X);
    return r < 0 ? r : add_ffn(c, layer);
}

/* Whether the decoder shares the words' table, as the reference does unless
 * config.json says no. */
static int read_tied(struct compiler *c, bool *tied)
{
    *tied = true;
    return config_bool(c->config, "tie_word_embeddings", tied, c->err);
}

static int add_head(struct compiler *c, bool tied)
{
    struct plan *p = c->p;
    struct op *dense =
        add_linear(c, -1, PLAN_X, PLAN_CTX, p->hidden, p->hidden);
    dense->act = p->act;
    dense->head = true;
    int r = load_linear(c, SLOT_HEAD_DENSE, 0, dense->w, dense->bias, p->hidden,
                        p->hidden);
    if (r == 0)
        r = add_norm(c, SLOT_HEAD_NORM, 0, PLAN_CTX);
    if (r < 0)
        return r;
    p->ops[p->n_ops - 1].head = true;
    struct op *decode = add(p, OP_DECODE, -1);
    decode->in = PLAN_CTX;
    decode->head = true;
    decode->n = p->head_vocab = p->vocab;
    decode->k = p->hidden;
    decode->panels = pack_width(p->vocab) / PANEL;
    decode->w = tied ? p->words : take(p, pack_width(p->vocab) * p->hidden);
    decode->bias = take(p, pack_width(p->vocab));
    if (!tied)
        r = load(c, LOAD_MATRIX, SLOT_HEAD_DECODER, 0, ".weight", NULL,
                 decode->w, p->vocab, p->hidden);
    return r < 0 ? r
                 : load(c, LOAD_ROWS, SLOT_HEAD_BIAS, 0, "", NULL, decode->bias,
                        0, p->vocab);
}

static int add_stem(struct compiler *c, bool packed)
{
    struct plan *p = c->p;
    add(p, OP_EMBED, -1)->out = PLAN_X;
    int r = add_words(c, packed);
    if (r == 0)
        r = add_table(c, SLOT_POSITIONS, p->positions, &p->position);
    if (r == 0 && p->types)
        r = add_table(c, SLOT_TYPES, p->types, &p->type);
    return r < 0 ? r : add_norm(c, SLOT_EMBED_NORM, -1, PLAN_X);
}

static int add_all(struct compiler *c, bool mlm_head)
{
    bool tied;
    int r = read_tied(c, &tied);
    if (r == 0)
        r = add_stem(c, mlm_head && tied);
    for (size_t i = 0; r == 0 && i < c->p->layers; i++)
        r = add_layer(c, (int)i);
    if (r < 0)
        return r;
    add(c->p, OP_STORE, -1)->in = PLAN_X;
    return mlm_head ? add_head(c, tied) : 0;
}

/* The prefix under which the words' table is there; the last if nowhere. */
static void choose_prefix(struct compiler *c)
{
    for (const char *const *p = c->family->prefixes; *p; p++) {
        c->prefix = *p;
        if (find(c, SLOT_WORDS, 0, ".weight", NULL))
            return;
    }
}

static void list_unused(const struct compiler *c)
{
    struct plan *p = c->p;
    for (size_t i = 0; i < c->tensors->n; i++) {
        if (c->used[i])
            continue;
        if (p->n_unused < PLAN_UNUSED_MAX)
            p->unused[p->n_unused] = c->tensors->all[i].name;
        p->n_unused++;
    }
}

static int build(struct compiler *c, bool mlm_head)
{
    struct plan *p = c->p;
    p->ops = mem_try(p->layers * OPS_PER_LAYER + OPS_BESIDE, sizeof(*p->ops));
    p->loads =
        mem_try(p->layers * LOADS_PER_LAYER + LOADS_BESIDE, sizeof(*p->loads));
    c->used = mem_try(c->tensors->n + 1, sizeof(*c->used));
    if (!p->ops || !p->loads || !c->used)
        return err_set(c->err, E_INSUFFICIENT_MEMORY, "no memory for a plan");
    lay_out(p);
    choose_prefix(c);
    int r = add_all(c, mlm_head);
    if (r == 0)
        list_unused(c);
    return r;
}

int plan_compile(struct plan *p, const struct family *f,
                 const struct plan_source *source, struct problems *problems,
                 struct err *err)
{
    size_t before = problems->n;
    *p = (struct plan){0};
    struct compiler c = {.p = p,
                         .family = f,
                         .config = source->config,
                         .tensors = source->tensors,
                         .err = err};
    int r = read_act(&c, problems);
    if (r == 0 && f->check)
        f->check(source->config, problems);
    if (r == 0)
        r = read_dims(&c);
    if (r == 0 && problems->n == before)
        r = build(&c, source->mlm_head);
    free(c.used);
    if (r < 0 || problems->n != before)
        plan_fini(p);
    return r;
}
