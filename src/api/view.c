/* api/view.c - models and events as the management routes show them. */
#include "api/infer.h"

static void tree(struct jsonw *w, const char *key, const struct wire_node *n)
{
    jsonw_key(w, key);
    if (n) {
        wire_json(w, n);
        return;
    }
    jsonw_object(w);
    jsonw_end_object(w);
}

static void instance_json(struct jsonw *w,
                          const struct manager_instance_view *i)
{
    jsonw_object(w);
    jsonw_kuint(w, "id", i->id);
    jsonw_kint(w, "pid", i->pid);
    jsonw_kz(w, "state", i->state);
    jsonw_kz(w, "backend", i->backend);
    jsonw_kz(w, "dtype", i->dtype);
    jsonw_kz(w, "device", i->device);
    jsonw_kz(w, "level", i->level);
    jsonw_kz(w, "why", i->why);
    jsonw_kuint(w, "reserved_bytes", i->reserved_bytes);
    jsonw_kuint(w, "real_bytes", i->real_bytes);
    jsonw_kuint(w, "jobs", i->jobs);
    jsonw_kuint(w, "age_ms", i->age_ns / 1000000);
    jsonw_kuint(w, "load_ms", i->load_ns / 1000000);
    tree(w, "sandbox", i->sandbox);
    tree(w, "extra", i->extra);
    jsonw_end_object(w);
}

static void names(struct jsonw *w, const char *key, const char *const *list)
{
    jsonw_key(w, key);
    jsonw_array(w);
    for (; list && *list; list++)
        jsonw_z(w, *list);
    jsonw_end_array(w);
}

static void counters(struct jsonw *w, const struct manager_model_view *v)
{
    jsonw_kuint(w, "file_bytes", v->file_bytes);
    jsonw_kuint(w, "need_bytes", v->need_bytes);
    jsonw_kuint(w, "context", v->context);
    jsonw_kuint(w, "dim", v->dim);
    jsonw_kbool(w, "preload", v->preload);
    jsonw_kbool(w, "pin", v->pin);
    jsonw_kint(w, "keep_alive", v->keep_alive_s);
    jsonw_kint(w, "priority", v->priority);
    jsonw_kuint(w, "idle_ms", v->idle_ns / 1000000);
    jsonw_kuint(w, "queued_jobs", v->queued_jobs);
    jsonw_kuint(w, "running_jobs", v->running_jobs);
    jsonw_kuint(w, "restarts", v->restarts);
    jsonw_kuint(w, "loads", v->loads);
    jsonw_key(w, "unloads");
    jsonw_object(w);
    jsonw_kuint(w, "idle", v->unloads_idle);
    jsonw_kuint(w, "requested", v->unloads_requested);
    jsonw_kuint(w, "evicted", v->unloads_evicted);
    jsonw_kuint(w, "crashed", v->unloads_crashed);
    jsonw_end_object(w);
    jsonw_kuint(w, "done_jobs", v->done_jobs);
    jsonw_kuint(w, "failed_jobs", v->failed_jobs);
    jsonw_kuint(w, "truncated_items", v->truncated_items);
    jsonw_kuint(w, "tokens", v->tokens);
    jsonw_kuint(w, "generated", v->generated);
    jsonw_kuint(w, "retry_after_ms", v->retry_after_ms);
}

void view_json(struct jsonw *w, const struct manager_model_view *v)
{
    jsonw_object(w);
    jsonw_kz(w, "name", v->name);
    jsonw_kz(w, "revision", v->revision);
    jsonw_kz(w, "commit", v->commit);
    names(w, "aliases", v->aliases);
    jsonw_kz(w, "model_state", v->model_state);
    jsonw_kz(w, "state", v->state);
    jsonw_kz(w, "reason", v->reason);
    jsonw_kz(w, "last_words", v->last_words);
    jsonw_kz(w, "origin", v->origin);
    jsonw_kz(w, "architecture", v->architecture);
    jsonw_kz(w, "model_type", v->model_type);
    jsonw_kz(w, "task", v->task);
    names(w, "tasks", v->tasks);
    jsonw_kz(w, "backend", v->backend);
    jsonw_kz(w, "backend_wanted", v->backend_wanted);
    jsonw_kz(w, "backend_reason", v->backend_reason);
    counters(w, v);
    jsonw_key(w, "instances");
    jsonw_array(w);
    for (size_t i = 0; i < v->n_instances; i++)
        instance_json(w, &v->instances[i]);
    jsonw_end_array(w);
    jsonw_end_object(w);
}

static void append(void *ctx, const struct manager_model_view *v)
{
    view_json(ctx, v);
}

int view_model(struct manager *m, const char *name, struct jsonw *w,
               struct err *err)
{
    return manager_show(m, name, append, w, err);
}

void event_json(struct jsonw *w, const struct manager_event *e)
{
    jsonw_object(w);
    jsonw_kuint(w, "seq", e->seq);
    jsonw_kuint(w, "time", e->wall_ms);
    jsonw_kz(w, "type", e->type);
    jsonw_kz(w, "model", e->model);
    jsonw_kz(w, "from", e->from);
    jsonw_kz(w, "to", e->to);
    jsonw_kz(w, "reason", e->reason);
    if (!strcmp(e->type, "pull")) {
        jsonw_kuint(w, "done", e->done);
        jsonw_kuint(w, "total", e->total);
        jsonw_kuint(w, "rate", e->rate);
        jsonw_kz(w, "file", e->file);
    }
    if (e->instance)
        jsonw_kuint(w, "instance", e->instance);
    jsonw_end_object(w);
}
