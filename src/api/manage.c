/* api/manage.c - management: models, load, unload, remove, alias, add, plan,
 * status, logs.
 *
 * An operation that takes a while goes on when its client leaves; only a pull
 * does not (api/pulling.c).
 */
#include "api/infer.h"
#include "base/clock.h"
#include "base/mem.h"
#include "manager/wanted.h"
#include <stdio.h>
#include <unistd.h>

enum { DIR_MAX = 4096, TOKEN_MAX = 1024 };

/* ---- looking ------------------------------------------------------------ */

static void list_one(void *ctx, const struct manager_model_view *v)
{
    view_json(ctx, v);
}

void manage_list(const struct call *c)
{
    struct buf out = BUF_MAX(REPLY_MAX);
    struct jsonw w = jsonw_to(&out);
    jsonw_object(&w);
    jsonw_key(&w, "models");
    jsonw_array(&w);
    manager_list(c->api->manager, list_one, &w);
    jsonw_end_array(&w);
    jsonw_end_object(&w);
    api_reply_json(c->r, 200, &out);
}

/* Two trees of a worker's frames as JSON at the worst: six bytes for each. */
enum { VIEW_MAX = 4 << 20 };

static void reply_model(struct api *a, struct http_request *r, const char *name)
{
    struct buf out = BUF_MAX(VIEW_MAX);
    struct jsonw w = jsonw_to(&out);
    struct err err;
    if (view_model(a->manager, name, &w, &err) < 0) {
        api_fail(a, r, PROTO_BERTH, &err, name);
        buf_fini(&out);
        return;
    }
    api_reply_json(r, 200, &out);
}

void manage_show(const struct call *c)
{
    char name[MANAGER_NAME_MAX];
    str_to_z(c->name, name, sizeof(name));
    reply_model(c->api, c->r, name);
}

static void status_daemon(struct jsonw *w, const struct api *a)
{
    const struct api_config *g = &a->config;
    jsonw_kz(w, "version", g->version);
    jsonw_kint(w, "pid", getpid());
    jsonw_kuint(w, "uptime_ms", (clock_now_ns() - a->started_ns) / 1000000);
    jsonw_key(w, "listen");
    jsonw_array(w);
    for (size_t i = 0; g->listen && g->listen[i]; i++)
        jsonw_z(w, g->listen[i]);
    jsonw_end_array(w);
    jsonw_kz(w, "socket", g->socket);
    jsonw_kz(w, "home", g->home);
    jsonw_kz(w, "cache", g->cache);
    jsonw_kz(w, "endpoint", g->endpoint);
    jsonw_kbool(w, "offline", g->offline);
    jsonw_kz(w, "level", g->level);
    jsonw_kint(w, "threads", g->threads);
}

static void status_manager(struct jsonw *w, const struct manager_status *s)
{
    jsonw_key(w, "memory");
    jsonw_object(w);
    jsonw_kuint(w, "budget", s->memory_budget);
    jsonw_kuint(w, "reserved", s->memory_reserved);
    jsonw_end_object(w);
    jsonw_key(w, "standby");
    jsonw_object(w);
    jsonw_kuint(w, "waiting", s->standby);
    jsonw_kuint(w, "ready", s->standby_ready);
    jsonw_kint(w, "pid", s->standby_pid);
    jsonw_end_object(w);
    jsonw_kuint(w, "models", s->models);
    jsonw_kuint(w, "ready_deployments", s->deployments_ready);
    jsonw_kuint(w, "instances", s->instances);
    jsonw_key(w, "jobs");
    jsonw_object(w);
    jsonw_kuint(w, "queued", s->jobs_queued);
    jsonw_kuint(w, "running", s->jobs_running);
    jsonw_kuint(w, "done", s->jobs_done);
    jsonw_kuint(w, "failed", s->jobs_failed);
    jsonw_kuint(w, "retried", s->jobs_retried);
    jsonw_end_object(w);
    jsonw_kuint(w, "worker_deaths", s->worker_deaths);
    jsonw_kuint(w, "truncations", s->truncations);
}

void manage_status(const struct call *c)
{
    struct buf out = BUF_MAX(1 << 20);
    struct jsonw w = jsonw_to(&out);
    struct api *a = c->api;
    struct manager_status s;
    manager_status(a->manager, &s);
    bool draining = s.draining || a->draining;
    jsonw_object(&w);
    status_daemon(&w, a);
    status_manager(&w, &s);
    jsonw_kbool(&w, "draining", draining);
    jsonw_kbool(&w, "ready", !draining && s.preloads_ready);
    jsonw_kz(&w, "waiting_for", s.waiting_for);
    jsonw_kuint(&w, "slow_turns", loop_slow_turns(a->loop));
    jsonw_kuint(&w, "longest_turn_ms", loop_longest_turn_ns(a->loop) / 1000000);
    jsonw_end_object(&w);
    api_reply_json(c->r, 200, &out);
}

/* ---- operations --------------------------------------------------------- */

struct op {
    struct api *api;
    struct http_request *r; /* NULL: the client has left */
    char name[MANAGER_NAME_MAX], target[MANAGER_NAME_MAX];
    bool remove_target;
    uint64_t reserved; /* before an unload */
    void (*reply)(struct op *o);
};

