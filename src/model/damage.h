/* model/damage.h - the error of a file that is not what it claims to be. */
#ifndef MODEL_DAMAGE_H
#define MODEL_DAMAGE_H
#include "base/err.h"

#define damage_set(err, ...) err_set((err), E_DAMAGED_FILE, __VA_ARGS__)

/* After json_parse() failed on a model's file: the client is not to blame.
 * Returns the code. */
int damage_json(struct err *err);

#endif
