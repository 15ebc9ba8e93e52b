/* pipeline/embedder.c - modules.json and the files that it leads to. */
#include "pipeline/embedder.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/config.h"
#include "model/damage.h"
#include "model/safetensors.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>

enum {
    MODULES_BYTES_MAX = 1 << 16,
    MODULES_DEPTH_MAX = 8,
    DIM_MAX = 1 << 16,
    ARENA_BYTES_MAX = 1 << 30,
    FOLDER_MAX = 128,
};

static const struct {
    const char *name, *old_key;
} modes[POOL_MODES] = {
    [POOL_CLS] = {"cls", "pooling_mode_cls_token"},
    [POOL_MAX] = {"max", "pooling_mode_max_tokens"},
    [POOL_MEAN] = {"mean", "pooling_mode_mean_tokens"},
    [POOL_MEAN_SQRT] = {"mean_sqrt_len_tokens",
                        "pooling_mode_mean_sqrt_len_tokens"},
    [POOL_WEIGHTED_MEAN] = {"weightedmean", "pooling_mode_weightedmean_tokens"},
    [POOL_LAST] = {"lasttoken", "pooling_mode_lasttoken"},
};

const char *pooling_mode_name(enum pooling_mode mode)
{
    return modes[mode].name;
}

char *embedder_pooling(const struct embedder *e, char *buf, size_t size)
{
    size_t n = 0;
    buf[0] = 0;
    for (int i = 0; i < e->n_modes && n < size; i++)
        n += (size_t)snprintf(buf + n, size - n, "%s%s", i ? "+" : "",
                              modes[e->modes[i]].name);
    return buf;
}

static int refuse(struct err *err, const char *file, const char *what,
                  struct str name)
{
    return err_set(err, E_UNSUPPORTED_OPTION,
                   "%s: %s \"%.*s\" is not supported", file, what,
                   (int)(name.n < 200 ? name.n : 200), name.p);
}

static float act_tanh(float x)
{
    return (float)tanh((double)x);
}

static float act_relu(float x)
{
    return x > 0.0f ? x : 0.0f;
}

static float act_sigmoid(float x)
{
    return (float)(1.0 / (1.0 + exp(-(double)x)));
}

static float act_silu(float x)
{
    return (float)((double)x / (1.0 + exp(-(double)x)));
}

static float act_gelu(float x)
{
    return (float)(0.5 * (double)x * (1.0 + erf((double)x * M_SQRT1_2)));
}

/* A class of torch by its last name; without one it is Tanh. */
static int read_activation(const struct config *c, struct layer *l,
                           struct err *err)
{
    static const struct {
        const char *name;
        float (*fn)(float);
    } known[] = {{"Tanh", act_tanh}, {"Identity", NULL},
                 {"ReLU", act_relu}, {"Sigmoid", act_sigmoid},
                 {"SiLU", act_silu}, {"GELU", act_gelu}};
    char name[CONFIG_TEXT];
    int r =
        config_text(c, "activation_function", false, name, sizeof(name), err);
    if (r < 0)
        return r;
    l->activation = act_tanh;
    if (!name[0])
        return 0;
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strncmp(name, "torch.", 6) || strcmp(dot + 1, known[i].name))
            continue;
        l->activation = known[i].fn;
        return 0;
    }
    return refuse(err, c->file, "activation_function", str_of(name));
}

static int add_mode(struct embedder *e, const char *file, struct str name,
                    struct err *err)
{
    int m = 0;
    while (m < POOL_MODES && !str_is(name, modes[m].name))
        m++;
    if (m == POOL_MODES || e->n_modes == POOL_LIST_MAX)
        return refuse(err, file, "pooling_mode", name);
    e->modes[e->n_modes++] = (enum pooling_mode)m;
    return 0;
}

/* "pooling_mode": a name or a list of names. */
static int read_modes(struct embedder *e, const struct config *c, struct json v,
                      struct err *err)
{
    struct str name;
    if (json_to_str(v, &name))
        return add_mode(e, c->file, name, err);
    int r = 0;
    for (struct json_iter it = json_iter(v); r == 0 && json_next(&it);) {
        if (!json_to_str(it.value, &name))
            name = str_of(json_type_name(json_type(it.value)));
        r = add_mode(e, c->file, name, err);
    }
    if (r == 0 && e->n_modes == 0)
        r = damage_set(err, "%s: pooling_mode names no mode", c->file);
    return r;
}