static void op_left(void *ctx)
{
    struct op *o = ctx;
    o->r = NULL;
}

static struct op *op_new(const struct call *c, void (*reply)(struct op *o))
{
    struct op *o = mem_new(struct op);
    o->api = c->api;
    o->r = c->r;
    o->reply = reply;
    http_on_abort(c->r, op_left, o);
    return o;
}

static void op_fail(struct op *o, const struct err *err)
{
    if (o->r)
        api_fail(o->api, o->r, PROTO_BERTH, err, o->name[0] ? o->name : NULL);
    free(o);
}

static void op_done(void *ctx, int code, const struct err *err)
{
    struct op *o = ctx;
    if (code < 0) {
        op_fail(o, err);
        return;
    }
    if (o->r)
        o->reply(o);
    free(o);
}

/* "model" (or another key), which must be there. */
static int op_name(struct op *o, const struct call *c, const char *key,
                   struct err *err)
{
    int r = body_z(c->body, key, o->name, sizeof(o->name), err);
    if (r == 0 || (r > 0 && !o->name[0]))
        return err_set(err, E_INVALID_REQUEST, "'%s' is missing", key);
    return r < 0 ? r : 0;
}

static void reply_show(struct op *o)
{
    reply_model(o->api, o->r, o->name);
}

/* The room for a wish's strings. */
struct wish_texts {
    char backend[64], dtype[64], device[64], task[64];
};

static int wish_text(struct json body, const char *key, char room[64],
                     const char **ret, struct err *err)
{
    int r = body_z(body, key, room, 64, err);
    *ret = r > 0 ? room : NULL;
    return r < 0 ? r : 0;
}

/* Seconds as a number, or a text with a unit. */
static int wish_keep_alive(struct json body, int64_t *ret, struct err *err)
{
    char text[64];
    int64_t n;
    struct json v = json_get(body, "keep_alive");
    if (json_type(v) == JSON_NONE || json_type(v) == JSON_NULL)
        return 0;
    if (json_to_int(v, INT32_MIN, INT32_MAX, &n))
        snprintf(text, sizeof(text), "%lld", (long long)n);
    else if (body_z(body, "keep_alive", text, sizeof(text), err) < 0)
        return -err->code;
    return wanted_keep_alive(text, ret, err);
}

static int wish_priority(struct json body, int *ret, struct err *err)
{
    int64_t n;
    struct json v = json_get(body, "priority");
    if (json_type(v) == JSON_NONE || json_type(v) == JSON_NULL)
        return 0;
    if (!json_to_int(v, 1, WANTED_PRIORITY_MAX, &n))
        return err_set(err, E_INVALID_REQUEST,
                       "'priority' should be a number from 1 to %d",
                       WANTED_PRIORITY_MAX);
    *ret = (int)n;
    return 0;
}

static int read_wish(struct json body, struct wish_texts *room,
                     struct manager_wish *wish, struct err *err)
{
    bool pin = false;
    *wish = (struct manager_wish){.backend = NULL};
    int r = wish_text(body, "backend", room->backend, &wish->backend, err);
    if (r == 0)
        r = wish_text(body, "dtype", room->dtype, &wish->dtype, err);
    if (r == 0)
        r = wish_text(body, "device", room->device, &wish->device, err);
    if (r == 0)
        r = wish_text(body, "task", room->task, &wish->task, err);
    if (r == 0)
        r = wish_keep_alive(body, &wish->keep_alive_s, err);
    if (r == 0)
        r = wish_priority(body, &wish->priority, err);
    if (r == 0)
        r = body_bool(body, "pin", &pin, err);
    wish->pin = r > 0 && pin;
    wish->unpin = r > 0 && !pin;
    return r < 0 ? r : 0;
}

void manage_load(const struct call *c)
{
    struct err err;
    struct wish_texts room;
    struct manager_wish wish;
    struct op *o = op_new(c, reply_show);
    int r = op_name(o, c, "model", &err);
    if (r == 0)
        r = read_wish(c->body, &room, &wish, &err);
    if (r == 0)
        r = manager_load(c->api->manager, o->name, &wish, op_done, o, &err);
    if (r < 0)
        op_fail(o, &err);
}

void manage_verify(const struct call *c)
{
    struct err err;
    struct op *o = op_new(c, reply_show);
    int r = op_name(o, c, "model", &err);
    if (r == 0)
        r = manager_verify(c->api->manager, o->name, op_done, o, &err);
    if (r < 0)
        op_fail(o, &err);
}

static void held_by(void *ctx, const struct manager_model_view *v)
{
    struct op *o = ctx;
    for (size_t i = 0; i < v->n_instances; i++)
        o->reserved += v->instances[i].reserved_bytes;
}

static void reply_unload(struct op *o)
{
    struct buf out = BUF_MAX(4096);
    struct jsonw w = jsonw_to(&out);
    jsonw_object(&w);
    jsonw_kz(&w, "model", o->name);
    jsonw_kuint(&w, "released_bytes", o->reserved);
    jsonw_end_object(&w);
    api_reply_json(o->r, 200, &out);
}

