/* api/health.c - whether the daemon turns, and whether it is ready. */
#include "api/call.h"

void health_live(const struct call *c)
{
    struct buf b = BUF_MAX(64);
    buf_puts(&b, "ok\n"); /* the loop turned: it is what answers */
    http_reply(c->r, 200, "text/plain", &b);
}

void health_ready(const struct call *c)
{
    struct manager_status s;
    manager_status(c->api->manager, &s);
    if (c->api->draining || s.draining) {
        api_fail_at(c->api, c->r, PROTO_BERTH, NULL, E_DRAINING,
                    "berthd is being shut down");
        return;
    }
    if (!s.preloads_ready) {
        api_fail_at(c->api, c->r, PROTO_BERTH, s.waiting_for, E_LOADING,
                    "waiting for %s", s.waiting_for ? s.waiting_for : "models");
        return;
    }
    struct buf b = BUF_MAX(64);
    buf_puts(&b, "ready\n");
    http_reply(c->r, 200, "text/plain", &b);
}