/* The old form, one boolean for each mode; concatenated in the order of the
 * table, whatever the order in the file. */
static int read_old_modes(struct embedder *e, const struct config *c,
                          struct err *err)
{
    bool on[POOL_MODES] = {false};
    for (struct json_iter it = json_iter(c->root); json_next(&it);) {
        int m = 0;
        while (m < POOL_MODES && !str_is(it.key, modes[m].old_key))
            m++;
        bool value = false;
        bool is_bool = json_to_bool(it.value, &value);
        if (m < POOL_MODES && is_bool)
            on[m] = value;
        else if (m < POOL_MODES)
            return damage_set(err, "%s: %s is %s, not true or false", c->file,
                              modes[m].old_key,
                              json_type_name(json_type(it.value)));
        else if (str_starts(it.key, "pooling_mode") && value)
            return refuse(err, c->file, "the pooling", it.key);
    }
    for (int m = 0; m < POOL_MODES; m++)
        if (on[m])
            e->modes[e->n_modes++] = (enum pooling_mode)m;
    if (e->n_modes == 0)
        e->modes[e->n_modes++] = POOL_MEAN;
    return 0;
}

static int read_pooling(struct embedder *e, const struct config *c,
                        struct err *err)
{
    int64_t dim = e->hidden;
    bool include_prompt = true;
    int r = config_int(c, "embedding_dimension|word_embedding_dimension",
                       e->check_only, 1, DIM_MAX, &dim, err);
    if (r == 0 && e->check_only)
        e->hidden = (int)dim;
    if (r == 0 && dim != e->hidden)
        r = damage_set(err, "%s: embedding_dimension is %d, the model's is %d",
                       c->file, (int)dim, e->hidden);
    if (r == 0)
        r = config_bool(c, "include_prompt", &include_prompt, err);
    if (r < 0)
        return r;
    struct json v = config_get(c, "pooling_mode");
    r = json_type(v) != JSON_NONE ? read_modes(e, c, v, err)
                                  : read_old_modes(e, c, err);
    e->skip_prompt = !include_prompt;
    e->pooled = e->dim = e->n_modes * e->hidden;
    return r;
}

/* Where a module reads and writes other than the pooled vector. */
static int check_names(const struct config *c, struct err *err)
{
    static const char *const keys[] = {"module_input_name",
                                       "module_output_name"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char name[CONFIG_TEXT];
        int r = config_text(c, keys[i], false, name, sizeof(name), err);
        if (r < 0)
            return r;
        if (name[0] && strcmp(name, "sentence_embedding"))
            return refuse(err, c->file, keys[i], str_of(name));
    }
    return 0;
}

/* A tensor of exactly this shape, into the arena. cols 0: a vector. */
static int read_tensor(struct embedder *e, const struct tensors *t,
                       const char *folder, const char *name, int rows, int cols,
                       float **ret, struct err *err)
{
    const struct tensor *w = tensors_find(t, name);
    if (!w)
        return damage_set(err, "%smodel.safetensors: %s is missing", folder,
                          name);
    int dims = cols ? 2 : 1;
    if (w->n_dims != dims || w->shape[0] != (uint64_t)rows ||
        (cols && w->shape[1] != (uint64_t)cols)) {
        char shape[TENSOR_SHAPE_TEXT];
        return damage_set(err, "%smodel.safetensors: %s is %s, not [%d%s%.0d]",
                          folder, name,
                          tensor_shape_text(w->shape, w->n_dims, shape), rows,
                          cols ? ", " : "", cols);
    }
    if (!dtype_is_weight(w->dtype))
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "%smodel.safetensors: %s is in %s; weights are computed "
                       "from F32, F16 and BF16",
                       folder, name, dtype_name(w->dtype));
    if (e->check_only)
        return 0;
    size_t n = (size_t)w->elements;
    float *scratch = mem_try(n, sizeof(*scratch));
    *ret = arena_alloc(&e->arena, n, sizeof(**ret));
    int r = scratch && *ret
                ? tensor_read(w, 0, n, *ret, scratch, err)
                : err_set(err, ENOMEM, "no memory for %s%s", folder, name);
    free(scratch);
    return r;
}

