/* manager/wanted.c - what is wanted of a deployment, beside that it be there.
 */
#include "manager/wanted.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const backends[] = {
    [BACKEND_AUTO] = "auto",
    [BACKEND_NATIVE] = "native",
    [BACKEND_TRANSFORMERS] = "transformers",
};

const char *backend_name(enum backend b)
{
    return backends[b];
}

/* ---- values ---- */

int wanted_backend(const char *text, enum backend *out, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (!strcmp(text, backends[i])) {
            if (out)
                *out = (enum backend)i;
            return 0;
        }
    return err_set(err, E_INVALID_REQUEST,
                   "backend is '%.50s', it should be auto, native or "
                   "transformers",
                   text);
}

int wanted_dtype(const char *text, char out[8], struct err *err)
{
    static const char *const names[][2] = {
        {"exact", "exact"}, {"auto", "auto"}, {"f32", "f32"},
        {"float32", "f32"}, {"bf16", "bf16"}, {"bfloat16", "bf16"},
        {"float16", "f16"}, {"f16", "f16"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(text, names[i][0])) {
            if (out)
                snprintf(out, 8, "%s", names[i][1]);
            return 0;
        }
    return err_set(err, E_INVALID_REQUEST,
                   "dtype is '%.50s', it should be exact, auto, f32, bf16 or "
                   "f16",
                   text);
}

static bool is_cuda(const char *text)
{
    bool plain = !strcmp(text, "cuda");
    return plain || (!strncmp(text, "cuda:", 5) && text[5] >= '0' &&
                     text[5] < '0' + WANTED_CUDA_MAX && !text[6]);
}

int wanted_device(const char *text, struct err *err)
{
    if (!strcmp(text, "cpu") || !strcmp(text, "auto") || !strcmp(text, "xla") ||
        is_cuda(text))
        return 0;
    return err_set(err, E_INVALID_REQUEST,
                   "device is '%.50s', it should be cpu, cuda, cuda:0 to "
                   "cuda:%d, xla or auto",
                   text, WANTED_CUDA_MAX - 1);
}

int wanted_task(const char *text, struct err *err)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_");
    if (n > 0 && !text[n] && n < sizeof(((struct wanted *)NULL)->task))
        return 0;
    return err_set(err, E_INVALID_REQUEST,
                   "task is '%.50s', it should be a name like "
                   "text-classification",
                   text);
}

int wanted_keep_alive(const char *text, int64_t *out, struct err *err)
{
    char *end;
    long long v = strtoll(text, &end, 10), unit = 0;
    bool number = text[0] >= '0' && text[0] <= '9';
    if (!strcmp(text, "-1")) {
        *out = -1;
        return 0;
    }
    if (!*end || !strcmp(end, "s"))
        unit = 1;
    else if (!strcmp(end, "m"))
        unit = 60;
    else if (!strcmp(end, "h"))
        unit = 3600;
    if (!number || !unit || v < 1 || v > WANTED_KEEP_ALIVE_MAX / unit)
        return err_set(err, E_INVALID_REQUEST,
                       "keep_alive is '%.50s', it should be seconds, a time "
                       "like 10m or 2h, or -1 for ever",
                       text);
    *out = v * unit;
    return 0;
}

/* ---- by the configuration ---- */

static int check_priority(int v, struct err *err)
{
    if (v >= 0 && v <= WANTED_PRIORITY_MAX)
        return 0;
    return err_set(err, E_INVALID_REQUEST,
                   "priority is %d, it should be between 1 and %d", v,
                   WANTED_PRIORITY_MAX);
}

static int check_keep_alive(int64_t v, struct err *err)
{
    if (v >= -1 && v <= WANTED_KEEP_ALIVE_MAX)
        return 0;
    return err_set(err, E_INVALID_REQUEST,
                   "keep_alive is %lld, it should be seconds up to %d, or -1 "
                   "for ever",
                   (long long)v, WANTED_KEEP_ALIVE_MAX);
}

int wanted_declared(const struct manager_model_config *d, struct err *err)
{
    int r = d->backend ? wanted_backend(d->backend, NULL, err) : 0;
    if (r == 0 && d->dtype)
        r = wanted_dtype(d->dtype, NULL, err);
    if (r == 0 && d->device)
        r = wanted_device(d->device, err);
    if (r == 0 && d->task)
        r = wanted_task(d->task, err);
    if (r == 0)
        r = check_priority(d->priority, err);
    return r == 0 ? check_keep_alive(d->keep_alive_s, err) : r;
}

