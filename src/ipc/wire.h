/* ipc/wire.h - the part of CBOR (RFC 8949) that frames are written in.
 *
 * Definite lengths only, no tags, text keys without duplicates, valid UTF-8,
 * shortest-form heads not required. A body is decoded once, whole, into a flat
 * array of nodes that the caller owns; strings stay where they are, in the
 * body. Any thread.
 */
#ifndef IPC_WIRE_H
#define IPC_WIRE_H
#include "base/buf.h"
#include "base/err.h"
#include <stdbool.h>

enum { WIRE_DEPTH_MAX = 32, WIRE_NODES_MAX = 65536 };

enum wire_kind {
    WIRE_NULL,
    WIRE_BOOL,
    WIRE_UINT,
    WIRE_NEGINT, /* the value is -1 - u */
    WIRE_FLOAT,
    WIRE_TEXT,
    WIRE_BYTES,
    WIRE_ARRAY,
    WIRE_MAP,
};

struct wire_node {
    enum wire_kind kind;
    uint32_t count; /* elements of an array, pairs of a map */
    uint32_t size;  /* nodes of this value, itself included */
    union {
        uint64_t u; /* UINT, NEGINT, BOOL */
        double f;
        struct str s; /* TEXT, BYTES: into the body */
    };
};

/* Decodes exactly one value that fills the body, or refuses. Returns how many
 * of the cap nodes it used, or a negative code with its sentence. */
int wire_decode(struct str body, struct wire_node *nodes, size_t cap,
                struct err *err) MUST_CHECK;

/* How many nodes wire_decode() would need for what was written here. */
size_t wire_count(struct str body);

/* A member of a map; NULL when it is not there or map is no map (or NULL). */
const struct wire_node *wire_get(const struct wire_node *map, const char *key);
/* Children in order: for (c = wire_first(v); c; c = wire_next(v, c)). In a map
 * keys and values take turns. */
const struct wire_node *wire_first(const struct wire_node *v);
const struct wire_node *wire_next(const struct wire_node *v,
                                  const struct wire_node *child);

/* A copy that owns its strings, in one block to be freed with free(); NULL for
 * NULL or when memory is out. */
struct wire_node *wire_dup(const struct wire_node *v);

/* A member, or the default when it is missing or of another kind. */
uint64_t wire_uint(const struct wire_node *map, const char *key,
                   uint64_t other);
int64_t wire_int(const struct wire_node *map, const char *key, int64_t other);
double wire_float(const struct wire_node *map, const char *key, double other);
bool wire_bool(const struct wire_node *map, const char *key, bool other);
struct str wire_text(const struct wire_node *map, const char *key); /* or "" */
struct str wire_bytes(const struct wire_node *map, const char *key);

/* Writing. Look at out->failed at the end. */
void wire_put_uint(struct buf *out, uint64_t v);
void wire_put_int(struct buf *out, int64_t v);
void wire_put_float(struct buf *out, double v);
void wire_put_bool(struct buf *out, bool v);
void wire_put_null(struct buf *out);
void wire_put_text(struct buf *out, struct str s); /* invalid UTF-8: failed */
void wire_put_bytes(struct buf *out, struct str s);
void wire_put_array(struct buf *out, size_t n); /* n values follow */
void wire_put_map(struct buf *out, size_t n);   /* n keys and values follow */
void wire_put_tree(struct buf *out, const struct wire_node *v);

/* A map whose number of members (at most 23) is known at its end. */
struct wire_map {
    struct buf *out;
    size_t at;
    unsigned n;
};
struct wire_map wire_map_open(struct buf *out);
void wire_map_close(struct wire_map *m);
void wire_key(struct wire_map *m, const char *key); /* any one value follows */
void wire_kuint(struct wire_map *m, const char *key, uint64_t v);
void wire_kint(struct wire_map *m, const char *key, int64_t v);
void wire_kfloat(struct wire_map *m, const char *key, double v);
void wire_kbool(struct wire_map *m, const char *key, bool v);
void wire_ktext(struct wire_map *m, const char *key, struct str s);
void wire_kz(struct wire_map *m, const char *key, const char *z);
void wire_kbytes(struct wire_map *m, const char *key, struct str s);

#endif
