/* manager/registry.c - models, names and aliases. */
#include "manager/registry.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/variants.h"
#include "manager/verification.h"
#include <stdio.h>

enum { SWEEP_MS = 10 };

static struct model *model_at(const struct list *l)
{
    return list_of(l, struct model, link);
}

/* ---- names ---- */

struct alias *alias_find(const struct manager *m, const char *name)
{
    list_each(at, (struct list *)&m->aliases)
    {
        struct alias *a = list_of(at, struct alias, link);
        if (!strcmp(a->name, name))
            return a;
    }
    return NULL;
}

struct model *registry_exact(const struct manager *m, const char *id,
                             const char *revision)
{
    list_each(at, (struct list *)&m->models)
    {
        struct model *model = model_at(at);
        if (!strcmp(model->is.id, id) && !strcmp(model->is.revision, revision))
            return model;
    }
    return NULL;
}

/* "id@revision" in two; revision NULL when none is written. */
static bool split(const char *name, char *id, const char **revision)
{
    const char *at = strchr(name, '@');
    *revision = at ? at + 1 : NULL;
    return str_to_z(str_n(name, at ? (size_t)(at - name) : strlen(name)), id,
                    MANAGER_NAME_MAX);
}

/* Of a name without revision: main, else the only one there is. Of one with a
 * revision: that, or whatever has that commit. */
static struct model *find_plain(const struct manager *m, const char *name)
{
    char id[MANAGER_NAME_MAX];
    const char *revision;
    struct model *found = NULL;
    int n = 0;
    if (!split(name, id, &revision))
        return NULL;
    list_each(at, (struct list *)&m->models)
    {
        struct model *model = model_at(at);
        if ((model->state == MODEL_ABSENT && !model->declared) ||
            strcmp(model->is.id, id))
            continue;
        if (!strcmp(model->is.revision, revision ? revision : "main"))
            return model;
        if (revision && strcmp(model->is.commit, revision))
            continue;
        found = model;
        n++;
    }
    return n == 1 || revision ? found : NULL;
}

struct model *registry_find(const struct manager *m, const char *name)
{
    if (variant_named(name))
        return variant_find(m, name);
    struct model *model = find_plain(m, name);
    const struct alias *a = model ? NULL : alias_find(m, name);
    return a ? find_plain(m, a->target) : model;
}

int registry_get(struct manager *m, const char *name, struct model **ret,
                 struct err *err)
{
    if (variant_named(name))
        return variant_get(m, name, ret, err);
    struct model *model = registry_find(m, name);
    if (!model && m->starting)
        return err_set(err, E_LOADING, "the daemon is starting");
    const struct alias *a = model ? NULL : alias_find(m, name);
    if (a)
        return err_set(err, E_MODEL_NOT_FOUND,
                       "%s stands for %s, which is not here: get it with "
                       "\"berth pull %s\"",
                       name, a->target, a->target);
    if (!model)
        return err_set(err, E_MODEL_NOT_FOUND,
                       "there is no model %s here: get it with \"berth pull "
                       "%s\"",
                       name, name);
    *ret = model;
    return 0;
}

int model_usable(const struct model *model, struct err *err)
{
    if (model->state == MODEL_PULLING)
        return err_set(err, E_LOADING, "%s is still being pulled", model->name);
    if (model->state == MODEL_REMOVING)
        return err_set(err, E_MODEL_NOT_FOUND, "%s is being removed",
                       model->name);
    if (!*model->is.commit && !*model->is.dir)
        return err_set(err, E_MODEL_NOT_FOUND,
                       "the files of %s are not here: get them with \"berth "
                       "pull %s\"",
                       model->name, model->name);
    return 0;
}

/* ---- models ---- */

static void add_sorted(struct manager *m, struct model *model)
{
    struct list *place = &m->models;
    while (place->prev != &m->models &&
           strcmp(model->name, model_at(place->prev)->name) < 0)
        place = place->prev;
    list_add(place, &model->link);
    m->n_models++;
}

static char *canonical(const char *id, const char *revision)
{
    char name[MANAGER_NAME_MAX * 2];
    bool main = !strcmp(revision, "main");
    snprintf(name, sizeof(name), "%s%s%s", id, main ? "" : "@",
             main ? "" : revision);
    return mem_strdup(name);
}

