/* cli/vectors.h - embeddings on paper. */
#ifndef CLI_VECTORS_H
#define CLI_VECTORS_H
#include "base/buf.h"
#include "base/json.h"

/* One JSON array, each number the shortest text of its 32-bit float. */
void vector_json(struct buf *out, struct json vector);
/* The first numbers: "0.031234 -0.045321 ...". */
void vector_brief(struct buf *out, struct json vector);
double vector_norm(struct json vector);

#endif