static int open_weights(struct tensors *t, const struct snapshot *s,
                        const char *folder, struct err *err)
{
    char name[FOLDER_MAX + 32];
    snprintf(name, sizeof(name), "%smodel.safetensors", folder);
    if (!snapshot_find(s, name))
        return damage_set(err,
                          "%s is missing; a pickle in its place is never read: "
                          "save the model again as safetensors",
                          name);
    return tensors_open(t, s, folder, err);
}

static int read_dense(struct embedder *e, struct layer *l,
                      const struct config *c, const struct snapshot *s,
                      const char *folder, struct err *err)
{
    int64_t in = 0, out = 0;
    bool bias = true, residual = false;
    int r = config_int(c, "in_features", true, 1, DIM_MAX, &in, err);
    if (r == 0)
        r = config_int(c, "out_features", true, 1, DIM_MAX, &out, err);
    if (r == 0)
        r = config_bool(c, "bias", &bias, err);
    if (r == 0)
        r = config_bool(c, "use_residual", &residual, err);
    if (r == 0 && residual)
        r = refuse(err, c->file, "use_residual", str_of("true"));
    if (r == 0)
        r = check_names(c, err);
    if (r == 0)
        r = read_activation(c, l, err);
    if (r == 0 && in != e->dim)
        r = damage_set(err, "%s: in_features is %d, what comes in has %d",
                       c->file, (int)in, e->dim);
    struct tensors t;
    if (r < 0 || (r = open_weights(&t, s, folder, err)) < 0)
        return r;
    l->n_out = (int)out;
    r = read_tensor(e, &t, folder, "linear.weight", l->n_out, l->n_in,
                    &l->weight, err);
    if (r == 0 && bias)
        r = read_tensor(e, &t, folder, "linear.bias", l->n_out, 0, &l->bias,
                        err);
    tensors_fini(&t);
    return r;
}

static int read_norm(struct embedder *e, struct layer *l,
                     const struct snapshot *s, const char *folder,
                     struct err *err)
{
    struct tensors t;
    int r = open_weights(&t, s, folder, err);
    if (r < 0)
        return r;
    r = read_tensor(e, &t, folder, "norm.weight", l->n_in, 0, &l->weight, err);
    if (r == 0)
        r = read_tensor(e, &t, folder, "norm.bias", l->n_in, 0, &l->bias, err);
    tensors_fini(&t);
    return r;
}

static int read_layer(struct embedder *e, enum layer_kind kind,
                      const struct config *c, const struct snapshot *s,
                      const char *folder, struct err *err)
{
    if (e->n_modes == 0 || e->n_layers == LAYERS_MAX)
        return err_set(err, E_UNSUPPORTED_OPTION,
                       "modules.json: %s stands before the pooling, or is one "
                       "of more than %d modules",
                       folder, LAYERS_MAX);
    struct layer *l = &e->layers[e->n_layers++];
    l->kind = kind;
    l->n_in = l->n_out = e->dim;
    int r = 0;
    if (kind == LAYER_DENSE)
        r = read_dense(e, l, c, s, folder, err);
    else if (kind == LAYER_NORM)
        r = read_norm(e, l, s, folder, err);
    else
        r = check_names(c, err);
    e->dim = l->n_out;
    e->normalizes = kind == LAYER_NORMALIZE;
    return r;
}

enum module_kind {
    MODULE_TRANSFORMER,
    MODULE_POOLING,
    MODULE_DROPOUT,
    MODULE_LAYER,
};

static const struct {
    const char *name;
    enum module_kind kind;
    enum layer_kind layer;
    bool config; /* must have one */
} known_modules[] = {
    {"Transformer", MODULE_TRANSFORMER, LAYER_NORMALIZE, false},
    {"Pooling", MODULE_POOLING, LAYER_NORMALIZE, true},
    {"Dropout", MODULE_DROPOUT, LAYER_NORMALIZE, false},
    {"Dense", MODULE_LAYER, LAYER_DENSE, true},
    {"LayerNorm", MODULE_LAYER, LAYER_NORM, false},
    {"Normalize", MODULE_LAYER, LAYER_NORMALIZE, false},
};

