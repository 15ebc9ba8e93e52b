/* fetch/session.c - the channel's side of a job: progress out, CANCEL in. */
#include "fetch/session.h"
#include "base/clock.h"
#include "base/log.h"
#include <errno.h>

enum { STATUS_NS = 100 * 1000 * 1000, RATE_NS = 1000 * 1000 * 1000 };

static void measure_rate(struct session *s, uint64_t now)
{
    uint64_t done = s->progress.done;
    if (!s->mark_ns || done < s->mark_bytes) {
        s->mark_ns = now;
        s->mark_bytes = done;
    }
    uint64_t ns = now - s->mark_ns;
    if (ns < RATE_NS)
        return;
    s->rate = (uint64_t)((double)(done - s->mark_bytes) * 1e9 / (double)ns);
    s->mark_ns = now;
    s->mark_bytes = done;
}

static void say_status(struct session *s, uint64_t now)
{
    const struct progress *p = &s->progress;
    measure_rate(s, now);
    struct wire_map m =
        wire_map_open(channel_begin(s->channel, FRAME_STATUS, s->job));
    wire_kz(&m, "phase", p->phase);
    wire_kuint(&m, "done", p->done);
    wire_kuint(&m, "all", p->all);
    wire_kuint(&m, "rate", s->rate);
    if (p->file)
        wire_kz(&m, "file", p->file);
    wire_map_close(&m);
    if (channel_send(s->channel, NULL, 0) < 0)
        s->gone = true;
    s->said_ns = now;
    s->said_phase = p->phase;
}

/* A daemon that does not read gets no more until it has. */
static void maybe_say(struct session *s)
{
    uint64_t now = clock_now_ns();
    if (!s->progress.phase || channel_wants_write(s->channel))
        return;
    if (s->said_phase == s->progress.phase && now - s->said_ns < STATUS_NS)
        return;
    say_status(s, now);
}

int session_tick(struct session *s, struct err *err)
{
    if (!s->gone) {
        struct err why = {0};
        int r = channel_read(s->channel, &why);
        if (r < 0)
            log_error("fetch: the daemon's frames: %s", why.msg);
        s->gone = r <= 0;
    }
    if (!s->gone && channel_flush(s->channel) < 0)
        s->gone = true;
    if (s->gone || s->cancelled)
        return err_set(err, E_CANCELLED,
                       "cancelled; what was fetched stays for the next time");
    maybe_say(s);
    return 0;
}

void session_phase(struct session *s, const char *phase)
{
    s->progress.phase = phase;
    s->progress.file = NULL;
    maybe_say(s);
}

struct wire_map session_result(struct session *s, struct wire_map *done)
{
    *done = wire_map_open(channel_begin(s->channel, FRAME_DONE, s->job));
    wire_key(done, "result");
    return wire_map_open(done->out);
}

int session_done(struct session *s, struct wire_map *done,
                 struct wire_map *result, const int *fds, int n_fds,
                 struct err *err)
{
    wire_map_close(result);
    wire_map_close(done);
    int r = channel_send(s->channel, fds, n_fds);
    if (r == -E2BIG)
        return err_set(err, E_TOO_LARGE,
                       "the answer does not fit into one frame");
    return r < 0 ? err_set(err, -r, "the daemon is gone") : 0;
}
