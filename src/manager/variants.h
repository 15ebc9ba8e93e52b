/* manager/variants.h - the same files served by one backend, beside what is
 * deployed: "NAME#native", "NAME#transformers".
 *
 * A variant is a model with a deployment like any other, made when it is asked
 * for and freed when that is idle again. It is in no store, has no alias and is
 * not pulled or removed; "#" is in no name of the Hub.
 */
#ifndef MANAGER_VARIANTS_H
#define MANAGER_VARIANTS_H
#include "manager/core.h"

/* Is it the name of one? */
bool variant_named(const char *name);
/* One that is there; NULL: none. */
struct model *variant_find(const struct manager *m, const char *name);
/* The same, made when there is none. */
int variant_get(struct manager *m, const char *name, struct model **ret,
                struct err *err) MUST_CHECK;
bool variant_of(const struct model *variant, const struct model *model);
/* The model goes: so do they. */
void variants_unload(struct model *model);
/* How long the suffix of a variant is that text begins with; 0: none does. */
size_t variant_suffix(struct str text);

#endif
