/* ipc/job.h - items and parts: what a job asks about, and what it answers.
 *
 * On the wire a part is a map: {k: "text" | "tokens" | "bytes" | "tensor",
 * role?, media?, dtype?, shape?, and d: bytes, or o: offset and n: length into
 * the frame's memfd}. Tokens are u32, tensors raw, both little-endian. A job
 * whose parts exceed FRAME_INLINE_MAX together puts all of them into one memfd,
 * sealed against writing, growing and shrinking; so does a result.
 */
#ifndef IPC_JOB_H
#define IPC_JOB_H
#include "base/arena.h"
#include "ipc/frame.h"

enum part_kind { PART_TEXT, PART_TOKENS, PART_BYTES, PART_TENSOR };
enum { PART_RANK_MAX = 8 };

struct part {
    enum part_kind kind;
    struct str role;  /* "" = none; "query", "context", "user", ... */
    struct str media; /* "image/png"; of a text: "" or "application/json" */
    struct str dtype; /* of PART_TENSOR: "f32", "i64" */
    int rank;
    int64_t shape[PART_RANK_MAX];
    struct str data; /* text is valid UTF-8, of any length */
};

struct item {
    size_t n_parts;
    struct part *parts; /* [n_parts] */
};

/* Bytes of all parts together. */
size_t items_bytes(const struct item *items, size_t n);

/* Where received part data live when they came in a memfd. Owner: whoever
 * decoded; unmap when the parts are no longer read. */
struct part_map {
    void *p;
    size_t n;
};
void part_map_fini(struct part_map *map);

/* Writing. parts_seal() decides between inline and memfd for the parts of one
 * frame: *ret_fd is -1, or a sealed memfd that holds all part data (the caller
 * sends it as the frame's only descriptor and writes "data"). Then items_put()
 * writes the array of items, or parts_put() one array of parts. */
int parts_seal(const struct item *items, size_t n, int *ret_fd,
               struct err *err) MUST_CHECK;
void items_put(struct buf *out, const struct item *items, size_t n,
               bool sealed);
/* offset: where this item's data begin in the memfd. */
void parts_put(struct buf *out, const struct item *item, bool sealed,
               size_t offset);

/* Reading: "items" of a JOB, or "parts" of a CHUNK or DONE (as one item).
 * Everything lands in the arena, copied from the frame; with a memfd (checked
 * for its seals and its size) the data stay in *map. */
int items_read(const struct frame *f, struct arena *a, struct part_map *map,
               struct item **ret, size_t *ret_n, struct err *err) MUST_CHECK;
int parts_read(const struct frame *f, struct arena *a, struct part_map *map,
               struct item *ret, struct err *err) MUST_CHECK;

#endif
