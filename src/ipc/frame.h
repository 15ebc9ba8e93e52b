/* ipc/frame.h - what the daemon and its children say to each other.
 *
 * A frame is a header of 16 bytes, little-endian,
 *     u32 body length | u16 type | u16 flags | u64 job
 * and a body: one CBOR map (ipc/wire.h) of at most 256 KiB and WIRE_NODES_MAX
 * values. The low byte of flags is the number of descriptors that travel with
 * the frame (SCM_RIGHTS); its other bits are 0. Job 0 means the process itself.
 *
 * Unknown fields are skipped, unknown types refused. Times are CLOCK_MONOTONIC
 * nanoseconds. Another FRAME_VERSION is refused with a sentence; the header and
 * HELLO, CANCEL, DONE, ERROR, PING, PONG and DRAIN never change, so that a
 * child of another version can still be drained.
 *
 * Who says what (d = daemon, w = child):
 *   HELLO  d,w  first in both directions.
 *   LOAD   d    the model; files as descriptors, in the order of "files".
 *               A berth-worker --inspect answers PLAN, any other STATUS* READY.
 *   STATUS w    what the sandbox enforces (once, before LOAD), progress of a
 *               load, progress of a fetch job.
 *   READY  w    the model answers from now on.
 *   PLAN   w    the inspector's answer.
 *   JOB    d    a task and its items. Fetch jobs (pull, headers, verify,
 *               remove) are JOBs to berth-fetch: no items, everything in
 *               "params".
 *   CHUNK  w    part of the result of one item; more will follow. Only of a
 *               JOB with "credit", and only while that lasts: a chunk costs the
 *               length of its body, at most FRAME_CHUNK_MAX, and brings no
 *               descriptors. A job has credit for one such chunk or more from
 *               the beginning, and whenever its reader has taken everything.
 *   DONE   w    the result of one item (a fetch job: "result"). After CHUNKs
 *               it says how the stream ended.
 *   ERROR  w    one item, or with no "item" the whole job, or with job 0 the
 *               child itself, failed.
 *   CANCEL d    forget the job; its items are answered with ERROR cancelled.
 *   CREDIT d,w  w: how many jobs and input bytes more it takes. d, per job: how
 *               many bytes more of CHUNKs its client can hold.
 *   PING   d    PONG answers, with one progress counter per thread.
 *   DRAIN  d    finish what was accepted, then exit 0.
 *   LOG    w    a line for the daemon's log.
 */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H
#include "ipc/wire.h"

enum {
    FRAME_VERSION = 1,
    FRAME_HEADER = 16,
    FRAME_BODY_MAX = 256 << 10,
    FRAME_FDS_MAX = 253,      /* the kernel's SCM_MAX_FD */
    FRAME_ITEMS_MAX = 4096,   /* of a job */
    FRAME_PARTS_MAX = 1024,   /* of an item: a long conversation */
    FRAME_CHUNK_MAX = 4096,   /* the body of a CHUNK */
    FRAME_INLINE_MAX = 65536, /* part bytes of a job inside the frame; above it
                                 they all travel in one sealed memfd */
    FRAME_TEXT_MAX = 4096,    /* names, sentences */
    FRAME_DATA_MAX = 1 << 30, /* part bytes of a job in a memfd */
    FRAME_FILES_MAX = 253,
    FRAME_LIST_MAX = 1024,
};

/* clang-format off */
#define FRAME_TYPES(T)                                                        \
    T(HELLO, 1) T(LOAD, 2) T(STATUS, 3) T(READY, 4) T(JOB, 5) T(CHUNK, 6)     \
    T(DONE, 7) T(ERROR, 8) T(CANCEL, 9) T(CREDIT, 10) T(PING, 11) T(PONG, 12) \
    T(DRAIN, 13) T(LOG, 14) T(PLAN, 15)

