/* manager/wishes.c - what operators ask for: load, unload, remove, add, alias,
 * plan. */
#include "base/log.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/fetcher.h"
#include "manager/files.h"
#include "manager/idle.h"
#include "manager/registry.h"
#include "manager/removal.h"
#include "manager/room.h"
#include "manager/verification.h"

static int check_open(const struct manager *m, struct err *err)
{
    if (m->draining)
        return err_set(err, E_DRAINING, "the daemon is shutting down");
    if (m->starting)
        return err_set(err, E_LOADING, "the daemon is starting");
    return 0;
}

static int take_wish(struct deployment *d, const struct manager_wish *wish,
                     struct err *err)
{
    bool loaded = d->state == DEPLOYMENT_LOADING ||
                  d->state == DEPLOYMENT_READY ||
                  d->state == DEPLOYMENT_DRAINING;
    const char *name = d->model->name;
    if (d->model->variant && wish->backend)
        return err_set(err, E_INVALID_REQUEST,
                       "the name %s says which backend already", name);
    int r = wanted_wish(&d->wanted, wish, d->model->declared,
                        loaded ? name : NULL, err);
    if (r < 0)
        return r;
    idle_watch(d);
    room_stir(d->m);
    return 0;
}

int manager_load(struct manager *m, const char *name,
                 const struct manager_wish *wish, manager_done_fn *done,
                 void *ctx, struct err *err)
{
    struct model *model;
    int r = check_open(m, err);
    if (r == 0)
        r = registry_get(m, name, &model, err);
    if (r == 0)
        r = model_usable(model, err);
    if (r == 0 && wish)
        r = take_wish(model->deployment, wish, err);
    if (r < 0)
        return r;
    struct deployment *d = model->deployment;
    if (d->state == DEPLOYMENT_READY) {
        core_answer(m, done, ctx, 0, NULL);
        return 0;
    }
    waiter_add(&d->load_waiters, done, ctx);
    deployment_ask(d);
    return 0;
}

int manager_unload(struct manager *m, const char *name, manager_done_fn *done,
                   void *ctx, struct err *err)
{
    struct model *model;
    int r = registry_get(m, name, &model, err);
    if (r < 0)
        return r;
    waiter_add(&model->deployment->unload_waiters, done, ctx);
    deployment_unload(model->deployment);
    return 0;
}

static int no_variant(const struct model *model, struct err *err)
{
    if (!model->variant)
        return 0;
    return err_set(err, E_INVALID_REQUEST,
                   "%s is a way to serve a model, not a model of its own: "
                   "leave out what begins with \"#\"",
                   model->name);
}

static int may_remove(const struct model *model, bool all, struct err *err)
{
    int r = no_variant(model, err);
    if (r < 0)
        return r;
    if (model->declared)
        return err_set(err, E_CONFLICT,
                       "%s is declared in the configuration: take it out "
                       "there",
                       model->name);
    if (model->state == MODEL_PULLING || model->state == MODEL_VERIFYING)
        return err_set(err, E_CONFLICT, "%s is %s: wait, or cancel that first",
                       model->name, state_name(STATE_MODEL, (int)model->state));
    if (!all && !strcmp(model->is.origin, "found"))
        return err_set(err, E_CONFLICT,
                       "another program put %s into the cache: \"berth rm "
                       "--all %s\" removes it from there",
                       model->name, model->name);
    return 0;
}

int manager_remove(struct manager *m, const char *name, bool all,
                   manager_done_fn *done, void *ctx, struct err *err)
{
    struct model *model;
    int r = check_open(m, err);
    if (r == 0)
        r = registry_get(m, name, &model, err);
    if (r == 0)
        r = may_remove(model, all, err);
    if (r < 0)
        return r;
    waiter_add(&model->remove_waiters, done, ctx);
    if (model->state == MODEL_REMOVING)
        return 0;
    model->removes_all = all;
    removal_begin(model);
    return 0;
}

/* What the configuration declares and nobody has yet is what is being added. */
static bool is_taken(const struct manager *m, const char *name)
{
    const struct model *model = registry_find(m, name);
    return alias_find(m, name) || (model && model->state != MODEL_ABSENT);
}

