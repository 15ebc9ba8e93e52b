/* manager/registry.h - models, names and aliases.
 *
 * A name is [org/]name[@revision] or an alias. Without a revision it means
 * "main", else the only revision there is; a commit names whatever has it.
 */
#ifndef MANAGER_REGISTRY_H
#define MANAGER_REGISTRY_H
#include "manager/core.h"

/* NULL: not known, or absent (which is as good). */
struct model *registry_find(const struct manager *m, const char *name);
/* The same, or -E_MODEL_NOT_FOUND with how to get it, or -E_LOADING while the
 * daemon is starting. A variant (manager/variants.h) is made. */
int registry_get(struct manager *m, const char *name, struct model **ret,
                 struct err *err) MUST_CHECK;
/* Are its files here, to be loaded? */
int model_usable(const struct model *model, struct err *err) MUST_CHECK;
/* Also one that is absent; made when there is none. */
int registry_make(struct manager *m, const char *id, const char *revision,
                  struct model **ret, struct err *err) MUST_CHECK;
struct model *registry_exact(const struct manager *m, const char *id,
                             const char *revision);
void registry_sweep(struct manager *m); /* frees what nobody needs */
void model_free(struct model *model);

struct alias *alias_find(const struct manager *m, const char *name);
int alias_set(struct manager *m, const char *name, const char *target,
              bool declared, struct err *err) MUST_CHECK;
void alias_drop(struct manager *m, struct alias *a);
/* May it be an alias at all; may it be one here? */
int alias_word(const char *name, struct err *err) MUST_CHECK;
int alias_check(const struct manager *m, const char *name,
                struct err *err) MUST_CHECK;

#endif
