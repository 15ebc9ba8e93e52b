/* cli/human.h - numbers and text for people to read. */
#ifndef CLI_HUMAN_H
#define CLI_HUMAN_H
#include "base/buf.h"
#include <stdint.h>

enum { HUMAN_TEXT = 32 };

/* Into buf[HUMAN_TEXT]; each returns buf. */
char *human_bytes(char *buf, uint64_t bytes); /* "91.6 MB", powers of ten */
char *human_count(char *buf, uint64_t n);     /* "22,713,216" */
char *human_span(char *buf, uint64_t ms);     /* "812 ms", "3 min 20 s" */

/* Adds text with every control character and every invalid byte replaced by
 * '?': what comes from models and daemons does not steer the terminal. */
void human_clean(struct buf *out, struct str text);
/* The same, but lines keep their ends and tabs. */
void human_clean_lines(struct buf *out, struct str text);
/* Columns that cleaned text takes on the terminal. */
size_t human_width(struct str text);
/* How many bytes of text fit into width columns. */
size_t human_fit(struct str text, size_t width);

#endif
