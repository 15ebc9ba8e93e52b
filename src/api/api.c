/* api/api.c - from a request to the handler of its route. */
#include "api/api.h"
#include "api/call.h"
#include "base/clock.h"
#include "base/helper.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdio.h>

enum { BIG_BODY = 1 << 20 };

/* ---- before the body --------------------------------------------------- */

static const struct route *find(struct api *a, struct http_request *r,
                                struct str *name, struct str *task,
                                struct err *err)
{
    const struct http_view *v = http_view(r);
    bool known;
    const struct route *route =
        route_find(a->manager, v->method, v->path, name, task, &known);
    if (!route && known)
        err_set(err, E_METHOD_NOT_ALLOWED, "%.*s does not take %.*s",
                STR_FMT(v->path), STR_FMT(v->method));
    else if (!route)
        err_set(err, E_NOT_FOUND,
                "there is no route %.*s %.*s; the routes are in docs/api.md",
                STR_FMT(v->method), STR_FMT(v->path));
    return route;
}

/* Clients that know the id that they gave find it in the answer. */
static void add_request_id(struct api *a, struct http_request *r)
{
    struct str given = http_header(r, "x-request-id");
    if (given.n > 0 && given.n <= 128)
        http_add_header(r, "X-Request-Id", "%.*s", STR_FMT(given));
    else
        http_add_header(r, "X-Request-Id", "%016llx",
                        (unsigned long long)a->next_id++);
}

static int wrong_type(const struct route *route, struct err *err)
{
    const char *more = "";
    if (route->flags & ROUTE_BYTES)
        more = ", or image/*, audio/*, video/* or application/octet-stream for "
               "bytes";
    return err_set(err, E_UNSUPPORTED_TYPE,
                   "a request to %s has the Content-Type %s%s", route->pattern,
                   route->flags & ROUTE_FORM ? "multipart/form-data"
                                             : "application/json",
                   more);
}

/* Of bytes the header may be missing: see is_known(). */
static int check_type(const struct route *route, struct http_request *r,
                      struct err *err)
{
    struct str type = http_header(r, "content-type");
    bool ok =
        route->flags & ROUTE_FORM ? guard_is_form(type) : guard_is_json(type);
    if (route->flags & ROUTE_BYTES)
        ok |= type.n == 0 || guard_is_bytes(type, NULL);
    return ok ? 0 : wrong_type(route, err);
}

static int admit(void *ctx, struct http_request *r, struct err *err)
{
    struct api *a = ctx;
    struct str name, task;
    const struct http_view *v = http_view(r);
    const struct route *route = find(a, r, &name, &task, err);
    if (!route)
        return -err->code;
    http_set_tag(r, route);
    if ((route->flags & ROUTE_LOCAL) && !v->local &&
        !a->config.public_management)
        return err_set(err, E_FORBIDDEN,
                       "%s answers only on the unix socket and on loopback",
                       route->pattern);
    return strcmp(route->method, "POST") ? 0 : check_type(route, r, err);
}

static void refuse(void *ctx, struct http_request *r, const struct err *err)
{
    struct api *a = ctx;
    const struct route *route = http_tag(r);
    add_request_id(a, r);
    if (err->code == E_METHOD_NOT_ALLOWED)
        http_add_header(r, "Allow", "GET, HEAD, POST");
    api_fail(a, r, route ? route->proto : route_proto(http_view(r)->path), err,
             NULL);
}

/* ---- with the body ----------------------------------------------------- */

static void run(struct call *c)
{
    bool kept = false;
    c->body = json_root(c->doc);
    c->kept = &kept;
    if (json_type(c->body) != JSON_OBJECT)
        api_fail_at(c->api, c->r, c->route->proto, NULL, E_INVALID_REQUEST,
                    "the body is %s, it should be a JSON object",
                    json_type_name(json_type(c->body)));
    else
        c->route->fn(c);
    if (!kept)
        json_free(c->doc);
}

/* How the formats of images, sound and moving images begin, so far as berth
 * reads them. */
