/* arch/plan.c - how much memory a plan takes, and its end. */
#include "arch/plan.h"
#include "base/size.h"
#include <stdlib.h>

void plan_fini(struct plan *p)
{
    free(p->ops);
    free(p->loads);
    *p = (struct plan){0};
}

size_t plan_load_scratch(const struct plan *p)
{
    size_t most = 0;
    for (size_t i = 0; i < p->n_loads; i++) {
        const struct load *l = &p->loads[i];
        bool vector = l->kind == LOAD_ROWS && l->n == 1;
        size_t need = vector ? l->k : pack_scratch(l->k);
        most = need > most ? need : most;
    }
    return most;
}

size_t plan_scratch(const struct plan *p)
{
    return size_round(attention_scratch(p->positions, p->head_dim), PANEL);
}

size_t plan_work(const struct plan *p)
{
    size_t per_row =
        p->stride[PLAN_X] + p->stride[PLAN_QKV_A] + p->stride[PLAN_CTX];
    return p->rows * per_row + p->block_rows * p->stride[PLAN_FFN] +
           plan_scratch(p);
}
