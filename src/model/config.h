/* model/config.h - a model's JSON settings through typed getters with ranges.
 *
 * Keys are written "a|b": the first that is there counts; null counts as not
 * there. Every error names the file, the key and the value.
 */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H
#include "base/json.h"
#include "model/snapshot.h"

enum { CONFIG_BYTES_MAX = 4 << 20, CONFIG_DEPTH_MAX = 32, CONFIG_TEXT = 96 };

/* Owner: whoever holds the struct. */
struct config {
    struct json_doc *doc;
    struct json root;
    const char *file; /* its name, for the sentences; the snapshot's */
};

/* An object, or E_DAMAGED_FILE. A missing file: an empty config when optional.
 * c need not be initialised; on failure there is nothing to end. */
int config_open(struct config *c, const struct snapshot *s, const char *file,
                bool optional, struct err *err) MUST_CHECK;
void config_fini(struct config *c);

/* JSON_NONE if no key is there. */
struct json config_get(const struct config *c, const char *keys);

/* *ret keeps its value when no key is there, unless the key is required. */
int config_int(const struct config *c, const char *keys, bool required,
               int64_t min, int64_t max, int64_t *ret,
               struct err *err) MUST_CHECK;
/* min and max are exclusive and inclusive: min < value <= max. */
int config_number(const struct config *c, const char *keys, bool required,
                  double min, double max, double *ret,
                  struct err *err) MUST_CHECK;
int config_bool(const struct config *c, const char *keys, bool *ret,
                struct err *err) MUST_CHECK;
/* Copies into buf[size]; an empty string when no key is there. */
int config_text(const struct config *c, const char *keys, bool required,
                char *buf, size_t size, struct err *err) MUST_CHECK;

#endif
