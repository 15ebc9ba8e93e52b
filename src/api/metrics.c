/* api/metrics.c - GET /metrics: Prometheus' text format.
 *
 * Labels are route patterns, methods, codes and registered models, never
 * anything that a stranger writes: their number has an end.
 */
#include "api/call.h"
#include "base/clock.h"
#include "base/mem.h"
#include <unistd.h>

enum { CODES = 600, BUCKETS = 12 };

static const double bucket_s[BUCKETS] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5, 10};

struct metric_route {
    uint64_t codes[CODES]; /* [0]: the client left before an answer */
    uint64_t buckets[BUCKETS], count;
    double sum_s;
};

struct metrics {
    struct metric_route *routes; /* [api_n_routes + 1], the last: no route */
};

struct metrics *metrics_new(void)
{
    struct metrics *m = mem_new(struct metrics);
    m->routes = mem_zero(api_n_routes + 1, sizeof(*m->routes));
    return m;
}

void metrics_free(struct metrics *m)
{
    free(m->routes);
    free(m);
}

void metrics_count(struct metrics *m, const struct route *route, int status,
                   uint64_t took_ns)
{
    size_t i = route ? (size_t)(route - api_routes) : api_n_routes;
    struct metric_route *r = &m->routes[i];
    double s = (double)took_ns / 1e9;
    r->codes[status > 0 && status < CODES ? status : 0]++;
    r->count++;
    r->sum_s += s;
    for (size_t b = 0; b < BUCKETS; b++)
        r->buckets[b] += s <= bucket_s[b];
}

static void head(struct buf *out, const char *name, const char *type,
                 const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void one(struct buf *out, const char *name, const char *type,
                const char *help, uint64_t v)
{
    head(out, name, type, help);
    buf_addf(out, "%s %llu\n", name, (unsigned long long)v);
}

static void put_label(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            buf_putc(out, '\\');
        buf_putc(out, *s);
    }
}

/* ---- requests ----------------------------------------------------------- */

static void route_labels(struct buf *out, size_t i)
{
    bool known = i < api_n_routes;
    buf_addf(out, "route=\"%s\",method=\"%s\"",
             known ? api_routes[i].pattern : "other",
             known ? api_routes[i].method : "other");
}

static void requests(struct buf *out, const struct metrics *m)
{
    const char *name = "berth_http_requests_total";
    head(out, name, "counter",
         "Requests by route pattern and status; 0: the client left first.");
    for (size_t i = 0; i <= api_n_routes; i++)
        for (int code = 0; code < CODES; code++) {
            if (!m->routes[i].codes[code])
                continue;
            buf_addf(out, "%s{", name);
            route_labels(out, i);
            buf_addf(out, ",code=\"%d\"} %llu\n", code,
                     (unsigned long long)m->routes[i].codes[code]);
        }
}

static void duration_line(struct buf *out, size_t i, const char *le, uint64_t n)
{
    buf_puts(out, "berth_http_request_duration_seconds_bucket{");
    route_labels(out, i);
    buf_addf(out, ",le=\"%s\"} %llu\n", le, (unsigned long long)n);
}

static void durations(struct buf *out, const struct metrics *m)
{
    const char *name = "berth_http_request_duration_seconds";
    head(out, name, "histogram",
         "From a request's first line to the last byte of its answer.");
    for (size_t i = 0; i <= api_n_routes; i++) {
        const struct metric_route *r = &m->routes[i];
        if (!r->count)
            continue;
        for (size_t b = 0; b < BUCKETS; b++) {
            char le[32];
            le[json_print_double(le, bucket_s[b])] = 0;
            duration_line(out, i, le, r->buckets[b]);
        }
        duration_line(out, i, "+Inf", r->count);
        buf_addf(out, "%s_sum{", name);
        route_labels(out, i);
        buf_addf(out, "} %.6f\n%s_count{", r->sum_s, name);
        route_labels(out, i);
        buf_addf(out, "} %llu\n", (unsigned long long)r->count);
    }
}

static void connections(struct buf *out, const struct api *a)
{
    struct http_counts n = http_counts(a->http);
    one(out, "berth_http_connections", "gauge", "Open connections.",
        http_connections(a->http));
    one(out, "berth_http_requests_in_flight", "gauge",
        "Requests begun and not yet answered.", http_requests(a->http));
    one(out, "berth_http_accepted_total", "counter", "Connections accepted.",
        n.accepted);
    one(out, "berth_http_too_slow_total", "counter",
        "Connections closed because a phase took too long.", n.too_slow);
    one(out, "berth_http_no_descriptor_total", "counter",
        "Connections turned away for want of descriptors.", n.no_descriptor);
    one(out, "berth_http_at_limit_total", "counter",
        "Times that accepting paused at the limit of connections.",
        n.refused_limit);
}

/* ---- models ------------------------------------------------------------- */

struct model_metric {
    const char *name, *type, *help;
    uint64_t (*value)(const struct manager_model_view *v);
};

static uint64_t v_up(const struct manager_model_view *v)
{
    return !strcmp(v->state, "ready");
}
static uint64_t v_queued(const struct manager_model_view *v)
{
    return v->queued_jobs;
}
static uint64_t v_running(const struct manager_model_view *v)
{
    return v->running_jobs;
}
static uint64_t v_done(const struct manager_model_view *v)
{
    return v->done_jobs;
}
static uint64_t v_failed(const struct manager_model_view *v)
{
    return v->failed_jobs;
}
static uint64_t v_tokens(const struct manager_model_view *v)
{
    return v->tokens;
}

