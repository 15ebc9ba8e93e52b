/* fetch/listing.h - what the hub has of a model, and what of it is wanted. */
#ifndef FETCH_LISTING_H
#define FETCH_LISTING_H
#include "fetch/net.h"
#include "hub/hub_info.h"

/* Owns its arena. Zero before listing_get(). */
struct listing {
    struct arena arena;
    struct hub_info info;
    struct hub_entry *files; /* [n] wanted */
    size_t n;
    uint64_t bytes; /* of the wanted */
};

int listing_get(struct listing *l, struct session *s, struct net *net,
                struct err *err) MUST_CHECK;
void listing_fini(struct listing *l);
/* Where a file's bytes are asked for; lives in the arena. */
const char *listing_url(struct listing *l, const struct fetch_params *p,
                        struct str name);
/* revision, commit, gated, licence into a result. */
void listing_put(const struct listing *l, const struct fetch_params *p,
                 struct wire_map *m);

#endif
