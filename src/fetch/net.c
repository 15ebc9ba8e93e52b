/* fetch/net.c - the loop of transfers, their retries and their redirects.
 *
 * Redirects are not libcurl's: each hop is a request of its own, so that what
 * is sent to which host is decided here and can be read here.
 */
#include "fetch/net.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fetch/hop.h"
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>

enum {
    REDIRECTS_MAX = 5,
    ATTEMPTS_MAX = 5,         /* in a row without headway */
    HEADWAY_BYTES = 64 << 10, /* what counts as such */
    PATIENCE_S = 30,          /* since the last of it */
    CONNECTS_MAX = 2,         /* attempts when nobody has ever answered */
    MALFORMED_MAX = 2,        /* attempts that got an answer without sense */
    STALL_BYTES = 1 << 20, /* an attempt that stalled after less is the last */
    WAIT_FIRST_MS = 250,
    RETRY_AFTER_MAX_S = 30,
    TURN_MS = 50,
    ERROR_BODY_MAX = 64 << 10,
    LOCK_WAIT_MS = 100,
};
#define MS_NS (1000ull * 1000)
#define S_NS  (1000 * MS_NS)

enum transfer_phase { TRANSFER_WAITING, TRANSFER_RUNNING, TRANSFER_DONE };

struct transfer_state {
    struct net *net;
    struct transfer *t;
    enum transfer_phase phase;
    uint64_t not_before_ns;
    struct hop hop; /* the request under way */
    int hops, attempts, malformed_answers;
    uint64_t headway_ns; /* when the last attempt that made some ended */
    uint64_t got;        /* body bytes in this attempt */
    uint64_t wanted;     /* of this request: where it began */
    char etag[160];      /* of the file where its bytes are, for If-Range */
    bool skip, judged;   /* the answer's headers have been judged */
    bool full;           /* all that was wanted has come: stop here */
    int fatal;           /* a failure that no retry mends; err says which */
    bool malformed; /* this attempt's answer makes no sense; err says why */
    struct err err;
};

struct net {
    struct session *s;
    CURLM *multi;
    struct hop_rules rules;
    size_t running;
    bool heard; /* somebody has answered */
};

int net_init(struct err *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return err_set(err, E_INTERNAL, "cannot start libcurl");
    return 0;
}

struct net *net_new(struct session *s, struct err *err)
{
    struct net *net = mem_new(struct net);
    net->s = s;
    if (hop_rules_init(&net->rules, &s->params, err) < 0) {
        free(net);
        return NULL;
    }
    net->multi = curl_multi_init();
    assert(net->multi);
    return net;
}

void net_free(struct net *net)
{
    if (!net)
        return;
    curl_multi_cleanup(net->multi);
    hop_rules_fini(&net->rules);
    free(net);
}

void transfer_skip(struct transfer *t)
{
    t->state->skip = true;
}

static uint64_t wanted_end(const struct transfer *t)
{
    return t->end < t->size ? t->end : t->size;
}

/* ---- one answer -----------------------------------------------------------
 */

static int malformed(struct transfer_state *x, const char *what)
{
    x->malformed = true;
    return err_set(&x->err, E_HUB_UNREACHABLE,
                   "the hub answers badly about %s: %s", x->t->what, what);
}

/* The whole where a part was asked for: what is there already is void. */
static int judge_whole(struct transfer_state *x, const struct reply *r)
{
    struct transfer *t = x->t;
    if (t->from > 0) {
        int code = t->ops->restart(t, &x->err);
        if (code < 0)
            return x->fatal = code;
        t->from = 0;
    }
    if (t->size != UINT64_MAX && r->content_length != REPLY_UNKNOWN &&
        r->content_length != t->size)
        return malformed(x, "its size is not what the listing says");
    return 0;
}

static int judge_part(struct transfer_state *x, const struct reply *r)
{
    struct transfer *t = x->t;
    if (x->wanted == 0 && t->end == UINT64_MAX)
        return malformed(x, "a part where all was asked for");
    if (r->range_first != x->wanted)
        return malformed(x, "another range than the one asked for");
    if (t->size != UINT64_MAX && r->range_size != t->size)
        return malformed(x, "its size is not what the listing says");
    if (r->content_length != REPLY_UNKNOWN &&
        r->content_length != r->range_end - r->range_first)
        return malformed(x, "its length and its range do not agree");
    return 0;
}

