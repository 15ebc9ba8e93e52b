/* cli/members.h - members of the daemon's answers, with what stands for the
 * ones that are missing: "" and 0. */
#ifndef CLI_MEMBERS_H
#define CLI_MEMBERS_H
#include "base/buf.h"
#include "base/json.h"
#include "base/jsonw.h"

struct str field_str(struct json object, const char *key);
uint64_t field_uint(struct json object, const char *key);
bool field_bool(struct json object, const char *key);
/* An array of texts, with ", " between them, into out. */
void field_list(struct buf *out, struct json object, const char *key);
/* "c9745ed1": the first letters of a commit. */
struct str field_commit(struct json model);
/* A model's state in one word: the deployment's once its files are there. */
struct str field_state(struct json model);

/* An object's texts, numbers and truths, without what is nested in it. */
void write_flat(struct jsonw *w, struct json object);

/* Prints text as it is, with control characters taken out, and a line end. */
void print_line(struct str text);

#endif