/* F(frame, field, kind, must be there, maximum: of the value for UINT, of the
 * length for TEXT and BYTES, of the count for ARRAY and MAP). A TREE is any
 * value. What the fields mean:
 *   HELLO  version; build: an id of the build; kind: "daemon", "native",
 *          "inspect", "fetch", "transformers". From the daemon: threads; cores;
 *          memory: bytes the child may use, 0 = no limit; isa: highest kernel
 *          level, "" = best; degraded: a weaker sandbox is acceptable. From the
 *          child: pid; tasks, features: lists of text; limits: map of numbers.
 *   LOAD   model, revision; dtype: "exact", "auto", "f32", "bf16", "f16";
 *          device: "cpu", "cuda", "cuda:N", "xla"; options: map ("task": the
 *          default one, of a "transformers"); files: [{name, size, fd}]: name is the place in the snapshot,
 *          size the whole file's bytes (a descriptor for the inspector may hold
 *          only the beginning), fd the index among the frame's descriptors.
 *          To a child that reads by path ("transformers") there are no
 *          descriptors and no fd, but folder: where the files are, root: what
 *          it may read of the model (a models--* folder, or folder itself), and
 *          memory: bytes it may use from now on, 0 = no limit.
 *   STATUS phase: "sandbox", "reading", "packing", "warming", "resolving",
 *          "downloading", "verifying", "placing"; done, all: bytes; rate: bytes
 *          a second; file; sandbox: map of what is in force; detail.
 *   READY  tasks; task: the default one; dim: of an embedding, 0 = none;
 *          max_tokens: per item; memory: bytes in use; dtype, isa: in use;
 *          limits: {device_bytes: all of a device that is not the host};
 *          load_ns; extra: what a protocol wants to know (pooling,
 *          labels, mask token, ...).
 *   JOB    task; deadline_ns; priority: 0..9, higher first; caller; affinity;
 *          params; items: see ipc/job.h; data: bytes in the memfd, which is then
 *          the frame's only descriptor; credit: bytes of CHUNKs its client can
 *          hold, absent = it wants none.
 *   CHUNK  item; parts as in a JOB, inside the frame; result: what belongs to
 *          them (ipc/task.h).
 *   DONE   item; parts as in a JOB; usage: {tokens: of the input, generated: of
 *          the output}; flags: ["truncated"]; times: {queue_ns, run_ns}; result;
 *          data as in JOB.
 *   ERROR  code: a name of base/err.h; text: the sentence; item.
 *   CREDIT jobs, bytes.
 *   PING   time_ns. PONG the same time_ns; threads: [counter]; busy: jobs held;
 *          memory: bytes in use.
 *   LOG    level; text.
 *   PLAN   architecture; model_type; task: the default one; tasks; tensors;
 *          parameters; bytes: {dtype: n}; context: tokens; dim; vocab;
 *          unsupported: [{what, why}]: of the native engine, empty: it serves
 *          the model; weights: bytes of its packed weights, and runtime:
 *          [[tokens in hand, bytes]], row i for 2^i threads: 0 and empty where
 *          it does not; labels: n; licence; extra: {auto_map: bool;
 *          pipeline_tag: README.md's; refused: why no backend can serve it}.
 */
