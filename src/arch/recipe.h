/* arch/recipe.h - a snapshot's headers, read and compiled, in one step.
 *
 * What the inspector reports and what the engine loads come from here.
 */
#ifndef ARCH_RECIPE_H
#define ARCH_RECIPE_H
#include "arch/plan.h"

/* Owner: whoever holds the struct. The snapshot must outlive it. */
struct recipe {
    struct config config;
    struct tensors tensors;
    struct plan plan; /* empty when there are problems */
    struct problems problems;
    char model_type[64];
    char architecture[128]; /* the first; may be empty */
    bool masked;            /* its class has the language-model head */
    bool pickles;           /* its weights are in no format that is read */
};

/* mlm_head: compile the head if the class has one. Problems are no failure. r
 * need not be initialised; on failure there is nothing to end. */
int recipe_open(struct recipe *r, const struct snapshot *s, bool mlm_head,
                struct err *err) MUST_CHECK;
void recipe_fini(struct recipe *r);

#endif
