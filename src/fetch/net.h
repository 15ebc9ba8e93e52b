/* fetch/net.h - transfers from a hub, a few at a time, on libcurl.
 *
 * Each transfer is one address of the endpoint, followed through at most five
 * redirects by hand: the token goes to the endpoint's own scheme, host and port
 * and nowhere else, https never becomes http, and a redirect from a public
 * address to a private one is refused. Broken transfers are tried again from
 * where they stopped, with a back-off, as long as they make headway. One
 * thread.
 */
#ifndef FETCH_NET_H
#define FETCH_NET_H
#include "fetch/session.h"
#include "hub/hub_path.h"

enum { NET_PARALLEL = 4 };

struct net;
struct transfer;

/* The owner of a transfer is told. err is for the sentence; a negative return
 * ends the transfer with that code. */
struct transfer_ops {
    /* Before each attempt: sets t->from to the first byte wanted. -EAGAIN: not
     * yet, ask again soon. May call transfer_skip(). */
    int (*begin)(struct transfer *t, struct err *err);
    /* The bytes so far are void: forget them, t->from is 0 now. */
    int (*restart)(struct transfer *t, struct err *err);
    /* The next bytes, from t->from on. */
    int (*data)(struct transfer *t, const void *p, size_t n, struct err *err);
    /* All bytes are there. */
    int (*end)(struct transfer *t, struct err *err);
};

struct transfer {
    /* The owner's, set before net_run(). */
    const struct transfer_ops *ops;
    void *ctx;
    const char *url;      /* of the endpoint; lives as long as the transfer */
    const char *what;     /* for sentences: a file's name */
    uint64_t size;        /* of the whole; UINT64_MAX = not known */
    uint64_t end;         /* one past the last byte wanted; UINT64_MAX = size */
    struct hub_hash hash; /* what an ETag of the endpoint must say, if known */
    uint64_t from;        /* the next byte wanted */
    struct transfer_state *state; /* net's */
};

/* Once a process, before the sandbox. */
int net_init(struct err *err) MUST_CHECK;
struct net *net_new(struct session *s, struct err *err);
void net_free(struct net *net);

/* Until all are done, or one has failed for good (then the rest is stopped), or
 * the job is cancelled. */
int net_run(struct net *net, struct transfer *t, size_t n,
            struct err *err) MUST_CHECK;
/* From begin(): nothing is to be fetched, end() follows at once. */
void transfer_skip(struct transfer *t);

/* Percent-encodes for a path; '/' stays when slashes is true. */
void net_quote(struct buf *out, struct str s, bool slashes);

#endif
