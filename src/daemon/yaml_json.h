/* daemon/yaml_json.h - YAML to JSON, remembering where each value stood.
 *
 * One document of the core schema: plain scalars that look like null, a
 * boolean or a number are that, all others are strings. Refused with line and
 * column: anchors, aliases, tags, merge keys, keys that are no scalars or come
 * twice, a second document, more than YAML_DEPTH levels.
 */
#ifndef DAEMON_YAML_JSON_H
#define DAEMON_YAML_JSON_H
#include "base/buf.h"
#include "base/err.h"

enum { YAML_DEPTH = 16, YAML_BYTES_MAX = 1 << 20 };

struct yaml_mark {
    int line, column; /* from 1 */
};
struct yaml_json {
    struct buf json;
    struct yaml_mark *marks; /* [n], one for each key and each value, in the
                                order in which they stand in json */
    size_t n, cap;
};

/* {} for an empty document. */
int yaml_to_json(struct str text, struct yaml_json *ret,
                 struct err *err) MUST_CHECK;
void yaml_json_fini(struct yaml_json *y);

#endif
