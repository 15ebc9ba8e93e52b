/* fetch/hop.h - one HTTP request to one host, and where it may go next.
 *
 * A hop is "home" when its scheme, host and port are the endpoint's: only then
 * does it carry the token. One thread.
 */
#ifndef FETCH_HOP_H
#define FETCH_HOP_H
#include "fetch/reply.h"
#include "fetch/session.h"

enum { HOST_MAX = 256, REASON_MAX = 256 };

struct origin {
    char scheme[8], host[HOST_MAX], port[8];
};

struct hop_rules {
    const struct fetch_params *params;
    struct origin home;
    bool https;      /* the endpoint's: then nothing else is allowed */
    bool private_ok; /* the endpoint's own address is a private one */
    void *headers;   /* struct curl_slist: sent with every request */
};
int hop_rules_init(struct hop_rules *rules, const struct fetch_params *params,
                   struct err *err) MUST_CHECK;
void hop_rules_fini(struct hop_rules *rules);

/* A piece of a body; false ends the request. */
typedef bool hop_body_fn(void *ctx, const char *p, size_t n);

struct hop {
    void *easy; /* CURL, made by hop_start(); its private pointer is ctx */
    char url[URL_MAX];
    char host[HOST_MAX]; /* for sentences */
    struct reply reply;
    struct hop_rules *rules;
    hop_body_fn *body;
    void *ctx;
    bool home;
    int fatal; /* what broke the rules; err says it */
    struct err err;
    char reason[REASON_MAX];
    void *range; /* struct curl_slist */
};

void hop_init(struct hop *h, struct hop_rules *rules, hop_body_fn *body,
              void *ctx);
void hop_drop(struct hop *h); /* lets go of libcurl's part */
/* Back to the start: an address of the endpoint. */
void hop_home(struct hop *h, const char *url);
/* Prepares h->easy for the bytes [from, end) of h->url; end UINT64_MAX = to its
 * end. etag: for If-Range, or "". */
int hop_start(struct hop *h, uint64_t from, uint64_t end, const char *etag,
              struct err *err) MUST_CHECK;
/* Moves on to reply.location, or refuses to. what: for the sentence. */
int hop_follow(struct hop *h, const char *what, struct err *err) MUST_CHECK;
/* For libcurl's codes: no retry can help; what libcurl says about it. */
bool hop_is_hopeless(int code);
const char *hop_reason(const struct hop *h, int code);

#endif
