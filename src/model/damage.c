/* model/damage.c - the error of a file that is not what it claims to be. */
#include "model/damage.h"
#include <inttypes.h>
#include <stdio.h>

int damage_json(struct err *err)
{
    if (!err)
        return -E_DAMAGED_FILE;
    if (err->code == E_INVALID_REQUEST || err->code == E_TOO_LARGE)
        err->code = E_DAMAGED_FILE;
    return -err->code;
}

const char *damage_value(struct json v, char *buf)
{
    struct str s;
    double d;
    int64_t i;
    bool b;
    if (json_to_str(v, &s))
        snprintf(buf, DAMAGE_VALUE, "'%.*s'", s.n > 60 ? 60 : (int)s.n, s.p);
    else if (json_to_int(v, INT64_MIN, INT64_MAX, &i))
        snprintf(buf, DAMAGE_VALUE, "%" PRId64, i);
    else if (json_to_double(v, &d))
        snprintf(buf, DAMAGE_VALUE, "%g", d);
    else if (json_to_bool(v, &b))
        snprintf(buf, DAMAGE_VALUE, "%s", b ? "true" : "false");
    else
        snprintf(buf, DAMAGE_VALUE, "%s", json_type_name(json_type(v)));
    return buf;
}
