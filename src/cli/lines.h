/* cli/lines.h - the texts of a command: its arguments, else the lines of
 * standard input; at a terminal, lines that are asked for and can be edited. */
#ifndef CLI_LINES_H
#define CLI_LINES_H
#include "base/str.h"
#include "cli/cli.h"

struct lines;

/* The texts are in->args from `first` on. */
int lines_open(struct lines **ret, const struct invocation *in, int first,
               struct err *err) MUST_CHECK;
void lines_close(struct lines *l); /* NULL is fine */
/* 1 and a text that lives until the next call (an argument: for ever), 0 at the
 * end. */
int lines_next(struct lines *l, struct str *ret, struct err *err) MUST_CHECK;
/* Somebody sits there: one text at a time, answered at once. */
bool lines_interactive(const struct lines *l);

#endif
