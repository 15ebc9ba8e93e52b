/* cli/table.h - rows whose columns line up.
 *
 * Cells are added left to right, row after row; the table is printed at the
 * end. On a terminal the last column is cut at its edge; elsewhere nothing is.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H
#include "base/buf.h"
#include <stdio.h>

enum { TABLE_COLUMNS = 12, TABLE_BYTES = 64 << 20 };

struct table {
    size_t n_columns, n_cells;
    bool right[TABLE_COLUMNS];   /* numbers line up on the right */
    size_t width[TABLE_COLUMNS]; /* columns on the terminal */
    struct buf text;             /* cells, each ended with a NUL */
};

/* heads: NULL-terminated names; one that begins with '>' is set on the right.
 * All of them empty: no line of heads. */
void table_init(struct table *t, const char *const *heads);
void table_cell(struct table *t, struct str text);
void table_text(struct table *t, const char *text); /* NULL is empty */
void table_cellf(struct table *t, const char *fmt, ...) PRINTF(2, 3);
/* max_width: of a line, 0 = any. */
void table_print(const struct table *t, FILE *out, size_t max_width);
void table_fini(struct table *t);

/* Columns of the terminal that out is; 0 when it is none. */
size_t terminal_width(FILE *out);

#endif