/* Once for each answer that has a body to take, before its first byte. */
static int judge(struct transfer_state *x)
{
    const struct reply *r = &x->hop.reply;
    x->judged = true;
    if (r->encoded)
        return malformed(x, "it is compressed, which was not asked for");
    if (r->etag[0])
        memcpy(x->etag, r->etag, sizeof(x->etag));
    return r->status == 206 ? judge_part(x, r) : judge_whole(x, r);
}

/* hop.c calls this for every piece of a body; false ends the request. */
static bool on_body(void *ctx, const char *p, size_t n)
{
    struct transfer_state *x = ctx;
    struct transfer *t = x->t;
    int status = x->hop.reply.status;
    x->got += n;
    if (status != 200 && status != 206)
        return x->got <= ERROR_BODY_MAX;
    if (!x->judged && judge(x) < 0)
        return false;
    uint64_t left = wanted_end(t) - t->from;
    if (n > left && t->end >= t->size) {
        malformed(x, "more bytes than the listing says");
        return false;
    }
    size_t take = n < left ? n : (size_t)left;
    int r = t->ops->data(t, p, take, &x->err);
    if (r < 0) {
        x->fatal = r;
        return false;
    }
    t->from += take;
    x->full = t->from == wanted_end(t) && t->end < t->size;
    return !x->full;
}

/* ---- what an answer means --------------------------------------------------
 */

static void finish(struct transfer_state *x)
{
    x->phase = TRANSFER_DONE;
    if (!x->fatal)
        x->fatal = x->t->ops->end(x->t, &x->err);
}

static void fail(struct transfer_state *x, int code)
{
    x->phase = TRANSFER_DONE;
    x->fatal = code;
}

/* Again after a pause, unless there have been enough attempts without headway.
 * err says what is wrong. */
static void again(struct transfer_state *x, uint64_t wait_ms)
{
    uint64_t now = clock_now_ns();
    if (x->got >= HEADWAY_BYTES) {
        x->attempts = 0;
        x->headway_ns = now;
    }
    int most = x->net->heard ? ATTEMPTS_MAX : CONNECTS_MAX;
    if (++x->attempts > most || now - x->headway_ns > PATIENCE_S * S_NS) {
        fail(x, -x->err.code);
        return;
    }
    uint64_t pause = (uint64_t)WAIT_FIRST_MS << (x->attempts - 1);
    pause += pause * (now % 256) / 1024; /* not all of them at once */
    if (wait_ms > pause)
        pause = wait_ms;
    x->hops = 0;
    x->phase = TRANSFER_WAITING;
    x->not_before_ns = now + pause * MS_NS;
}

static void busy(struct transfer_state *x, const struct reply *r)
{
    uint64_t after = r->retry_after_s;
    err_set(&x->err, E_HUB_UNREACHABLE,
            "%s answers %d for %s; try again later%s",
            x->net->s->params.endpoint, r->status, x->t->what,
            r->status == 429 ? " (it limits how much may be asked)" : "");
    if (after != REPLY_UNKNOWN && after > RETRY_AFTER_MAX_S) {
        err_set(&x->err, E_HUB_UNREACHABLE,
                "%s answers %d for %s and asks to wait %llu s",
                x->net->s->params.endpoint, r->status, x->t->what,
                (unsigned long long)after);
        fail(x, -E_HUB_UNREACHABLE);
        return;
    }
    again(x, after == REPLY_UNKNOWN ? 0 : after * 1000);
}

static void redirect(struct transfer_state *x)
{
    if (++x->hops > REDIRECTS_MAX) {
        fail(x, err_set(&x->err, E_HUB_UNREACHABLE,
                        "the hub redirects more than %d times for %s",
                        REDIRECTS_MAX, x->t->what));
        return;
    }
    int r = hop_follow(&x->hop, x->t->what, &x->err);
    if (r < 0) {
        fail(x, r);
        return;
    }
    x->phase = TRANSFER_WAITING;
    x->not_before_ns = 0;
}