int manager_add(struct manager *m, const char *name, const char *dir,
                manager_done_fn *done, void *ctx, struct err *err)
{
    struct hub_name parsed;
    struct model *model;
    int r = check_open(m, err);
    if (r == 0)
        r = hub_name_parse(str_of(name), &parsed, err);
    if (r == 0 && strchr(name, '@'))
        r = err_set(err, E_INVALID_REQUEST,
                    "a folder has no revision: leave out the \"@\"");
    if (r == 0 && dir[0] != '/')
        r = err_set(err, E_INVALID_REQUEST, "%s is no absolute path", dir);
    if (r == 0 && is_taken(m, name))
        r = err_set(err, E_CONFLICT, "the name %s is taken", name);
    if (r == 0)
        r = registry_make(m, parsed.id, "main", &model, err);
    if (r < 0)
        return r;
    free(model->is.origin);
    free(model->is.dir);
    model->is.origin = mem_strdup("added");
    model->is.dir = mem_strdup(dir);
    waiter_add(&model->verify_waiters, done, ctx);
    verification_start(model, true);
    return 0;
}

int manager_verify(struct manager *m, const char *name, manager_done_fn *done,
                   void *ctx, struct err *err)
{
    struct model *model;
    int r = check_open(m, err);
    if (r == 0)
        r = registry_get(m, name, &model, err);
    if (r == 0)
        r = model_usable(model, err);
    if (r == 0)
        r = no_variant(model, err);
    if (r == 0 && *model->is.dir)
        r = err_set(err, E_CONFLICT,
                    "%s is a folder of your own: there are no hashes to "
                    "compare its files with",
                    model->name);
    if (r < 0)
        return r;
    waiter_add(&model->verify_waiters, done, ctx);
    verification_start(model, true);
    return 0;
}

/* ---- aliases ---- */

struct alias_call {
    struct manager *m;
    char *name;
    char *before, *after; /* its targets; NULL = none */
    manager_done_fn *done;
    void *ctx;
};

static void alias_call_free(struct alias_call *c)
{
    free(c->name);
    free(c->before);
    free(c->after);
    free(c);
}

/* It could not be written down: as it was, unless it has moved on meanwhile. */
static void take_back(const struct alias_call *c)
{
    struct alias *a = alias_find(c->m, c->name);
    struct err ignored; /* there was room for it before */
    const char *is = a ? a->target : "", *was_set = c->after ? c->after : "";
    if (strcmp(is, was_set) != 0)
        return;
    if (!c->before && a)
        alias_drop(c->m, a);
    else if (c->before &&
             alias_set(c->m, c->name, c->before, false, &ignored) < 0)
        log_warn("manager: %s", ignored.msg);
}

static void on_alias_stored(void *ctx, int code, const struct err *err)
{
    struct alias_call *c = ctx;
    if (code < 0)
        take_back(c);
    core_answer(c->m, c->done, c->ctx, code, err);
    core_leave(c->m, NULL);
    alias_call_free(c);
}

static int drop_alias(struct manager *m, const char *alias, struct err *err)
{
    struct alias *a = alias_find(m, alias);
    if (!a)
        return err_set(err, E_NOT_FOUND, "there is no alias %s", alias);
    if (a->declared)
        return err_set(err, E_CONFLICT,
                       "the alias %s is declared in the configuration", alias);
    alias_drop(m, a);
    return 0;
}

static int set_alias(struct manager *m, const char *alias, const char *target,
                     char **ret_target, struct err *err)
{
    struct model *model;
    const struct alias *old = alias_find(m, alias);
    int r = alias_check(m, alias, err);
    if (r == 0 && old && old->declared)
        r = err_set(err, E_CONFLICT,
                    "the alias %s is declared in the configuration", alias);
    if (r == 0)
        r = registry_get(m, target, &model, err);
    if (r == 0)
        r = no_variant(model, err);
    if (r == 0)
        r = alias_set(m, alias, model->name, false, err);
    if (r == 0)
        *ret_target = mem_strdup(model->name);
    return r;
}

int manager_alias(struct manager *m, const char *alias, const char *target,
                  manager_done_fn *done, void *ctx, struct err *err)
{
    const struct alias *old = alias_find(m, alias);
    struct alias_call *c = mem_new(struct alias_call);
    *c = (struct alias_call){.m = m, .done = done, .ctx = ctx};
    c->name = mem_strdup(alias);
    c->before = old ? mem_strdup(old->target) : NULL;
    int r = check_open(m, err);
    if (r == 0)
        r = target ? set_alias(m, alias, target, &c->after, err)
                   : drop_alias(m, alias, err);
    if (r < 0) {
        alias_call_free(c);
        return r;
    }
    core_enter(m, NULL);
    m->w->put_alias(m->w->ctx, alias, c->after, on_alias_stored, c);
    return 0;
}
