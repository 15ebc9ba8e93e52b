/* api/route.c - the table of routes and how a path finds its place in it.
 *
 * A model's name may hold a '/', so a path is not cut at its slashes: the
 * longest registered name wins, and what follows it must be what the pattern
 * says. When no name is registered, the end of the path decides, so that the
 * handler can say which model is missing.
 */
#include "api/call.h"

const struct route api_routes[] = {
#define ROUTE(method, pattern, proto, fn, flags, doc) \
    {#method, pattern, PROTO_##proto, fn, flags, doc},
#include "api/routes.def"
#undef ROUTE
};
const size_t api_n_routes = ARRAY_LEN(api_routes);

static bool method_is(const struct route *r, struct str method)
{
    return str_is(method, r->method) ||
           (str_is(method, "HEAD") && !strcmp(r->method, "GET"));
}

/* rest against what follows {name}: literal text, maybe with {task} at the end.
 */
static bool tail_is(const char *tail, struct str rest, struct str *ret_task)
{
    const char *task = strstr(tail, "{task}");
    if (!task)
        return str_is(rest, tail);
    size_t n = (size_t)(task - tail);
    if (rest.n <= n || memcmp(rest.p, tail, n) ||
        memchr(rest.p + n, '/', rest.n - n))
        return false;
    *ret_task = str_n(rest.p + n, rest.n - n);
    return true;
}

/* Where the tail would begin if the path ended with it; 0 when it does not. */
static size_t tail_at(const char *tail, struct str path)
{
    if (strstr(tail, "{task}")) {
        size_t cut = path.n, n = strlen(tail) - strlen("{task}");
        while (cut > 0 && path.p[cut - 1] != '/')
            cut--;
        if (cut < n || cut == path.n || memcmp(path.p + cut - n, tail, n))
            return 0;
        return cut - n;
    }
    return str_ends(path, tail) ? path.n - strlen(tail) : 0;
}

static bool pattern_is(const char *pattern, const struct manager *m,
                       struct str path, bool guess, struct str *name,
                       struct str *task)
{
    const char *open = strstr(pattern, "{name}");
    if (!open)
        return str_is(path, pattern);
    size_t n = (size_t)(open - pattern);
    const char *tail = open + strlen("{name}");
    if (path.n <= n || memcmp(path.p, pattern, n))
        return false;
    struct str rest = str_n(path.p + n, path.n - n);
    size_t cut = guess ? tail_at(tail, rest) : manager_match(m, rest);
    if (cut == 0 || !tail_is(tail, str_n(rest.p + cut, rest.n - cut), task))
        return false;
    *name = str_n(rest.p, cut);
    return true;
}

const struct route *route_find(const struct manager *m, struct str method,
                               struct str path, struct str *ret_name,
                               struct str *ret_task, bool *ret_path)
{
    *ret_path = false;
    *ret_name = *ret_task = str_n("", 0);
    for (int guess = 0; guess < 2 && !*ret_path; guess++)
        for (size_t i = 0; i < api_n_routes; i++) {
            const struct route *r = &api_routes[i];
            struct str name = str_n("", 0), task = str_n("", 0);
            if (!pattern_is(r->pattern, m, path, guess == 1, &name, &task))
                continue;
            *ret_path = true;
            if (!method_is(r, method))
                continue;
            *ret_name = name;
            *ret_task = task;
            return r;
        }
    return NULL;
}

enum api_proto route_proto(struct str path)
{
    if (str_starts(path, "/v1/") || str_is(path, "/v1"))
        return PROTO_OPENAI;
    return str_starts(path, "/models/") ? PROTO_HF : PROTO_BERTH;
}
