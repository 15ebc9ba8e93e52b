/* cli/ask.h - the shape that most commands have: one question, one answer. */
#ifndef CLI_ASK_H
#define CLI_ASK_H
#include "cli/client.h"

/* Prints an answer for people. */
typedef void ask_print_fn(const struct invocation *in, struct json answer);

/* Asks the daemon GET path, or POST path with body, and prints the answer:
 * with --json as it came, else by print (NULL: nothing). */
int ask_get(const struct invocation *in, const char *path, ask_print_fn *print,
            struct err *err) MUST_CHECK;
int ask_post(const struct invocation *in, const char *path,
             const struct buf *body, ask_print_fn *print,
             struct err *err) MUST_CHECK;

/* GET /berth/models/NAME, the name escaped. */
int ask_model(struct client *c, const char *name, struct reply *ret,
              struct err *err) MUST_CHECK;
/* {"model": name} */
void ask_model_body(struct buf *out, const char *name);

#endif
