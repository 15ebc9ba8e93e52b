/* api/api.h - the protocols: requests to jobs and operations of the manager,
 * and what comes back to JSON.
 *
 * One per daemon, created by daemon/. The loop's thread only. Routes are one
 * table (api/routes.def).
 */
#ifndef API_API_H
#define API_API_H
#include "http/http.h"

struct api;
struct helper;
struct loop;
struct manager;

struct api_config {
    const char *version;
    const char *default_model; /* or NULL */
    int json_depth;
    size_t body_bytes;
    bool public_management; /* not only from the socket and from loopback */
    /* For /berth/status. */
    const char *const *listen; /* NULL-terminated addresses, as they are */
    const char *socket, *home, *cache, *endpoint, *level;
    bool offline;
    int threads;
};

/* The strings must outlive it. helper: for bodies over 1 MiB. */
struct api *api_new(struct loop *loop, struct manager *manager,
                    struct helper *helper, const struct api_config *config);
/* Writes the callbacks that http calls. */
void api_serve(struct api *a, struct http_config *ret);
/* The other way round: for /metrics. */
void api_set_http(struct api *a, struct http *http);
/* From now on /readyz says no. */
void api_drain(struct api *a);
/* Whether requests that came whole have not yet reached the manager. */
bool api_busy(const struct api *a);
/* Ends the answers that would never end by themselves: events, logs. */
void api_end_streams(struct api *a);
/* After http_free(). */
void api_free(struct api *a);

#endif
