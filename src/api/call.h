/* api/call.h - what the files of api/ share: the routes, one call of one, and
 * how to say no.
 */
#ifndef API_CALL_H
#define API_CALL_H
#include "api/api.h"
#include "base/json.h"
#include "base/jsonw.h"
#include "base/list.h"
#include "base/loop.h"
#include "manager/manager.h"

enum api_proto { PROTO_BERTH, PROTO_OPENAI, PROTO_HF, PROTO_TEI };
enum {
    ROUTE_LOCAL = 1, /* only from the unix socket and from loopback */
    ROUTE_BYTES = 2, /* its body may be an image or sound, as well as JSON */
    ROUTE_FORM = 4,  /* its body is multipart/form-data */
};
enum { REPLY_MAX = 256 << 20 };

/* A request on its way to its handler. */
struct call {
    struct api *api;
    struct http_request *r;
    const struct route *route;
    struct str name, task; /* of the path; "" = none */
    struct json_doc *doc;  /* the body of a POST; freed after the handler */
    struct json body;      /* an object; JSON_NONE when raw */
    bool raw;              /* the body is not JSON; it stays in the request */
    bool *kept;            /* set by a handler that answers later and will call
                              json_free(doc) itself; the slices live as long as the
                              request */
};
typedef void route_fn(const struct call *c);

struct route {
    const char *method, *pattern;
    enum api_proto proto;
    route_fn *fn;
    unsigned flags;
    const char *doc;
};
extern const struct route api_routes[];
extern const size_t api_n_routes;

struct metrics;

struct api {
    struct api_config config;
    struct loop *loop;
    struct manager *manager;
    struct helper *helper;
    struct http *http;
    struct metrics *metrics;
    uint64_t started_ns, next_id;
    bool draining;
    unsigned parsing;    /* bodies at the helper */
    struct list streams; /* struct stream, by its link */
    struct list pulls;   /* struct pull, by its link */
};

/* route.c. The route, or NULL; *ret_path says whether the path is known with
 * another method. name and task are slices of path. */
const struct route *route_find(const struct manager *m, struct str method,
                               struct str path, struct str *ret_name,
                               struct str *ret_task, bool *ret_path);
enum api_proto route_proto(struct str path); /* of an unknown path */

/* fail.c. Answers with the error in the protocol's shape. model: for
 * Retry-After; may be NULL. */
void api_fail(struct api *a, struct http_request *r, enum api_proto proto,
              const struct err *err, const char *model);
void api_fail_at(struct api *a, struct http_request *r, enum api_proto proto,
                 const char *model, int code, const char *fmt, ...)
    PRINTF(6, 7);
void api_error_body(struct buf *out, enum api_proto proto,
                    const struct err *err);
int api_error_status(enum api_proto proto, int code);

/* Answers 200 with the JSON in body (taken), or 500 when it did not fit. */
void api_reply_json(struct http_request *r, int status, struct buf *body);

/* The model that a call without a name in its path means: the body's "model",
 * else default_model, else the only one. NULL and err. name[] is room. */
const char *api_model(const struct call *c, char *name, size_t size,
                      struct err *err);

/* The media type of a raw body, as its header says it; "" = it says none. */
struct str api_media(struct http_request *r);

/* A member of the body into a terminated string: 1, 0 (not there, or null), or
 * a negative code. */
int body_z(struct json body, const char *key, char *out, size_t size,
           struct err *err) MUST_CHECK;
int body_bool(struct json body, const char *key, bool *ret,
              struct err *err) MUST_CHECK;

/* view.c: the model's object of the management routes. */
void view_json(struct jsonw *w, const struct manager_model_view *v);
/* Appends the object of name; a negative code when there is no such model. */
int view_model(struct manager *m, const char *name, struct jsonw *w,
               struct err *err) MUST_CHECK;
void event_json(struct jsonw *w, const struct manager_event *e);

/* metrics.c */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
void metrics_count(struct metrics *m, const struct route *route, int status,
                   uint64_t took_ns);

/* stream.c: an answer without an end: server-sent events, or plain bytes. */
struct stream {
    struct api *api;
    struct http_request *r; /* NULL: cut, closed() follows */
    struct list link;       /* in api->streams */
    struct loop_timer ping;
    struct loop_later later;
    void (*closed)(struct stream *s);  /* once, when the client has left, reads
                                       too slowly, or the daemon ends it */
    void (*drained)(struct stream *s); /* of stream_job() */
};
void stream_events(struct stream *s, struct api *a, struct http_request *r);
/* Events that are made for this reader alone: it ends by itself, and drained()
 * is called when everything written has gone to the reader. */
void stream_job(struct stream *s, struct api *a, struct http_request *r);
/* The same without pings, of any type, for stream_bytes(). */
void stream_begin(struct stream *s, struct api *a, struct http_request *r,
                  const char *type);
void stream_bytes(struct stream *s, const void *p, size_t n);
/* event: NULL = a plain message; id 0 = none. */
void stream_event(struct stream *s, uint64_t id, const char *event,
                  struct str data);
void stream_end(struct stream *s); /* by its owner; closed() is not called */

#define ROUTE(method, pattern, proto, fn, flags, doc) route_fn fn;
#include "api/routes.def"
#undef ROUTE

#endif
