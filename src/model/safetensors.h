/* model/safetensors.h - where each tensor of a snapshot lies.
 *
 * The format: u64 little-endian N; N bytes of JSON
 *     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
 *      "__metadata__": {"key": "text", ...}}
 * possibly padded with spaces; then the data, to which the offsets are
 * relative. Tensors lie one after the other without holes or overlap, up to the
 * end of the file. A big model has several such files and
 * model.safetensors.index.json,
 * {"weight_map": {"name": "file", ...}}.
 *
 * Only headers are read here, so this works on files of which just the
 * beginning is there. Data is read with pread, never through a mapping: a file
 * that is cut short under us is an error and not a SIGBUS.
 */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H
#include "base/arena.h"
#include "model/dtype.h"
#include "model/snapshot.h"

enum {
    TENSOR_DIMS_MAX = 8,
    TENSOR_NAME_MAX = 512,
    TENSOR_SHAPE_TEXT = 96,
    TENSORS_HEADER_MAX = 100000000, /* bytes of JSON in one file */
};

struct tensor {
    const char *name;
    const struct snapshot_file *file;
    uint64_t offset; /* of its first byte in the file */
    uint64_t bytes, elements;
    uint64_t shape[TENSOR_DIMS_MAX];
    int n_dims;
    enum dtype dtype;
};

/* Owner: whoever holds the struct. The snapshot must outlive it. Any thread may
 * read it once it is open. */
struct tensors {
    struct tensor *all;
    size_t n;
    /* private */
    struct arena names;
    size_t cap;
    uint32_t *slots; /* [n_slots] open addressing: index + 1, 0 = free */
    size_t n_slots;
};

/* Reads the headers of model.safetensors, or of the files that
 * model.safetensors.index.json names, in folder ("" or "2_Dense/").
 * E_DAMAGED_FILE with the file, the field and the value. t need not be
 * initialised; on failure there is nothing to end. */
int tensors_open(struct tensors *t, const struct snapshot *s,
                 const char *folder, struct err *err) MUST_CHECK;
void tensors_fini(struct tensors *t);

/* NULL if there is none of that name. */
const struct tensor *tensors_find(const struct tensors *t, const char *name);

/* Whether every file is as long as it was announced, before data is read. */
int tensors_check_files(const struct tensors *t, struct err *err) MUST_CHECK;

/* n elements from the first one on, as f32. The tensor's type must be one that
 * the engine computes with. scratch: n * 4 bytes, unused for F32 (then it may
 * be NULL). */
int tensor_read(const struct tensor *t, uint64_t first, size_t n, float *out,
                void *scratch, struct err *err) MUST_CHECK;

/* "[30522, 384]" into buf[TENSOR_SHAPE_TEXT]; returns buf. */
char *tensor_shape_text(const uint64_t *shape, int n_dims, char *buf);

#endif
