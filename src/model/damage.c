/* model/damage.c - the error of a file that is not what it claims to be. */
#include "model/damage.h"

int damage_json(struct err *err)
{
    if (!err)
        return -E_DAMAGED_FILE;
    if (err->code == E_INVALID_REQUEST || err->code == E_TOO_LARGE)
        err->code = E_DAMAGED_FILE;
    return -err->code;
}