static int64_t first_keep_alive(const struct manager_config *config,
                                const struct manager_model_config *d)
{
    if (d && d->keep_alive_s)
        return d->keep_alive_s;
    if (d && d->preload)
        return -1;
    return config->keep_alive_s > 0 ? config->keep_alive_s : -1;
}

/* What was checked before can not fail now. */
static void put(int r)
{
    if (r < 0)
        abort();
}

void wanted_init(struct wanted *w, const struct manager_config *config,
                 const struct manager_model_config *d)
{
    static const struct manager_model_config nothing;
    struct err err;
    d = d ? d : &nothing;
    *w =
        (struct wanted){.priority = d->priority ? d->priority : WANTED_PRIORITY,
                        .keep_alive_s = first_keep_alive(config, d),
                        .pin = d->pin};
    put(wanted_backend(d->backend ? d->backend : "auto", &w->backend, &err));
    put(wanted_dtype(d->dtype ? d->dtype : "exact", w->dtype, &err));
    snprintf(w->device, sizeof(w->device), "%s", d->device ? d->device : "cpu");
    snprintf(w->task, sizeof(w->task), "%s", d->task ? d->task : "");
}

/* ---- by whoever asks ---- */

static int declared_so(const char *what, struct err *err)
{
    return err_set(err, E_CONFLICT,
                   "its %s is declared in the configuration: change it there",
                   what);
}

static int loaded_so(const char *what, const char *is, const char *loaded,
                     struct err *err)
{
    return err_set(err, E_CONFLICT, "%s is loaded with %s %s: unload it first",
                   loaded, what, is);
}

/* Those that a process can not change: compared, then taken. */
static int wish_text(const char *what, char *is, size_t size, const char *to,
                     const char *declared, const char *loaded, struct err *err)
{
    if (!to || !strcmp(is, to))
        return 0;
    if (declared)
        return declared_so(what, err);
    if (loaded)
        return loaded_so(what, *is ? is : "of its own", loaded, err);
    snprintf(is, size, "%s", to);
    return 0;
}

static int wish_process(struct wanted *w, const struct manager_wish *wish,
                        const struct manager_model_config *d,
                        const char *loaded, struct err *err)
{
    char dtype[8] = "", backend[16];
    snprintf(backend, sizeof(backend), "%s", backend_name(w->backend));
    int r = wish->backend ? wanted_backend(wish->backend, NULL, err) : 0;
    if (r == 0 && wish->dtype)
        r = wanted_dtype(wish->dtype, dtype, err);
    if (r == 0 && wish->device)
        r = wanted_device(wish->device, err);
    if (r == 0 && wish->task)
        r = wanted_task(wish->task, err);
    if (r == 0)
        r = wish_text("backend", backend, sizeof(backend), wish->backend,
                      d->backend, loaded, err);
    if (r == 0)
        r = wish_text("dtype", w->dtype, sizeof(w->dtype),
                      *dtype ? dtype : NULL, d->dtype, loaded, err);
    if (r == 0)
        r = wish_text("device", w->device, sizeof(w->device), wish->device,
                      d->device, loaded, err);
    if (r == 0)
        r = wish_text("task", w->task, sizeof(w->task), wish->task, d->task,
                      loaded, err);
    return r == 0 ? wanted_backend(backend, &w->backend, err) : r;
}

int wanted_wish(struct wanted *w, const struct manager_wish *wish,
                const struct manager_model_config *d, const char *loaded,
                struct err *err)
{
    static const struct manager_model_config nothing;
    struct wanted to = *w;
    d = d ? d : &nothing;
    int r = wish_process(&to, wish, d, loaded, err);
    if (r == 0)
        r = check_priority(wish->priority, err);
    if (r == 0)
        r = check_keep_alive(wish->keep_alive_s, err);
    if (r == 0 && wish->priority && d->priority &&
        wish->priority != d->priority)
        r = declared_so("priority", err);
    if (r == 0 && wish->keep_alive_s && d->keep_alive_s &&
        wish->keep_alive_s != d->keep_alive_s)
        r = declared_so("keep_alive", err);
    if (r == 0 && d->pin && wish->unpin)
        r = declared_so("pin", err);
    if (r < 0)
        return r;
    if (wish->priority)
        to.priority = wish->priority;
    if (wish->keep_alive_s)
        to.keep_alive_s = wish->keep_alive_s;
    to.pin = (to.pin || wish->pin) && !wish->unpin;
    *w = to;
    return 0;
}