static bool begins_as_media(struct str body)
{
    static const struct {
        size_t at, n;
        const char *bytes;
    } all[] = {
        {0, 4, "\x89PNG"},  {0, 3, "\xFF\xD8\xFF"}, {0, 4, "GIF8"},
        {0, 4, "RIFF"},     {0, 2, "BM"},           {0, 4, "fLaC"},
        {0, 4, "OggS"},     {0, 3, "ID3"},          {0, 2, "\xFF\xFB"},
        {0, 2, "\xFF\xF3"}, {0, 2, "\xFF\xF2"},     {0, 4, "\x1A\x45\xDF\xA3"},
        {4, 4, "ftyp"},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (body.n >= all[i].at + all[i].n &&
            !memcmp(body.p + all[i].at, all[i].bytes, all[i].n))
            return true;
    return false;
}

static bool is_raw(const struct route *route, struct http_request *r)
{
    return route->flags & ROUTE_FORM ||
           (route->flags & ROUTE_BYTES &&
            !guard_is_json(http_header(r, "content-type")));
}

/* huggingface_hub says no type of bytes whose type it does not know: then the
 * bytes themselves have to. */
static bool is_known(const struct route *route, struct http_request *r)
{
    return route->flags & ROUTE_FORM || http_header(r, "content-type").n ||
           begins_as_media(http_view(r)->body);
}

static void run_raw(struct call *c)
{
    bool kept = false;
    c->raw = true;
    c->kept = &kept;
    if (is_known(c->route, c->r)) {
        c->route->fn(c);
        return;
    }
    struct err err;
    wrong_type(c->route, &err);
    api_fail(c->api, c->r, c->route->proto, &err, NULL);
}

/* A body that is read beside the loop. Owns the bytes: the request may go. */
struct parse {
    struct call call;
    struct buf body;
    struct err err;
    bool left; /* the client */
};

static void parse_work(void *ctx)
{
    struct parse *p = ctx;
    const struct api_config *g = &p->call.api->config;
    p->call.doc =
        json_parse(buf_str(&p->body), g->body_bytes, g->json_depth, &p->err);
}

static void parse_done(void *ctx)
{
    struct parse *p = ctx;
    p->call.api->parsing--;
    if (p->left) {
        json_free(p->call.doc);
    } else if (!p->call.doc) {
        api_fail(p->call.api, p->call.r, p->call.route->proto, &p->err, NULL);
    } else {
        http_on_abort(p->call.r, NULL, NULL);
        run(&p->call);
    }
    buf_fini(&p->body);
    free(p);
}

static void parse_left(void *ctx)
{
    struct parse *p = ctx;
    p->left = true;
}

/* The path's name and task live in the request, which run() finds there. */
static bool parse_beside(const struct call *c)
{
    struct parse *p = mem_new(struct parse);
    p->call = *c;
    p->body = http_take_body(c->r);
    if (helper_run(c->api->helper, parse_work, parse_done, p) < 0) {
        http_give_body(c->r, &p->body);
        free(p);
        return false;
    }
    c->api->parsing++;
    http_on_abort(c->r, parse_left, p);
    return true;
}

static void parse_inline(struct call *c)
{
    struct err err;
    c->doc = json_parse(http_view(c->r)->body, c->api->config.body_bytes,
                        c->api->config.json_depth, &err);
    if (c->doc)
        run(c);
    else
        api_fail(c->api, c->r, c->route->proto, &err, NULL);
}

static void handle(void *ctx, struct http_request *r)
{
    struct api *a = ctx;
    struct err err;
    struct call c = {.api = a, .r = r};
    add_request_id(a, r);
    c.route = find(a, r, &c.name, &c.task, &err);
    if (!c.route) /* the model it named has gone meanwhile */
        api_fail(a, r, route_proto(http_view(r)->path), &err, NULL);
    else if (strcmp(c.route->method, "POST"))
        c.route->fn(&c);
    else if (is_raw(c.route, r))
        run_raw(&c);
    else if (http_view(r)->body.n <= BIG_BODY || !a->helper ||
             !parse_beside(&c))
        parse_inline(&c);
}

static void ended(void *ctx, struct http_request *r, int status)
{
    struct api *a = ctx;
    const struct http_view *v = http_view(r);
    uint64_t took = clock_now_ns() - v->began_ns;
    metrics_count(a->metrics, http_tag(r), status, took);
    log_debug("api: %.*s %.*s %d in %.1f ms", STR_FMT(v->method),
              STR_FMT(v->path), status, (double)took / 1e6);
}

/* ---- what handlers share ----------------------------------------------- */

int body_z(struct json body, const char *key, char *out, size_t size,
           struct err *err)
{
    struct str s;
    struct json v = json_get(body, key);
    enum json_type t = json_type(v);
    if (t == JSON_NONE || t == JSON_NULL)
        return 0;
    if (!json_to_str(v, &s))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' is %s, it should be a string", key,
                       json_type_name(t));
    if (!str_to_z(s, out, size))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' is longer than %zu bytes or holds a NUL", key,
                       size - 1);
    return 1;
}

int body_bool(struct json body, const char *key, bool *ret, struct err *err)
{
    struct json v = json_get(body, key);
    enum json_type t = json_type(v);
    if (t == JSON_NONE || t == JSON_NULL)
        return 0;
    if (!json_to_bool(v, ret))
        return err_set(err, E_INVALID_REQUEST,
                       "'%s' is %s, it should be true or false", key,
                       json_type_name(t));
    return 1;
}

struct str api_media(struct http_request *r)
{
    struct str media;
    return guard_is_bytes(http_header(r, "content-type"), &media)
               ? media
               : str_n("", 0);
}

const char *api_model(const struct call *c, char *name, size_t size,
                      struct err *err)
{
    int r = body_z(c->body, "model", name, size, err);
    if (r < 0)
        return NULL;
    if (r > 0)
        return name;
    if (c->api->config.default_model)
        return c->api->config.default_model;
    const char *only = manager_only_model(c->api->manager);
    if (!only)
        err_set(err, E_INVALID_REQUEST,
                "no model is named: give 'model', or set default_model in the "
                "configuration");
    return only;
}

/* ---- life -------------------------------------------------------------- */

struct api *api_new(struct loop *loop, struct manager *manager,
                    struct helper *helper, const struct api_config *config)
{
    struct api *a = mem_new(struct api);
    a->config = *config;
    a->loop = loop;
    a->manager = manager;
    a->helper = helper;
    a->metrics = metrics_new();
    a->started_ns = clock_now_ns();
    a->next_id = clock_wall_ms() << 20;
    list_init(&a->streams);
    list_init(&a->pulls);
    return a;
}

void api_serve(struct api *a, struct http_config *ret)
{
    ret->admit = admit;
    ret->handle = handle;
    ret->refuse = refuse;
    ret->ended = ended;
    ret->ctx = a;
}

void api_set_http(struct api *a, struct http *http)
{
    a->http = http;
}

bool api_busy(const struct api *a)
{
    return a->parsing > 0;
}

void api_drain(struct api *a)
{
    a->draining = true;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    metrics_free(a->metrics);
    free(a);
}
