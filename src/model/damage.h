/* model/damage.h - the error of a file that is not what it claims to be. */
#ifndef MODEL_DAMAGE_H
#define MODEL_DAMAGE_H
#include "base/err.h"
#include "base/json.h"

enum { DAMAGE_VALUE = 96 };

#define damage_set(err, ...) err_set((err), E_DAMAGED_FILE, __VA_ARGS__)

/* After json_parse() failed on a model's file: the client is not to blame.
 * Returns the code. */
int damage_json(struct err *err);

/* What a value looks like, for a sentence, into buf[DAMAGE_VALUE]; returns buf.
 */
const char *damage_value(struct json v, char *buf);

#endif
