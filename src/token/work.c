/* token/work.c - the scratch of one encoding. */
#include "token/work.h"
#include "base/mem.h"
#include <errno.h>

struct token_work *work_new(void)
{
    return mem_new(struct token_work);
}

void work_free(struct token_work *w)
{
    if (!w)
        return;
    text_fini(&w->text);
    text_fini(&w->spare);
    text_fini(&w->word);
    free(w->pieces.v);
    free(w->split.v);
    free(w->raw.v);
    free(w->tokens.v);
    free(w);
}

int piece_add(struct piece_list *l, struct piece p)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct piece *v = realloc(l->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = p;
    return 0;
}

bool token_list_grow(struct token_list *l)
{
    size_t cap = l->cap ? l->cap * 2 : 256;
    struct token *v = realloc(l->v, cap * sizeof(*v));
    if (!v) {
        l->failed = true;
        return false;
    }
    l->v = v;
    l->cap = cap;
    return true;
}