static const struct manager_model_config *
declaration(const struct manager *m, const char *id, const char *revision)
{
    for (size_t i = 0; i < m->config.n_models; i++) {
        const struct manager_model_config *c = &m->config.models[i];
        if (!strcmp(c->name, id) &&
            !strcmp(c->revision ? c->revision : "main", revision))
            return c;
    }
    return NULL;
}

static struct model *model_new(struct manager *m, const char *id,
                               const char *revision)
{
    struct model *model = mem_new(struct model);
    model->m = m;
    model->name = canonical(id, revision);
    model->is = (struct store_model){.id = mem_strdup(id),
                                     .revision = mem_strdup(revision),
                                     .commit = mem_strdup(""),
                                     .origin = mem_strdup(""),
                                     .dir = mem_strdup("")};
    model->declared = declaration(m, id, revision);
    list_init(&model->verify_link);
    list_init(&model->verify_waiters);
    list_init(&model->remove_waiters);
    model->deployment = deployment_new(model);
    add_sorted(m, model);
    return model;
}

void model_free(struct model *model)
{
    list_del(&model->link);
    list_del(&model->verify_link);
    model->m->n_models -= !model->variant;
    deployment_free(model->deployment);
    plan_fini(&model->plan);
    log_ring_fini(&model->log);
    store_model_fini(&model->is);
    free(model->name);
    free(model);
}

int registry_make(struct manager *m, const char *id, const char *revision,
                  struct model **ret, struct err *err)
{
    struct model *model = registry_exact(m, id, revision);
    if (!model && m->n_models >= CORE_MODELS_MAX)
        return err_set(err, E_CONFLICT, "there are %d models already",
                       CORE_MODELS_MAX);
    if (!model)
        model = model_new(m, id, revision);
    *ret = model;
    core_timer_set(m, &m->sweep, core_now(m) + (uint64_t)SWEEP_MS * CORE_MS_NS);
    return 0;
}

static bool unneeded(const struct model *model)
{
    return (model->state == MODEL_ABSENT || model->variant) &&
           model->busy == 0 && !model->declared &&
           deployment_quiet(model->deployment) &&
           list_empty(&model->verify_waiters) &&
           list_empty(&model->remove_waiters) &&
           list_empty(&model->deployment->load_waiters) &&
           list_empty(&model->deployment->unload_waiters);
}

void registry_sweep(struct manager *m)
{
    list_each(at, &m->models)
    {
        if (unneeded(model_at(at)))
            model_free(model_at(at));
    }
    list_each(at, &m->variants)
    {
        if (unneeded(model_at(at)))
            model_free(model_at(at));
    }
}

/* ---- aliases ---- */

int alias_word(const char *name, struct err *err)
{
    struct hub_name parsed;
    if (strchr(name, '/') || strchr(name, '@'))
        return err_set(err, E_INVALID_REQUEST,
                       "an alias is one word without \"/\" and \"@\"");
    int r = hub_name_parse(str_of(name), &parsed, err);
    return r < 0 ? err_prefix(err, "not an alias") : 0;
}

int alias_check(const struct manager *m, const char *name, struct err *err)
{
    int r = alias_word(name, err);
    if (r == 0 && find_plain(m, name))
        r = err_set(err, E_CONFLICT, "%s is the name of a model", name);
    return r;
}

int alias_set(struct manager *m, const char *name, const char *target,
              bool declared, struct err *err)
{
    struct alias *a = alias_find(m, name);
    if (!a && m->n_aliases >= CORE_ALIASES_MAX)
        return err_set(err, E_CONFLICT, "there are %d aliases already",
                       CORE_ALIASES_MAX);
    if (!a) {
        struct list *place = &m->aliases;
        a = mem_new(struct alias);
        a->name = mem_strdup(name);
        while (place->prev != &m->aliases &&
               strcmp(name, list_of(place->prev, struct alias, link)->name) < 0)
            place = place->prev;
        list_add(place, &a->link);
        m->n_aliases++;
    }
    free(a->target);
    a->target = mem_strdup(target);
    a->declared = declared;
    return 0;
}

void alias_drop(struct manager *m, struct alias *a)
{
    list_del(&a->link);
    m->n_aliases--;
    free(a->name);
    free(a->target);
    free(a);
}