/* The endpoint itself names the hash of what it hands out. */
static bool hash_agrees(const struct transfer_state *x)
{
    const struct hub_hash *want = &x->t->hash, *is = &x->hop.reply.linked;
    return !x->hop.home || want->kind == HUB_HASH_NONE ||
           is->kind != want->kind || !strcmp(is->hex, want->hex);
}

static void refused(struct transfer_state *x, const struct reply *r)
{
    const struct fetch_params *p = &x->net->s->params;
    const char *id = p->name.id;
    bool known = str_is(str_of(r->error_code), "RepoNotFound");
    bool revision = str_is(str_of(r->error_code), "RevisionNotFound");
    bool entry = str_is(str_of(r->error_code), "EntryNotFound");
    if (revision)
        err_set(&x->err, E_MODEL_NOT_FOUND, "%s has no revision %s at %s", id,
                p->name.revision, p->endpoint);
    else if (entry)
        err_set(&x->err, E_MODEL_NOT_FOUND, "%s has no file %s at %s", id,
                x->t->what, p->endpoint);
    else if (r->status == 404 || known)
        err_set(&x->err, E_MODEL_NOT_FOUND, "there is no model %s at %s%s", id,
                p->endpoint,
                p->token[0] ? "" : ", or it is private: set HF_TOKEN");
    else if (r->status == 401 && p->token[0] && !r->error_code[0])
        err_set(&x->err, E_UNAUTHORIZED, "%s does not accept the token",
                p->endpoint);
    else if (r->status == 401 || r->status == 403)
        err_set(&x->err, E_GATED,
                "%s is gated: accept its conditions at %s/%s, then pull with "
                "HF_TOKEN set to a token of that account",
                id, p->endpoint, id);
    else
        err_set(&x->err, E_HUB_UNREACHABLE, "%s answers %d for %s", p->endpoint,
                r->status, x->t->what);
    fail(x, -x->err.code);
}

static void answered(struct transfer_state *x)
{
    const struct reply *r = &x->hop.reply;
    struct transfer *t = x->t;
    if (!hash_agrees(x)) {
        fail(x, err_set(&x->err, E_WRONG_HASH,
                        "the hub says two things about %s: its listing %.12s, "
                        "its answer %.12s. Pull again later",
                        t->what, t->hash.hex, r->linked.hex));
    } else if (r->status >= 301 && r->status <= 308 && r->location[0]) {
        redirect(x);
    } else if (r->status == 416 && x->wanted > 0) {
        err_set(&x->err, E_HUB_UNREACHABLE,
                "the hub has nothing from byte %llu of %s on",
                (unsigned long long)x->wanted, t->what);
        x->fatal = t->ops->restart(t, &x->err);
        t->from = 0;
        again(x, 0);
    } else if (r->status == 200 || r->status == 206) {
        if (!x->judged && judge(x) < 0)
            again(x, 0); /* an empty body, but not an empty file */
        else if (t->from == wanted_end(t) || t->size == UINT64_MAX)
            finish(x);
        else
            again(x, 0); /* err: set by ended() */
    } else if (r->status >= 500 || r->status == 429 || r->status == 408) {
        busy(x, r);
    } else {
        refused(x, r);
    }
}

static void broken(struct transfer_state *x, int code, const char *why)
{
    err_set(&x->err, E_HUB_UNREACHABLE, "cannot fetch %s from %s: %s",
            x->t->what, x->hop.host, why);
    bool stalled = code == CURLE_OPERATION_TIMEDOUT && x->hop.reply.status;
    if (hop_is_hopeless(code) || (stalled && x->got < STALL_BYTES))
        fail(x, -E_HUB_UNREACHABLE);
    else
        again(x, 0);
}

/* A request is over, with libcurl's code. */
static void ended(struct transfer_state *x, int code)
{
    if (x->full) {
        finish(x);
    } else if (x->fatal) {
        x->phase = TRANSFER_DONE;
    } else if (x->hop.fatal) {
        x->err = x->hop.err;
        fail(x, x->hop.fatal);
    } else if (x->malformed) {
        if (++x->malformed_answers >= MALFORMED_MAX)
            fail(x, -x->err.code);
        else
            again(x, 0);
    } else if (code == CURLE_OK || code == CURLE_WRITE_ERROR) {
        err_set(&x->err, E_HUB_UNREACHABLE,
                "the hub ended %s before its last byte", x->t->what);
        answered(x);
    } else {
        broken(x, code, hop_reason(&x->hop, code));
    }
}