#define FRAME_FIELDS(F)                                 \
    F(HELLO,  version,      UINT,  1, UINT16_MAX)       \
    F(HELLO,  build,        TEXT,  1, FRAME_TEXT_MAX)   \
    F(HELLO,  kind,         TEXT,  1, 64)               \
    F(HELLO,  threads,      UINT,  0, 4096)             \
    F(HELLO,  cores,        UINT,  0, 4096)             \
    F(HELLO,  memory,       UINT,  0, UINT64_MAX)       \
    F(HELLO,  isa,          TEXT,  0, 64)               \
    F(HELLO,  degraded,     BOOL,  0, 0)                \
    F(HELLO,  pid,          UINT,  0, INT32_MAX)        \
    F(HELLO,  tasks,        ARRAY, 0, FRAME_LIST_MAX)   \
    F(HELLO,  features,     ARRAY, 0, FRAME_LIST_MAX)   \
    F(HELLO,  limits,       MAP,   0, FRAME_LIST_MAX)   \
    F(LOAD,   model,        TEXT,  1, FRAME_TEXT_MAX)   \
    F(LOAD,   revision,     TEXT,  1, FRAME_TEXT_MAX)   \
    F(LOAD,   dtype,        TEXT,  1, 64)               \
    F(LOAD,   device,       TEXT,  1, 64)               \
    F(LOAD,   options,      MAP,   0, FRAME_LIST_MAX)   \
    F(LOAD,   files,        ARRAY, 1, FRAME_FILES_MAX)  \
    F(LOAD,   folder,       TEXT,  0, FRAME_TEXT_MAX)   \
    F(LOAD,   root,         TEXT,  0, FRAME_TEXT_MAX)   \
    F(LOAD,   memory,       UINT,  0, UINT64_MAX)       \
    F(STATUS, phase,        TEXT,  1, 64)               \
    F(STATUS, done,         UINT,  0, INT64_MAX)        \
    F(STATUS, all,          UINT,  0, INT64_MAX)        \
    F(STATUS, rate,         UINT,  0, INT64_MAX)        \
    F(STATUS, file,         TEXT,  0, FRAME_TEXT_MAX)   \
    F(STATUS, detail,       TEXT,  0, FRAME_TEXT_MAX)   \
    F(STATUS, sandbox,      MAP,   0, FRAME_LIST_MAX)   \
    F(READY,  tasks,        ARRAY, 1, FRAME_LIST_MAX)   \
    F(READY,  task,         TEXT,  1, 64)               \
    F(READY,  dim,          UINT,  1, INT32_MAX)        \
    F(READY,  max_tokens,   UINT,  1, INT32_MAX)        \
    F(READY,  memory,       UINT,  1, INT64_MAX)        \
    F(READY,  dtype,        TEXT,  1, 64)               \
    F(READY,  isa,          TEXT,  1, 64)               \
    F(READY,  load_ns,      UINT,  0, INT64_MAX)        \
    F(READY,  limits,       MAP,   0, FRAME_LIST_MAX)   \
    F(READY,  extra,        MAP,   0, FRAME_LIST_MAX)   \
    F(JOB,    task,         TEXT,  1, 64)               \
    F(JOB,    deadline_ns,  UINT,  0, UINT64_MAX)       \
    F(JOB,    priority,     UINT,  0, 9)                \
    F(JOB,    caller,       TEXT,  0, 256)              \
    F(JOB,    affinity,     TEXT,  0, 256)              \
    F(JOB,    params,       MAP,   0, FRAME_LIST_MAX)   \
    F(JOB,    items,        ARRAY, 0, FRAME_ITEMS_MAX)  \
    F(JOB,    data,         UINT,  0, FRAME_DATA_MAX)   \
    F(JOB,    credit,       UINT,  0, INT64_MAX)        \
    F(CHUNK,  item,         UINT,  1, FRAME_ITEMS_MAX)  \
    F(CHUNK,  parts,        ARRAY, 1, FRAME_PARTS_MAX)  \
    F(CHUNK,  result,       TREE,  0, 0)                \
    F(DONE,   item,         UINT,  0, FRAME_ITEMS_MAX)  \
    F(DONE,   parts,        ARRAY, 0, FRAME_PARTS_MAX)  \
    F(DONE,   usage,        MAP,   0, FRAME_LIST_MAX)   \
    F(DONE,   flags,        ARRAY, 0, FRAME_LIST_MAX)   \
    F(DONE,   times,        MAP,   0, FRAME_LIST_MAX)   \
    F(DONE,   result,       TREE,  0, 0)                \
    F(DONE,   data,         UINT,  0, FRAME_DATA_MAX)   \
    F(ERROR,  code,         TEXT,  1, 64)               \
    F(ERROR,  text,         TEXT,  1, FRAME_TEXT_MAX)   \
    F(ERROR,  item,         UINT,  0, FRAME_ITEMS_MAX)  \
    F(CREDIT, jobs,         UINT,  0, INT32_MAX)        \
    F(CREDIT, bytes,        UINT,  0, INT64_MAX)        \
    F(PING,   time_ns,      UINT,  1, UINT64_MAX)       \
    F(PONG,   time_ns,      UINT,  1, UINT64_MAX)       \
    F(PONG,   threads,      ARRAY, 1, 4096)             \
    F(PONG,   busy,         UINT,  0, INT32_MAX)        \
    F(PONG,   memory,       UINT,  0, INT64_MAX)        \
    F(LOG,    level,        TEXT,  1, 16)               \
    F(LOG,    text,         TEXT,  1, FRAME_TEXT_MAX)   \
    F(PLAN,   architecture, TEXT,  1, FRAME_TEXT_MAX)   \
    F(PLAN,   model_type,   TEXT,  1, FRAME_TEXT_MAX)   \
    F(PLAN,   task,         TEXT,  1, 64)               \
    F(PLAN,   tasks,        ARRAY, 1, FRAME_LIST_MAX)   \
    F(PLAN,   tensors,      UINT,  1, INT32_MAX)        \
    F(PLAN,   parameters,   UINT,  1, INT64_MAX)        \
    F(PLAN,   bytes,        MAP,   1, 64)               \
    F(PLAN,   context,      UINT,  1, INT32_MAX)        \
    F(PLAN,   dim,          UINT,  0, INT32_MAX)        \
    F(PLAN,   vocab,        UINT,  0, INT32_MAX)        \
    F(PLAN,   labels,       UINT,  0, INT32_MAX)        \
    F(PLAN,   unsupported,  ARRAY, 1, FRAME_LIST_MAX)   \
    F(PLAN,   weights,      UINT,  1, INT64_MAX)        \
    F(PLAN,   runtime,      ARRAY, 1, 64)               \
    F(PLAN,   licence,      TEXT,  0, FRAME_TEXT_MAX)   \
    F(PLAN,   extra,        MAP,   0, FRAME_LIST_MAX)
