/* arch/recipe.c - a snapshot's headers, read and compiled, in one step. */
#include "arch/recipe.h"
#include "model/damage.h"
#include <stdio.h>

static int read_names(struct recipe *r, struct err *err)
{
    int e = config_text(&r->config, "model_type", true, r->model_type,
                        sizeof(r->model_type), err);
    struct json list = config_get(&r->config, "architectures");
    struct str first;
    if (e < 0 || json_type(list) == JSON_NONE)
        return e;
    struct json_iter it = json_iter(list);
    if (json_type(list) == JSON_ARRAY && json_count(list) == 0)
        return 0;
    if (json_type(list) != JSON_ARRAY || !json_next(&it) ||
        !json_to_str(it.value, &first) ||
        !str_to_z(first, r->architecture, sizeof(r->architecture)))
        return damage_set(err, "config.json: architectures is not an array of "
                               "class names");
    return 0;
}

static bool is_listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (!strcmp(*list, name))
            return true;
    return false;
}

/* Things that no family computes. */
static void check_common(struct recipe *r)
{
    static const struct {
        const char *key, *why;
    } refused[] = {
        {"auto_map", "config.json's auto_map asks to run code from the "
                     "repository; berth never does"},
        {"quantization_config",
         "config.json says that the weights are quantised; this engine reads "
         "F32, F16 and BF16 weights"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (json_type(config_get(&r->config, refused[i].key)) != JSON_NONE)
            problem_add(&r->problems, refused[i].key, "%s", refused[i].why);
}

static bool is_quantised(const struct recipe *r)
{
    return json_type(config_get(&r->config, "quantization_config")) !=
           JSON_NONE;
}

static const struct family *choose_family(struct recipe *r, bool sentence)
{
    char known[256];
    const struct family *f = family_find(r->model_type);
    if (!f) {
        problem_add(&r->problems, r->model_type,
                    "config.json's model_type '%s' is not among those that the "
                    "native engine computes: %s",
                    r->model_type, family_list(known, sizeof(known)));
        return NULL;
    }
    r->masked = is_listed(f->masked_classes, r->architecture);
    if (!r->masked && !sentence && r->architecture[0] &&
        strcmp(r->architecture, f->body_class) != 0)
        problem_add(&r->problems, "task",
                    "the head of %s is not computed by the native engine yet; "
                    "of the family '%s' it computes %s and %s",
                    r->architecture, r->model_type, f->body_class,
                    f->masked_classes[0]);
    return f;
}

static bool has_pickle(const struct snapshot *s, char *name, size_t size)
{
    static const char *const ends[] = {".bin",  ".pt",  ".pth",
                                       ".ckpt", ".pkl", ".h5"};
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; j < ARRAY_LEN(ends); j++)
            if (str_ends(str_of(s->files[i].name), ends[j])) {
                snprintf(name, size, "%s", s->files[i].name);
                return true;
            }
    return false;
}

static bool has_safetensors(const struct snapshot *s)
{
    return snapshot_find(s, "model.safetensors") ||
           snapshot_find(s, "model.safetensors.index.json");
}

/* Weights in a format that is never read are a problem; none are damage. */
static int read_tensors(struct recipe *r, const struct snapshot *s,
                        struct err *err)
{
    char name[SNAPSHOT_NAME_MAX + 1];
    if (!has_safetensors(s) && has_pickle(s, name, sizeof(name))) {
        problem_add(&r->problems, name,
                    "its weights are in a format that can run code when it is "
                    "read; berth reads model.safetensors only");
        r->pickles = true;
        return 0;
    }
    return tensors_open(&r->tensors, s, "", err);
}

static int compile(struct recipe *r, const struct family *f, bool mlm_head,
                   struct err *err)
{
    struct plan_source source = {.config = &r->config,
                                 .tensors = &r->tensors,
                                 .mlm_head = mlm_head && r->masked};
    int e = plan_compile(&r->plan, f, &source, &r->problems, err);
    if (e != -E_UNSUPPORTED_OPTION)
        return e;
    problem_add(&r->problems, "weights", "%s", err->msg);
    return 0;
}

int recipe_open(struct recipe *r, const struct snapshot *s, bool mlm_head,
                struct err *err)
{
    struct err own;
    if (!err)
        err = &own;
    *r = (struct recipe){0};
    bool sentence = snapshot_find(s, "modules.json");
    int e = config_open(&r->config, s, "config.json", false, err);
    if (e == 0)
        e = read_names(r, err);
    if (e < 0)
        goto fail;
    check_common(r);
    const struct family *f = choose_family(r, sentence);
    e = read_tensors(r, s, err);
    /* Quantised weights have other shapes than a family's. */
    if (e == 0 && f && r->tensors.n && !is_quantised(r))
        e = compile(r, f, mlm_head, err);
    if (e < 0)
        goto fail;
    if (r->problems.n)
        plan_fini(&r->plan);
    return 0;
fail:
    recipe_fini(r);
    return e;
}

void recipe_fini(struct recipe *r)
{
    plan_fini(&r->plan);
    tensors_fini(&r->tensors);
    config_fini(&r->config);
}