/* ---- the loop --------------------------------------------------------------
 */

static void start_request(struct transfer_state *x)
{
    struct transfer *t = x->t;
    x->wanted = t->from;
    x->got = 0;
    x->judged = x->malformed = false;
    uint64_t end = t->end < t->size ? t->end : UINT64_MAX;
    int r = hop_start(&x->hop, x->wanted, end, x->etag, &x->err);
    if (r < 0) {
        fail(x, r);
        return;
    }
    curl_multi_add_handle(x->net->multi, x->hop.easy);
    x->phase = TRANSFER_RUNNING;
    x->net->running++;
}

static void start(struct transfer_state *x)
{
    struct transfer *t = x->t;
    if (x->hops == 0) {
        int r = t->ops->begin(t, &x->err);
        if (r == -EAGAIN) {
            x->not_before_ns = clock_now_ns() + LOCK_WAIT_MS * MS_NS;
            return;
        }
        if (r < 0) {
            fail(x, r);
            return;
        }
        hop_home(&x->hop, t->url);
        if (!x->headway_ns)
            x->headway_ns = clock_now_ns();
    }
    if (x->skip || t->from == wanted_end(t))
        finish(x);
    else
        start_request(x);
}

static void collect(struct net *net)
{
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(net->multi, &left))) {
        struct transfer_state *x = NULL;
        int code = (int)m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &x);
        curl_multi_remove_handle(net->multi, m->easy_handle);
        net->running--;
        net->heard |= x->hop.reply.status != 0;
        ended(x, code);
        if (x->phase == TRANSFER_DONE)
            hop_drop(&x->hop);
    }
}

static int wait_turn(struct net *net)
{
    struct curl_waitfd daemon = {channel_fd(net->s->channel), CURL_WAIT_POLLIN,
                                 0};
    curl_multi_poll(net->multi, &daemon, 1, TURN_MS, NULL);
    int running;
    curl_multi_perform(net->multi, &running);
    return running;
}

/* One turn over all of them: how many are not done; *ret_failed: the first that
 * failed. */
static size_t start_due(struct net *net, struct transfer_state *x, size_t n,
                        const struct transfer_state **ret_failed)
{
    size_t open = 0;
    uint64_t now = clock_now_ns();
    for (size_t i = 0; i < n; i++) {
        if (x[i].phase == TRANSFER_WAITING && net->running < NET_PARALLEL &&
            x[i].not_before_ns <= now)
            start(&x[i]);
        open += x[i].phase != TRANSFER_DONE;
        if (x[i].fatal < 0 && !*ret_failed)
            *ret_failed = &x[i];
    }
    return open;
}

static int loop(struct net *net, struct transfer_state *x, size_t n,
                struct err *err)
{
    const struct transfer_state *failed = NULL;
    for (;;) {
        size_t open = start_due(net, x, n, &failed);
        if (failed) {
            *err = failed->err;
            return failed->fatal;
        }
        if (open == 0)
            return 0;
        wait_turn(net);
        collect(net);
        int r = session_tick(net->s, err);
        if (r < 0)
            return r;
    }
}

int net_run(struct net *net, struct transfer *t, size_t n, struct err *err)
{
    struct transfer_state *x = mem_try(n + 1, sizeof(*x));
    if (!x)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        x[i] = (struct transfer_state){.net = net, .t = &t[i]};
        t[i].state = &x[i];
        hop_init(&x[i].hop, &net->rules, on_body, &x[i]);
    }
    int r = loop(net, x, n, err);
    for (size_t i = 0; i < n; i++) {
        if (x[i].phase == TRANSFER_RUNNING)
            curl_multi_remove_handle(net->multi, x[i].hop.easy);
        hop_drop(&x[i].hop);
        t[i].state = NULL;
    }
    net->running = 0;
    free(x);
    return r;
}

void net_quote(struct buf *out, struct str s, bool slashes)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
                                "UVWXYZ0123456789-._~";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if ((c && strchr(plain, c)) || (c == '/' && slashes))
            buf_putc(out, c);
        else
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}