/* clang-format on */

enum frame_type {
#define FRAME_ENUM(name, n) FRAME_##name = n,
    FRAME_TYPES(FRAME_ENUM)
#undef FRAME_ENUM
        FRAME_TYPE_END
};

/* A frame as received. body and nodes belong to the channel that delivered it
 * and live until its callback returns; fds not taken are closed then. */
struct frame {
    enum frame_type type;
    uint64_t job;
    const struct wire_node *body; /* a map that satisfies the table */
    int *fds;                     /* take one by setting its place to -1 */
    int n_fds;
    uint32_t bytes; /* of the body */
};

const char *frame_type_name(int type); /* "HELLO"; NULL for an unknown one */

struct frame_header {
    uint32_t length;
    uint16_t type, flags;
    uint64_t job;
};
/* Header from 16 bytes; refuses unknown types, lengths and flags. */
int frame_header_read(const void *p, struct frame_header *ret,
                      struct err *err) MUST_CHECK;
/* Body to nodes (cap of them), checked against the table. Returns the number
 * of nodes. */
int frame_body_read(enum frame_type type, struct str body,
                    struct wire_node *nodes, size_t cap,
                    struct err *err) MUST_CHECK;

/* Writing: the header goes first with n_fds, the caller writes one map, then
 * frame_end() fills in the length. Returns 0, or a negative code when the frame
 * is too large; out is then as before frame_begin(). */
size_t frame_begin(struct buf *out, enum frame_type type, uint64_t job,
                   int n_fds);
int frame_end(struct buf *out, size_t at) MUST_CHECK;

#endif
