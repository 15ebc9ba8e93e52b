/* model/config.c - a model's JSON settings through typed getters with ranges.
 */
#include "model/config.h"
#include "model/damage.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

int config_open(struct config *c, const struct snapshot *s, const char *file,
                bool optional, struct err *err)
{
    *c = (struct config){.file = file};
    struct buf text = BUF_MAX(CONFIG_BYTES_MAX);
    int r = snapshot_read(s, file, CONFIG_BYTES_MAX, optional, &text, err);
    if (r == 0 && snapshot_find(s, file)) {
        c->doc =
            json_parse(buf_str(&text), CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX, err);
        if (!c->doc) {
            r = damage_json(err);
            err_prefix(err, "%s", file);
        }
    }
    buf_fini(&text);
    if (r < 0 || !c->doc)
        return r;
    c->root = json_root(c->doc);
    if (json_type(c->root) == JSON_OBJECT)
        return 0;
    r = damage_set(err, "%s is %s, not an object", file,
                   json_type_name(json_type(c->root)));
    config_fini(c);
    return r;
}

void config_fini(struct config *c)
{
    json_free(c->doc);
    *c = (struct config){0};
}

/* The first of "a|b|c" that is there and not null; *ret_key is its name, or the
 * first name when none is. */
static struct json look_up(const struct config *c, const char *keys,
                           struct str *ret_key)
{
    struct json none = {0};
    *ret_key = str_n(keys, strcspn(keys, "|"));
    for (const char *k = keys; *k;) {
        struct str key = str_n(k, strcspn(k, "|"));
        struct json v = json_get_n(c->root, key);
        if (json_type(v) != JSON_NONE && json_type(v) != JSON_NULL) {
            *ret_key = key;
            return v;
        }
        k += key.n + (k[key.n] == '|');
    }
    return none;
}

struct json config_get(const struct config *c, const char *keys)
{
    struct str key;
    return look_up(c, keys, &key);
}

static int missing(const struct config *c, struct str key, bool required,
                   struct err *err)
{
    if (!required)
        return 0;
    return damage_set(err, "%s: %.*s is missing", c->file, STR_FMT(key));
}

int config_int(const struct config *c, const char *keys, bool required,
               int64_t min, int64_t max, int64_t *ret, struct err *err)
{
    struct str key;
    char text[DAMAGE_VALUE];
    struct json v = look_up(c, keys, &key);
    if (json_type(v) == JSON_NONE)
        return missing(c, key, required, err);
    if (!json_to_int(v, min, max, ret))
        return damage_set(err,
                          "%s: %.*s is %s; it must be a whole number from "
                          "%" PRId64 " to %" PRId64,
                          c->file, STR_FMT(key), damage_value(v, text), min,
                          max);
    return 0;
}

int config_number(const struct config *c, const char *keys, bool required,
                  double min, double max, double *ret, struct err *err)
{
    struct str key;
    char text[DAMAGE_VALUE];
    double d;
    struct json v = look_up(c, keys, &key);
    if (json_type(v) == JSON_NONE)
        return missing(c, key, required, err);
    if (!json_to_double(v, &d) || !isfinite(d) || d <= min || d > max)
        return damage_set(err,
                          "%s: %.*s is %s; it must be a number above %g and "
                          "not above %g",
                          c->file, STR_FMT(key), damage_value(v, text), min,
                          max);
    *ret = d;
    return 0;
}

int config_bool(const struct config *c, const char *keys, bool *ret,
                struct err *err)
{
    struct str key;
    char text[DAMAGE_VALUE];
    struct json v = look_up(c, keys, &key);
    if (json_type(v) == JSON_NONE || json_to_bool(v, ret))
        return 0;
    return damage_set(err, "%s: %.*s is %s; it must be true or false", c->file,
                      STR_FMT(key), damage_value(v, text));
}

int config_text(const struct config *c, const char *keys, bool required,
                char *buf, size_t size, struct err *err)
{
    struct str key, s = {0};
    char text[DAMAGE_VALUE];
    buf[0] = 0;
    struct json v = look_up(c, keys, &key);
    if (json_type(v) == JSON_NONE)
        return missing(c, key, required, err);
    if (!json_to_str(v, &s) || !str_to_z(s, buf, size))
        return damage_set(err,
                          "%s: %.*s is %s; it must be a string of at most %zu "
                          "bytes",
                          c->file, STR_FMT(key), damage_value(v, text),
                          size - 1);
    return 0;
}