static uint64_t v_generated(const struct manager_model_view *v)
{
    return v->generated;
}
static uint64_t v_truncated(const struct manager_model_view *v)
{
    return v->truncated_items;
}
static uint64_t v_restarts(const struct manager_model_view *v)
{
    return v->restarts;
}
static uint64_t v_loads(const struct manager_model_view *v)
{
    return v->loads;
}
static uint64_t v_memory(const struct manager_model_view *v)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < v->n_instances; i++)
        sum += v->instances[i].real_bytes;
    return sum;
}

static const struct model_metric model_metrics[] = {
    {"berth_model_up", "gauge", "1 when a process answers for the model.",
     v_up},
    {"berth_model_jobs_queued", "gauge", "Jobs that wait.", v_queued},
    {"berth_model_jobs_running", "gauge", "Jobs at a worker.", v_running},
    {"berth_model_jobs_done_total", "counter", "Jobs answered.", v_done},
    {"berth_model_jobs_failed_total", "counter", "Jobs failed.", v_failed},
    {"berth_model_tokens_total", "counter", "Tokens read.", v_tokens},
    {"berth_model_generated_tokens_total", "counter", "Tokens written.",
     v_generated},
    {"berth_model_truncations_total", "counter", "Inputs cut short.",
     v_truncated},
    {"berth_model_restarts_total", "counter", "Workers that died.", v_restarts},
    {"berth_model_loads_total", "counter", "Times that it became ready.",
     v_loads},
    {"berth_model_memory_bytes", "gauge", "Memory of its processes.", v_memory},
};

struct model_line {
    struct buf *out;
    const struct model_metric *metric;
};

static void model_line(void *ctx, const struct manager_model_view *v)
{
    const struct model_line *l = ctx;
    buf_addf(l->out, "%s{model=\"", l->metric->name);
    put_label(l->out, v->name);
    buf_addf(l->out, "\"} %llu\n", (unsigned long long)l->metric->value(v));
}

static void unload_line(const struct model_line *l, const char *model,
                        const char *reason, uint64_t n)
{
    buf_addf(l->out, "%s{model=\"", l->metric->name);
    put_label(l->out, model);
    buf_addf(l->out, "\",reason=\"%s\"} %llu\n", reason, (unsigned long long)n);
}

static void unload_lines(void *ctx, const struct manager_model_view *v)
{
    unload_line(ctx, v->name, "idle", v->unloads_idle);
    unload_line(ctx, v->name, "requested", v->unloads_requested);
    unload_line(ctx, v->name, "evicted", v->unloads_evicted);
    unload_line(ctx, v->name, "crashed", v->unloads_crashed);
}

static void unloads(struct buf *out, const struct api *a)
{
    static const struct model_metric metric = {
        "berth_model_unloads_total", "counter",
        "Times that its process ended, and why.", NULL};
    struct model_line l = {out, &metric};
    head(out, metric.name, metric.type, metric.help);
    manager_list(a->manager, unload_lines, &l);
}

static void models(struct buf *out, const struct api *a)
{
    for (size_t i = 0; i < ARRAY_LEN(model_metrics); i++) {
        struct model_line l = {out, &model_metrics[i]};
        head(out, l.metric->name, l.metric->type, l.metric->help);
        manager_list(a->manager, model_line, &l);
    }
}

/* ---- all of it ---------------------------------------------------------- */

static void jobs(struct buf *out, const struct manager_status *s)
{
    one(out, "berth_jobs_queued", "gauge", "Jobs that wait.", s->jobs_queued);
    one(out, "berth_jobs_running", "gauge", "Jobs at workers.",
        s->jobs_running);
    one(out, "berth_jobs_done_total", "counter", "Jobs answered.",
        s->jobs_done);
    one(out, "berth_jobs_failed_total", "counter", "Jobs failed.",
        s->jobs_failed);
    one(out, "berth_jobs_retried_total", "counter",
        "Jobs run again after a worker died.", s->jobs_retried);
    one(out, "berth_worker_deaths_total", "counter",
        "Workers that ended without being asked to.", s->worker_deaths);
    one(out, "berth_truncations_total", "counter", "Inputs cut short.",
        s->truncations);
    one(out, "berth_models", "gauge", "Models registered.", s->models);
    one(out, "berth_deployments_ready", "gauge", "Models loaded.",
        s->deployments_ready);
    one(out, "berth_instances", "gauge", "Processes of models.", s->instances);
    one(out, "berth_standby", "gauge",
        "Interpreters that wait for a model of the Transformers backend.",
        s->standby);
    one(out, "berth_memory_budget_bytes", "gauge", "What models may use.",
        s->memory_budget);
    one(out, "berth_memory_reserved_bytes", "gauge", "What they reserved.",
        s->memory_reserved);
}

static void daemon_itself(struct buf *out, const struct api *a)
{
    one(out, "berth_slow_turns_total", "counter",
        "Turns of the loop over 20 ms.", loop_slow_turns(a->loop));
    one(out, "berth_longest_turn_microseconds", "gauge",
        "The longest turn of the loop.", loop_longest_turn_ns(a->loop) / 1000);
    one(out, "berth_uptime_seconds", "gauge", "Since the start.",
        (clock_now_ns() - a->started_ns) / 1000000000);
    head(out, "berth_build_info", "gauge", "The version.");
    buf_addf(out, "berth_build_info{version=\"%s\"} 1\n", a->config.version);
}

void metrics_show(const struct call *c)
{
    struct buf out = BUF_MAX(REPLY_MAX);
    struct manager_status s;
    manager_status(c->api->manager, &s);
    requests(&out, c->api->metrics);
    durations(&out, c->api->metrics);
    if (c->api->http)
        connections(&out, c->api);
    jobs(&out, &s);
    models(&out, c->api);
    unloads(&out, c->api);
    daemon_itself(&out, c->api);
    http_reply(c->r, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}
