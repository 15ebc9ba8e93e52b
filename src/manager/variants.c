/* manager/variants.c - the same files served by one backend, beside what is
 * deployed. */
#include "manager/variants.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/registry.h"
#include <stdio.h>

enum {
    KEEP_ALIVE_S = 60, /* whoever compares asks at once */
    SWEEP_MS = 10,
};

static const enum backend backends[] = {BACKEND_NATIVE, BACKEND_TRANSFORMERS};

bool variant_named(const char *name)
{
    return strchr(name, '#');
}

size_t variant_suffix(struct str text)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        const char *name = backend_name(backends[i]);
        size_t n = 1 + strlen(name);
        if (text.n >= n && text.p[0] == '#' &&
            !memcmp(text.p + 1, name, n - 1) &&
            (text.n == n || text.p[n] == '/'))
            return n;
    }
    return 0;
}

/* "NAME#BACKEND" in two. */
static bool split(const char *name, char *base, const char **backend)
{
    const char *at = strchr(name, '#');
    struct str suffix = str_of(at);
    *backend = at + 1;
    return at > name && variant_suffix(suffix) == suffix.n &&
           str_to_z(str_n(name, (size_t)(at - name)), base, MANAGER_NAME_MAX);
}

bool variant_of(const struct model *variant, const struct model *model)
{
    size_t n = strlen(model->name);
    return !strncmp(variant->name, model->name, n) && variant->name[n] == '#';
}

static struct model *find(const struct manager *m, const struct model *model,
                          const char *backend)
{
    list_each(at, (struct list *)&m->variants)
    {
        struct model *v = list_of(at, struct model, link);
        if (variant_of(v, model) &&
            !strcmp(v->name + strlen(model->name) + 1, backend))
            return v;
    }
    return NULL;
}

struct model *variant_find(const struct manager *m, const char *name)
{
    char base[MANAGER_NAME_MAX];
    const char *backend;
    if (!split(name, base, &backend))
        return NULL;
    const struct model *model = registry_find(m, base);
    return model ? find(m, model, backend) : NULL;
}

static struct model *variant_new(const struct model *model, const char *backend)
{
    struct manager *m = model->m;
    struct model *v = mem_new(struct model);
    size_t n = strlen(model->name) + strlen(backend) + 2;
    v->m = m;
    v->variant = true;
    v->name = mem_zero(n, 1);
    snprintf(v->name, n, "%s#%s", model->name, backend);
    store_model_copy(&v->is, &model->is);
    plan_copy(&v->plan, &model->plan);
    v->state = MODEL_REGISTERED;
    list_init(&v->verify_link);
    list_init(&v->verify_waiters);
    list_init(&v->remove_waiters);
    v->deployment = deployment_new(v);
    struct wanted *w = &v->deployment->wanted;
    w->keep_alive_s = KEEP_ALIVE_S;
    memcpy(w->task, model->deployment->wanted.task, sizeof(w->task));
    w->backend = !strcmp(backend, backend_name(BACKEND_NATIVE))
                     ? BACKEND_NATIVE
                     : BACKEND_TRANSFORMERS;
    list_add(&m->variants, &v->link);
    return v;
}

int variant_get(struct manager *m, const char *name, struct model **ret,
                struct err *err)
{
    char base[MANAGER_NAME_MAX];
    const char *backend;
    struct model *model;
    if (!split(name, base, &backend))
        return err_set(err, E_INVALID_REQUEST,
                       "before the \"#\" of a name comes that of a model, "
                       "after it native or transformers");
    int r = registry_get(m, base, &model, err);
    if (r == 0)
        r = model_usable(model, err);
    if (r == 0 && model->state != MODEL_REGISTERED)
        r = err_set(err, E_LOADING, "%s is being verified", model->name);
    if (r < 0)
        return r;
    *ret = find(m, model, backend);
    if (!*ret)
        *ret = variant_new(model, backend);
    core_timer_set(m, &m->sweep, core_now(m) + (uint64_t)SWEEP_MS * CORE_MS_NS);
    return 0;
}

void variants_unload(struct model *model)
{
    list_each(at, &model->m->variants)
    {
        struct model *v = list_of(at, struct model, link);
        if (variant_of(v, model))
            deployment_unload(v->deployment);
    }
}