void manage_unload(const struct call *c)
{
    struct err err;
    struct op *o = op_new(c, reply_unload);
    int r = op_name(o, c, "model", &err);
    if (r == 0)
        r = manager_show(c->api->manager, o->name, held_by, o, &err);
    if (r == 0)
        r = manager_unload(c->api->manager, o->name, op_done, o, &err);
    if (r < 0)
        op_fail(o, &err);
}

static void reply_name(struct op *o)
{
    struct buf out = BUF_MAX(4096);
    struct jsonw w = jsonw_to(&out);
    jsonw_object(&w);
    jsonw_kz(&w, "model", o->name);
    jsonw_end_object(&w);
    api_reply_json(o->r, 200, &out);
}

void manage_remove(const struct call *c)
{
    struct err err;
    bool all = false;
    struct op *o = op_new(c, reply_name);
    int r = op_name(o, c, "model", &err);
    if (r == 0)
        r = body_bool(c->body, "all", &all, &err);
    if (r >= 0)
        r = manager_remove(c->api->manager, o->name, all, op_done, o, &err);
    if (r < 0)
        op_fail(o, &err);
}

static void reply_alias(struct op *o)
{
    struct buf out = BUF_MAX(4096);
    struct jsonw w = jsonw_to(&out);
    jsonw_object(&w);
    jsonw_kz(&w, "alias", o->name);
    jsonw_kz(&w, "model", o->remove_target ? NULL : o->target);
    jsonw_end_object(&w);
    api_reply_json(o->r, 200, &out);
}

void manage_alias(const struct call *c)
{
    struct err err;
    struct op *o = op_new(c, reply_alias);
    int r = op_name(o, c, "alias", &err);
    if (r == 0)
        r = body_z(c->body, "model", o->target, sizeof(o->target), &err);
    o->remove_target = r == 0;
    if (r == 0 && json_type(json_get(c->body, "model")) == JSON_NONE)
        r = err_set(&err, E_INVALID_REQUEST,
                    "'model' is missing; null takes the alias away");
    if (r >= 0)
        r = manager_alias(c->api->manager, o->name,
                          o->remove_target ? NULL : o->target, op_done, o,
                          &err);
    if (r < 0)
        op_fail(o, &err);
}

void manage_add(const struct call *c)
{
    struct err err;
    char dir[DIR_MAX];
    struct op *o = op_new(c, reply_show);
    int r = op_name(o, c, "model", &err);
    if (r == 0)
        r = body_z(c->body, "dir", dir, sizeof(dir), &err);
    if (r == 0)
        r = err_set(&err, E_INVALID_REQUEST,
                    "'dir' is missing: the absolute path of a model's folder");
    if (r > 0)
        r = manager_add(c->api->manager, o->name, dir, op_done, o, &err);
    if (r < 0)
        op_fail(o, &err);
}

/* ---- plan --------------------------------------------------------------- */

static void plan_field(struct jsonw *w, const struct wire_node *frame,
                       const char *key)
{
    jsonw_key(w, key);
    wire_json(w, wire_get(frame, key));
}

static void plan_json(struct jsonw *w, const struct manager_plan *p)
{
    static const char *const fields[] = {
        "architecture", "model_type", "task",    "tasks",       "tensors",
        "parameters",   "bytes",      "context", "dim",         "vocab",
        "labels",       "weights",    "runtime", "unsupported", "licence"};
    jsonw_object(w);
    jsonw_kz(w, "model", p->name);
    jsonw_kz(w, "commit", p->revision);
    jsonw_kbool(w, "local", p->local);
    jsonw_kbool(w, "fits", p->fits);
    jsonw_kz(w, "backend", p->backend);
    jsonw_kz(w, "backend_reason", p->backend_reason);
    jsonw_kuint(w, "need_bytes", p->need_bytes);
    jsonw_kuint(w, "free_bytes", p->free_bytes);
    jsonw_kuint(w, "budget_bytes", p->budget_bytes);
    jsonw_kuint(w, "download_bytes", p->download_bytes);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        plan_field(w, p->frame, fields[i]);
    jsonw_end_object(w);
}

static void plan_done(void *ctx, const struct manager_plan *plan,
                      const struct err *err)
{
    struct op *o = ctx;
    if (!plan) {
        op_fail(o, err);
        return;
    }
    if (o->r) {
        struct buf out = BUF_MAX(1 << 20);
        struct jsonw w = jsonw_to(&out);
        plan_json(&w, plan);
        api_reply_json(o->r, 200, &out);
    }
    free(o);
}

void manage_plan(const struct call *c)
{
    struct err err;
    char token[TOKEN_MAX];
    struct op *o = op_new(c, NULL);
    int r = op_name(o, c, "model", &err), given = 0;
    if (r == 0)
        r = given = body_z(c->body, "token", token, sizeof(token), &err);
    if (r >= 0)
        r = manager_plan(c->api->manager, o->name, given > 0 ? token : NULL,
                         plan_done, o, &err);
    explicit_bzero(token, sizeof(token));
    if (r < 0)
        op_fail(o, &err);
}
