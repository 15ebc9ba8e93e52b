/* cli/table.c - rows whose columns line up. */
#include "cli/table.h"
#include "cli/human.h"
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2, USUAL_WIDTH = 80 };

size_t terminal_width(FILE *out)
{
    struct winsize size;
    if (!isatty(fileno(out)))
        return 0;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) < 0 || !size.ws_col)
        return USUAL_WIDTH;
    return size.ws_col;
}

void table_init(struct table *t, const char *const *heads)
{
    *t = (struct table){.text = BUF_MAX(TABLE_BYTES)};
    bool named = false;
    while (heads[t->n_columns]) {
        const char *h = heads[t->n_columns];
        t->right[t->n_columns++] = *h == '>';
        named |= h[*h == '>'] != 0;
    }
    for (size_t i = 0; named && i < t->n_columns; i++)
        table_text(t, heads[i] + t->right[i]);
}

void table_cell(struct table *t, struct str text)
{
    size_t at = t->text.len, column = t->n_cells++ % t->n_columns;
    human_clean(&t->text, text);
    size_t width = human_width(str_n(t->text.p + at, t->text.len - at));
    buf_putc(&t->text, 0);
    if (width > t->width[column])
        t->width[column] = width;
}

void table_text(struct table *t, const char *text)
{
    table_cell(t, str_of(text ? text : ""));
}

void table_cellf(struct table *t, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    table_text(t, text);
}

/* One cell; returns the columns that the line has now. */
static size_t print_cell(const struct table *t, FILE *out, size_t column,
                         struct str cell, size_t used, size_t max_width)
{
    bool last = column + 1 == t->n_columns;
    if (last && max_width)
        cell.n = human_fit(cell, max_width > used ? max_width - used : 0);
    size_t width = human_width(cell), pad = 0;
    if (width < t->width[column])
        pad = t->width[column] - width;
    if (t->right[column])
        fprintf(out, "%*s", (int)pad, "");
    fwrite(cell.p, 1, cell.n, out);
    if (last)
        fputc('\n', out);
    else
        fprintf(out, "%*s", (int)(t->right[column] ? GAP : pad + GAP), "");
    return used + width + pad + GAP;
}

void table_print(const struct table *t, FILE *out, size_t max_width)
{
    const char *p = t->text.p;
    size_t used = 0;
    for (size_t i = 0; i < t->n_cells; i++) {
        size_t column = i % t->n_columns;
        struct str cell = str_of(p);
        used = print_cell(t, out, column, cell, column ? used : 0, max_width);
        p += cell.n + 1;
    }
}

void table_fini(struct table *t)
{
    buf_fini(&t->text);
}