/* Old spelling "sentence_transformers.models.Pooling", new spelling
 * "sentence_transformers.sentence_transformer.modules.pooling.Pooling": the
 * last name counts. -1: unknown. */
static int find_module(struct str type)
{
    if (!str_starts(type, "sentence_transformers."))
        return -1;
    size_t at = type.n;
    while (type.p[at - 1] != '.')
        at--;
    struct str name = str_n(type.p + at, type.n - at);
    for (size_t i = 0; i < ARRAY_LEN(known_modules); i++)
        if (str_is(name, known_modules[i].name))
            return (int)i;
    return -1;
}

static int read_module(struct embedder *e, int module, const struct snapshot *s,
                       const char *folder, struct err *err)
{
    char file[FOLDER_MAX + 16];
    snprintf(file, sizeof(file), "%sconfig.json", folder);
    struct config c;
    int r = config_open(&c, s, file, !known_modules[module].config, err);
    if (r < 0)
        return r;
    if (known_modules[module].kind == MODULE_LAYER)
        r = read_layer(e, known_modules[module].layer, &c, s, folder, err);
    else if (e->n_modes)
        r = err_set(err, E_UNSUPPORTED_OPTION,
                    "modules.json: a second pooling is not supported");
    else
        r = read_pooling(e, &c, err);
    config_fini(&c);
    return r;
}

/* One entry of modules.json; i: its place in the list. */
static int read_entry(struct embedder *e, struct json v, size_t i,
                      const struct snapshot *s, struct err *err)
{
    struct str type, path = str_of("");
    if (!json_to_str(json_get(v, "type"), &type))
        return damage_set(err, "modules.json: entry %zu has no type", i);
    int module = find_module(type);
    if (module < 0)
        return refuse(err, "modules.json", "the module", type);
    json_to_str(json_get(v, "path"), &path);
    char folder[FOLDER_MAX];
    if (path.n > FOLDER_MAX - 2)
        return damage_set(
            err,
            "modules.json: the path of entry %zu is over %d bytes "
            "long",
            i, FOLDER_MAX - 2);
    snprintf(folder, sizeof(folder), "%.*s%s", STR_FMT(path),
             path.n ? "/" : "");
    enum module_kind kind = known_modules[module].kind;
    if ((kind == MODULE_TRANSFORMER) != (i == 0))
        return err_set(
            err, E_UNSUPPORTED_OPTION,
            "modules.json: the first module must be the transformer, "
            "and no other");
    if (kind == MODULE_TRANSFORMER)
        return path.n ? refuse(err, "modules.json",
                               "a transformer in the folder", path)
                      : 0;
    return kind == MODULE_DROPOUT ? 0 : read_module(e, module, s, folder, err);
}

static int read_modules(struct embedder *e, const struct snapshot *s,
                        struct err *err)
{
    struct buf text = BUF_MAX(MODULES_BYTES_MAX);
    struct json_doc *doc = NULL;
    int r =
        snapshot_read(s, "modules.json", MODULES_BYTES_MAX, false, &text, err);
    if (r == 0) {
        doc = json_parse(buf_str(&text), MODULES_BYTES_MAX, MODULES_DEPTH_MAX,
                         err);
        if (!doc) {
            r = damage_json(err);
            err_prefix(err, "modules.json");
        }
    }
    buf_fini(&text);
    if (r < 0)
        return r;
    struct json root = json_root(doc);
    if (json_type(root) != JSON_ARRAY || json_count(root) == 0)
        r = damage_set(err, "modules.json is not a list of modules");
    size_t i = 0;
    for (struct json_iter it = json_iter(root); r == 0 && json_next(&it); i++)
        r = read_entry(e, it.value, i, s, err);
    json_free(doc);
    if (r == 0 && e->n_modes == 0)
        r = err_set(err, E_UNSUPPORTED_OPTION,
                    "modules.json: a model without pooling is not supported");
    return r;
}

