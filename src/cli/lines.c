/* cli/lines.c - arguments, standard input, or a prompt with libedit. */
#include "cli/lines.h"
#include "base/mem.h"
#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <unistd.h>

enum { HISTORY_LINES = 500 };

struct lines {
    char *const *args; /* what is left of them */
    int n_args;
    bool from_args;
    char *line; /* of standard input */
    size_t cap;
    EditLine *edit; /* NULL: nobody sits there */
    History *history;
};

static char *prompt(EditLine *edit)
{
    (void)edit;
    return (char *)"> "; /* libedit's interface wants it so; it only reads */
}

static int open_prompt(struct lines *l, struct err *err)
{
    HistEvent event;
    l->edit = el_init("berth", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->edit || !l->history)
        return err_set(err, ENOMEM, "cannot set up line editing");
    history(l->history, &event, H_SETSIZE, HISTORY_LINES);
    el_set(l->edit, EL_PROMPT, prompt);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_SIGNAL, 1); /* Ctrl-C leaves the terminal as it was */
    el_set(l->edit, EL_HIST, history, l->history);
    return 0;
}

int lines_open(struct lines **ret, const struct invocation *in, int first,
               struct err *err)
{
    struct lines *l = mem_new(struct lines);
    l->args = in->args + first;
    l->n_args = in->n_args - first;
    l->from_args = l->n_args > 0;
    if (!l->from_args && isatty(STDIN_FILENO)) {
        int r = open_prompt(l, err);
        if (r < 0) {
            lines_close(l);
            return r;
        }
    }
    *ret = l;
    return 0;
}

void lines_close(struct lines *l)
{
    if (!l)
        return;
    if (l->edit)
        el_end(l->edit);
    if (l->history)
        history_end(l->history);
    free(l->line);
    free(l);
}

bool lines_interactive(const struct lines *l)
{
    return l->edit != NULL;
}

static struct str without_end(const char *p, size_t n)
{
    return str_n(p, n && p[n - 1] == '\n' ? n - 1 : n);
}

/* Empty lines are asked for again. */
static int next_typed(struct lines *l, struct str *ret)
{
    HistEvent event;
    for (;;) {
        int n = 0;
        const char *p = el_gets(l->edit, &n);
        if (!p || n <= 0) {
            putchar('\n');
            return 0;
        }
        *ret = without_end(p, (size_t)n);
        if (!ret->n)
            continue;
        history(l->history, &event, H_ENTER, p);
        return 1;
    }
}

static int next_read(struct lines *l, struct str *ret, struct err *err)
{
    errno = 0;
    ssize_t n = getline(&l->line, &l->cap, stdin);
    if (n < 0 && ferror(stdin))
        return err_set(err, errno ? errno : EIO,
                       "cannot read standard input: %s", strerror(errno));
    if (n < 0)
        return 0;
    *ret = without_end(l->line, (size_t)n);
    return 1;
}

int lines_next(struct lines *l, struct str *ret, struct err *err)
{
    if (l->edit)
        return next_typed(l, ret);
    if (!l->from_args)
        return next_read(l, ret, err);
    if (!l->n_args)
        return 0;
    *ret = str_of(*l->args++);
    l->n_args--;
    return 1;
}