/* sentence_bert_config.json, or what it is called for another model type. */
static int read_lengths(struct embedder *e, const struct snapshot *s,
                        struct err *err)
{
    static const char *const files[] = {
        "sentence_bert_config.json",       "sentence_roberta_config.json",
        "sentence_distilbert_config.json", "sentence_camembert_config.json",
        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json"};
    size_t i = 0;
    while (i < ARRAY_LEN(files) && !snapshot_find(s, files[i]))
        i++;
    if (i == ARRAY_LEN(files))
        return 0;
    struct config c;
    int r = config_open(&c, s, files[i], false, err);
    if (r < 0)
        return r;
    int64_t n = 0;
    r = config_int(&c, "max_seq_length", false, 1, INT32_MAX, &n, err);
    if (r == 0)
        r = config_bool(&c, "do_lower_case", &e->lower_case, err);
    e->max_tokens = (uint32_t)n;
    config_fini(&c);
    return r;
}

static int add_prompt(struct embedder *e, struct str name, struct str text,
                      struct err *err)
{
    if (e->n_prompts == PROMPTS_MAX)
        return err_set(err, E_TOO_LARGE,
                       "config_sentence_transformers.json has more than %d "
                       "prompts",
                       PROMPTS_MAX);
    struct prompt *p = &e->prompts[e->n_prompts++];
    p->name = str_n(arena_str(&e->arena, name), name.n);
    p->text = str_n(arena_str(&e->arena, text), text.n);
    return p->name.p && p->text.p
               ? 0
               : err_set(err, ENOMEM, "no memory for the model's prompts");
}

static int find_prompt(const struct embedder *e, struct str name)
{
    for (int i = 0; i < e->n_prompts; i++)
        if (str_eq(e->prompts[i].name, name))
            return i;
    return -1;
}

/* "query" and "document" exist in every model, empty if it does not say. */
static int add_usual_prompts(struct embedder *e, struct err *err)
{
    static const char *const usual[] = {"query", "document"};
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(usual) && r == 0; i++)
        if (find_prompt(e, str_of(usual[i])) < 0)
            r = add_prompt(e, str_of(usual[i]), str_of(""), err);
    return r;
}

static int read_prompts(struct embedder *e, const struct snapshot *s,
                        struct err *err)
{
    struct config c;
    int r = config_open(&c, s, "config_sentence_transformers.json", true, err);
    if (r < 0)
        return r;
    struct json_iter it = json_iter(config_get(&c, "prompts"));
    while (r == 0 && json_next(&it)) {
        struct str text;
        if (json_to_str(it.value, &text))
            r = add_prompt(e, it.key, text, err);
        else if (json_type(it.value) != JSON_NULL)
            r = damage_set(err, "%s: the prompt \"%.*s\" is %s, not text",
                           c.file, (int)(it.key.n < 100 ? it.key.n : 100),
                           it.key.p, json_type_name(json_type(it.value)));
    }
    if (r == 0)
        r = add_usual_prompts(e, err);
    struct str name;
    if (r == 0 && json_to_str(config_get(&c, "default_prompt_name"), &name)) {
        e->default_prompt = find_prompt(e, name);
        if (e->default_prompt < 0)
            r = damage_set(err, "%s: default_prompt_name is no prompt of its",
                           c.file);
    }
    config_fini(&c);
    return r;
}

int embedder_open(struct embedder *e, const struct snapshot *s, int hidden,
                  struct err *err)
{
    *e = (struct embedder){.check_only = hidden == 0,
                           .hidden = hidden,
                           .pooled = hidden,
                           .dim = hidden,
                           .default_prompt = -1,
                           .arena = ARENA_MAX(ARENA_BYTES_MAX)};
    e->from_modules = snapshot_find(s, "modules.json");
    if (!e->from_modules) {
        e->modes[e->n_modes++] = POOL_MEAN;
        return 0;
    }
    int r = read_modules(e, s, err);
    if (r == 0)
        r = read_lengths(e, s, err);
    if (r == 0)
        r = read_prompts(e, s, err);
    if (r < 0)
        embedder_fini(e);
    return r;
}

void embedder_fini(struct embedder *e)
{
    arena_fini(&e->arena);
}
