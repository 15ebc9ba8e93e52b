/* daemon/settings.c - the table of keys, and the one validator of all sources.
 */
#include "daemon/settings.h"
#include "base/json.h"
#include "base/mem.h"
#include "daemon/yaml_json.h"
#include "manager/wanted.h"
#include <ctype.h>
#include <stdio.h>

enum settings_kind { TEXT, LIST, INT, BYTES, SECONDS, CHOICE };

struct settings_key {
    enum settings_kind kind;
    const char *key;
    size_t at; /* in struct settings */
    int64_t least, most;
    const char *standard, *doc;
};

static const struct settings_key keys[] = {
#define CONFIG(kind, key, least, most, standard, doc) \
    {kind, #key, offsetof(struct settings, key), least, most, standard, doc},
#include "daemon/settings.def"
#undef CONFIG
};

static const struct settings_key *find_key(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (str_is(name, keys[i].key))
            return &keys[i];
    return NULL;
}

/* Keys that lie below another one in the file, and share its name. */
static const char *const groups[] = {"transformers"};

/* Of a key of the table, where its own name begins; 0: it is in no group. */
static size_t in_group(const char *key)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        size_t n = strlen(groups[i]);
        if (!strncmp(key, groups[i], n) && key[n] == '_')
            return n + 1;
    }
    return 0;
}

static bool is_group(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++)
        if (str_is(name, groups[i]))
            return true;
    return false;
}

/* ---- values ------------------------------------------------------------- */

static void *place(struct settings *c, const struct settings_key *k)
{
    return (char *)c + k->at;
}

static void list_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

static void put_text(struct settings *c, const struct settings_key *k,
                     struct str text)
{
    char **p = place(c, k);
    free(*p);
    *p = mem_strndup(text);
}

static int check_range(const struct settings_key *k, int64_t v, struct err *err)
{
    if (v < k->least || v > k->most)
        return err_set(err, E_INVALID_REQUEST,
                       "%s is %lld, it should be between %lld and %lld", k->key,
                       (long long)v, (long long)k->least, (long long)k->most);
    if (k->kind == SECONDS && k->least < 0 && v == 0)
        return err_set(err, E_INVALID_REQUEST,
                       "%s is 0, it should be 1 or more, or -1 for never",
                       k->key);
    return 0;
}

static int set_number(struct settings *c, const struct settings_key *k,
                      int64_t v, struct err *err)
{
    int r = check_range(k, v, err);
    if (r == 0)
        *(int64_t *)place(c, k) = v;
    return r;
}

/* "64 MiB", "64MB", "65536"; -1 for anything else. */
static int64_t parse_bytes(const char *z)
{
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"", 1},
                 {"b", 1},
                 {"kib", 1024},
                 {"mib", 1 << 20},
                 {"gib", 1 << 30},
                 {"tib", 1LL << 40},
                 {"kb", 1000},
                 {"mb", 1000000},
                 {"gb", 1000000000},
                 {"tb", 1000000000000}};
    char unit[8] = "", *end;
    if (!isdigit((unsigned char)*z))
        return -1;
    long long v = strtoll(z, &end, 10);
    while (*end == ' ')
        end++;
    for (size_t i = 0; end[i] && i < sizeof(unit) - 1; i++)
        unit[i] = (char)tolower((unsigned char)end[i]);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        int64_t ret;
        if (!strcmp(unit, units[i].unit))
            return __builtin_mul_overflow(v, units[i].factor, &ret) ? -1 : ret;
    }
    return -1;
}

/* "30", "30s", "10m", "2h", and "-1" where that is allowed; INT64_MIN for
 * anything else. */
static int64_t parse_seconds(const struct settings_key *k, const char *z)
{
    char *end;
    int64_t v = strtoll(z, &end, 10), ret;
    int64_t unit = !*end || !strcmp(end, "s") ? 1
                   : !strcmp(end, "m")        ? 60
                   : !strcmp(end, "h")        ? 3600
                                              : 0;
    if (!strcmp(z, "-1") && k->least < 0)
        return -1;
    if (!isdigit((unsigned char)*z) || !unit ||
        __builtin_mul_overflow(v, unit, &ret))
        return INT64_MIN;
    return ret;
}

static bool is_choice(const struct settings_key *k, struct str s)
{
    const char *p = k->standard;
    while (*p) {
        size_t n = strcspn(p, "|");
        if (str_eq(s, str_n(p, n)))
            return true;
        p += n + (p[n] == '|');
    }
    return false;
}

static int set_list(struct settings *c, const struct settings_key *k,
                    const struct str *v, size_t n, struct err *err)
{
    if (n > (size_t)k->most)
        return err_set(err, E_INVALID_REQUEST, "%s has more than %lld entries",
                       k->key, (long long)k->most);
    char **list = mem_zero(n + 1, sizeof(*list));
    for (size_t i = 0; i < n; i++)
        list[i] = mem_strndup(v[i]);
    char ***p = place(c, k);
    list_free(*p);
    *p = list;
    return 0;
}

enum { LIST_MAX = 64 };

static int set_commas(struct settings *c, const struct settings_key *k,
                      const char *z, struct err *err)
{
    struct str v[LIST_MAX + 1];
    size_t n = 0;
    while (*z && n <= LIST_MAX) {
        size_t len = strcspn(z, ",");
        while (len && *z == ' ')
            z++, len--;
        if (len)
            v[n++] = str_n(z, len);
        z += len + (z[len] == ',');
    }
    return set_list(c, k, v, n, err);
}

/* A text, wherever it comes from. */
static int set_from_text(struct settings *c, const struct settings_key *k,
                         struct str s, struct err *err)
{
    char z[4096], *end;
    if (!str_to_z(s, z, sizeof(z)))
        return err_set(err, E_INVALID_REQUEST, "%s is too long", k->key);
    switch (k->kind) {
    case TEXT:
        if (s.n > (size_t)k->most)
            return err_set(err, E_INVALID_REQUEST,
                           "%s is longer than %lld bytes", k->key,
                           (long long)k->most);
        put_text(c, k, s);
        return 0;
    case LIST:
        return set_commas(c, k, z, err);
    case CHOICE:
        if (!is_choice(k, s))
            return err_set(err, E_INVALID_REQUEST,
                           "%s is '%.100s', it should be one of %s", k->key, z,
                           k->standard);
        put_text(c, k, s);
        return 0;
    case BYTES:
        if (parse_bytes(z) < 0)
            return err_set(err, E_INVALID_REQUEST,
                           "%s is '%.100s', it should be a size like 64 MiB",
                           k->key, z);
        return set_number(c, k, parse_bytes(z), err);
    case SECONDS:
        if (parse_seconds(k, z) == INT64_MIN)
            return err_set(err, E_INVALID_REQUEST,
                           "%s is '%.100s', it should be a whole number, or a "
                           "time like 10m",
                           k->key, z);
        return set_number(c, k, parse_seconds(k, z), err);
    default:
        break;
    }
    long long v = strtoll(z, &end, 10);
    if (!isdigit((unsigned char)z[0]) || *end)
        return err_set(err, E_INVALID_REQUEST,
                       "%s is '%.100s', it should be a whole number", k->key,
                       z);
    return set_number(c, k, v, err);
}

/* ---- the file ----------------------------------------------------------- */

/* Walks the JSON in the order in which the marks were made. */
struct walk {
    struct settings *c;
    const struct yaml_json *yaml;
    size_t at; /* mark of the value that is looked at */
    const char *name;
    struct err *err;
};

static int wrong(struct walk *w, size_t at)
{
    struct yaml_mark m =
        at < w->yaml->n ? w->yaml->marks[at] : (struct yaml_mark){1, 1};
    return err_prefix(w->err, "%s, line %d, column %d", w->name, m.line,
                      m.column);
}

static int read_list(struct walk *w, const struct settings_key *k,
                     struct json v)
{
    struct str texts[LIST_MAX + 1];
    size_t n = 0, list_at = w->at;
    for (struct json_iter it = json_iter(v); json_next(&it); n++) {
        w->at++;
        if (n == LIST_MAX || !json_to_str(it.value, &texts[n])) {
            err_set(w->err, E_INVALID_REQUEST, "%s holds %s, it should hold %s",
                    k->key,
                    n == LIST_MAX ? "too much"
                                  : json_type_name(json_type(it.value)),
                    n == LIST_MAX ? "less" : "strings");
            return wrong(w, w->at);
        }
    }
    int r = set_list(w->c, k, texts, n, w->err);
    return r < 0 ? wrong(w, list_at) : 0;
}

static int read_value(struct walk *w, const struct settings_key *k,
                      struct json v)
{
    int64_t n;
    struct str s;
    int r;
    if (k->kind == LIST && json_type(v) == JSON_ARRAY)
        return read_list(w, k, v);
    if (json_to_str(v, &s))
        r = set_from_text(w->c, k, s, w->err);
    else if (json_to_int(v, INT64_MIN, INT64_MAX, &n) &&
             (k->kind == INT || k->kind == BYTES || k->kind == SECONDS))
        r = set_number(w->c, k, n, w->err);
    else
        r = err_set(w->err, E_INVALID_REQUEST, "%s is %s", k->key,
                    json_type_name(json_type(v)));
    return r < 0 ? wrong(w, w->at) : 0;
}

/* ---- the file's models -------------------------------------------------- */

static int model_text(struct json v, const char *key, const char **ret,
                      struct err *err)
{
    struct str s;
    if (!json_to_str(v, &s) || s.n >= MANAGER_NAME_MAX ||
        (s.n && memchr(s.p, 0, s.n)))
        return err_set(err, E_INVALID_REQUEST,
                       "%s of a model should be a string of at most %d bytes",
                       key, MANAGER_NAME_MAX - 1);
    free((char *)(uintptr_t)*ret);
    *ret = mem_strndup(s);
    return 0;
}

static int model_number(struct json v, const char *key, int least, int most,
                        int *ret, struct err *err)
{
    int64_t n;
    if (!json_to_int(v, least, most, &n))
        return err_set(err, E_INVALID_REQUEST,
                       "%s of a model should be a number from %d to %d", key,
                       least, most);
    *ret = (int)n;
    return 0;
}

static int model_time(struct json v, int64_t *ret, struct err *err)
{
    char z[64];
    int64_t n;
    struct str s;
    if (json_to_int(v, INT32_MIN, INT32_MAX, &n))
        snprintf(z, sizeof(z), "%lld", (long long)n);
    else if (!json_to_str(v, &s) || !str_to_z(s, z, sizeof(z)))
        z[0] = 0;
    return wanted_keep_alive(z, ret, err);
}

/* An empty one is as good as none. */
static bool is_said(const char **text)
{
    if (**text)
        return true;
    free((char *)(uintptr_t)*text);
    *text = NULL;
    return false;
}

static int model_key(struct manager_model_config *m, struct str key,
                     struct json v, struct err *err)
{
    const char *z;
#define MODEL_TEXT(name, doc) \
    if (str_is(key, #name))   \
        return model_text(v, #name, &m->name, err);
#define MODEL_WORD(name, check, doc)                    \
    if (str_is(key, #name)) {                           \
        int r = model_text(v, #name, &m->name, err);    \
        z = m->name;                                    \
        return r < 0 || !is_said(&m->name) ? r : check; \
    }
#define MODEL_NUMBER(name, least, most, doc) \
    if (str_is(key, #name))                  \
        return model_number(v, #name, least, most, &m->name, err);
#define MODEL_TIME(name, member, doc) \
    if (str_is(key, #name))           \
        return model_time(v, &m->member, err);
#define MODEL_BOOL(name, doc)                                 \
    if (str_is(key, #name)) {                                 \
        if (json_to_bool(v, &m->name))                        \
            return 0;                                         \
        return err_set(err, E_INVALID_REQUEST,                \
                       #name " of a model is true or false"); \
    }
#include "daemon/settings_model.def"
#undef MODEL_TEXT
#undef MODEL_WORD
#undef MODEL_NUMBER
#undef MODEL_TIME
#undef MODEL_BOOL
    return err_set(err, E_INVALID_REQUEST,
                   "a model has no key '%.*s'; docs/config.md lists them",
                   (int)(key.n < 100 ? key.n : 100), key.p);
}

static int read_model(struct walk *w, struct manager_model_config *m,
                      struct json v)
{
    size_t begin = w->at;
    if (json_type(v) != JSON_OBJECT) {
        err_set(w->err, E_INVALID_REQUEST,
                "an entry of models is %s, it should have keys like name",
                json_type_name(json_type(v)));
        return wrong(w, begin);
    }
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        w->at += 2; /* the key's mark, then the value's */
        if (model_key(m, it.key, it.value, w->err) < 0)
            return wrong(w, w->at);
    }
    if (!m->name || !m->name[0]) {
        err_set(w->err, E_INVALID_REQUEST, "an entry of models has no name");
        return wrong(w, begin);
    }
    return 0;
}

static void models_free(struct settings *c)
{
    for (size_t i = 0; i < c->n_models; i++) {
#define MODEL_TEXT(name, doc)        free((char *)(uintptr_t)c->models[i].name);
#define MODEL_WORD(name, check, doc) MODEL_TEXT(name, doc)
#define MODEL_NUMBER(name, least, most, doc)
#define MODEL_TIME(name, member, doc)
#define MODEL_BOOL(name, doc)
#include "daemon/settings_model.def"
#undef MODEL_TEXT
#undef MODEL_WORD
#undef MODEL_NUMBER
#undef MODEL_TIME
#undef MODEL_BOOL
    }
    free(c->models);
    c->models = NULL;
    c->n_models = 0;
}

static int read_models(struct walk *w, struct json v)
{
    if (json_type(v) != JSON_ARRAY) {
        err_set(w->err, E_INVALID_REQUEST, "models is %s, it should be a list",
                json_type_name(json_type(v)));
        return wrong(w, w->at);
    }
    models_free(w->c);
    w->c->models = mem_zero(json_count(v) + 1, sizeof(*w->c->models));
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        w->at++;
        int r = read_model(w, &w->c->models[w->c->n_models++], it.value);
        if (r < 0)
            return r;
    }
    return 0;
}

static int unknown_key(struct walk *w, struct str key)
{
    err_set(w->err, E_INVALID_REQUEST,
            "there is no key '%.*s'; docs/config.md lists them",
            (int)(key.n < 100 ? key.n : 100), key.p);
    return wrong(w, w->at);
}

/* The keys below one of groups. */
static int read_group(struct walk *w, struct str name, struct json v)
{
    char key[64];
    if (json_type(v) != JSON_OBJECT) {
        err_set(w->err, E_INVALID_REQUEST, "%.*s is %s, it should have keys",
                STR_FMT(name), json_type_name(json_type(v)));
        return wrong(w, w->at);
    }
    for (struct json_iter it = json_iter(v); json_next(&it);) {
        int n = snprintf(key, sizeof(key), "%.*s_%.*s", STR_FMT(name),
                         (int)(it.key.n < 32 ? it.key.n : 32), it.key.p);
        const struct settings_key *k = find_key(str_n(key, (size_t)n));
        w->at++;
        if (!k)
            return unknown_key(w, it.key);
        w->at++;
        int r = read_value(w, k, it.value);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_one(struct walk *w, struct str key, struct json v)
{
    const struct settings_key *k = find_key(key);
    bool models = str_is(key, "models"), group = is_group(key);
    w->at++;
    if (!models && !group && (!k || in_group(k->key)))
        return unknown_key(w, key);
    w->at++;
    if (group)
        return read_group(w, key, v);
    return models ? read_models(w, v) : read_value(w, k, v);
}

static int read_top(struct walk *w, struct json top)
{
    int r = 0;
    if (json_type(top) != JSON_OBJECT) {
        err_set(w->err, E_INVALID_REQUEST,
                "a configuration has keys and values, this is %s",
                json_type_name(json_type(top)));
        return wrong(w, 0);
    }
    for (struct json_iter it = json_iter(top); r == 0 && json_next(&it);)
        r = read_one(w, it.key, it.value);
    return r;
}

int settings_read(struct settings *c, const char *name, struct str text,
                  struct err *err)
{
    struct yaml_json y;
    int r = yaml_to_json(text, &y, err);
    if (r < 0)
        return err_prefix(err, "%s", name);
    struct json_doc *doc =
        json_parse(buf_str(&y.json), y.json.len, YAML_DEPTH + 1, err);
    if (!doc) {
        yaml_json_fini(&y);
        return err_prefix(err, "%s", name);
    }
    struct walk w = {.c = c, .yaml = &y, .name = name, .err = err};
    r = read_top(&w, json_root(doc));
    json_free(doc);
    yaml_json_fini(&y);
    return r;
}

/* ---- other sources ------------------------------------------------------ */

int settings_set(struct settings *c, const char *key, const char *value,
                 const char *source, struct err *err)
{
    const struct settings_key *k = find_key(str_of(key));
    int r = k ? set_from_text(c, k, str_of(value), err)
              : err_set(err, E_INVALID_REQUEST, "there is no key '%s'", key);
    return r < 0 ? err_prefix(err, "%s", source) : 0;
}

static void variable(const struct settings_key *k, char *out, size_t size)
{
    snprintf(out, size, "BERTH_%s", k->key);
    for (char *p = out; *p; p++)
        *p = (char)toupper((unsigned char)*p);
}

int settings_environment(struct settings *c, char *(*env)(const char *name),
                         struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        char name[64];
        variable(&keys[i], name, sizeof(name));
        const char *value = env(name);
        int r = value ? settings_set(c, keys[i].key, value, name, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

void settings_init(struct settings *c)
{
    struct err err;
    *c = (struct settings){0};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const struct settings_key *k = &keys[i];
        size_t n =
            k->kind == CHOICE ? strcspn(k->standard, "|") : strlen(k->standard);
        if (set_from_text(c, k, str_n(k->standard, n), &err) < 0)
            abort(); /* the table contradicts itself */
    }
}

void settings_fini(struct settings *c)
{
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        void *p = place(c, &keys[i]);
        if (keys[i].kind == LIST)
            list_free(*(char ***)p);
        else if (keys[i].kind == TEXT || keys[i].kind == CHOICE)
            free(*(char **)p);
    }
    models_free(c);
    *c = (struct settings){0};
}

/* ---- documentation ------------------------------------------------------ */

static void print_key(struct buf *out, const struct settings_key *k)
{
    static const char *const names[] = {"text",  "list",    "number",
                                        "bytes", "seconds", "choice"};
    size_t n =
        k->kind == CHOICE ? strcspn(k->standard, "|") : strlen(k->standard);
    size_t own = in_group(k->key), above = own ? own - 1 : 0;
    buf_addf(out, "| `%.*s%s%s` | %s | `%.*s` | ", (int)above, k->key,
             own ? "." : "", k->key + own, names[k->kind], (int)n,
             n ? k->standard : "");
    if (k->kind == CHOICE)
        for (const char *p = k->standard; *p; p++)
            buf_puts(out, *p == '|' ? ", " : (char[2]){*p, 0});
    else if (k->kind == LIST)
        buf_addf(out, "at most %lld", (long long)k->most);
    else if (k->kind == TEXT)
        buf_addf(out, "at most %lld bytes", (long long)k->most);
    else
        buf_addf(out, "%lld to %lld", (long long)k->least, (long long)k->most);
    buf_addf(out, " | %s |\n", k->doc);
}

void settings_print_docs(struct buf *out)
{
    buf_puts(out, "| key | kind | default | range | what it is |\n"
                  "|---|---|---|---|---|\n");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        print_key(out, &keys[i]);
    buf_puts(out, "\n`models` is a list; each entry has:\n\n"
                  "| key | kind | what it is |\n|---|---|---|\n");
#define MODEL_TEXT(name, doc) \
    buf_puts(out, "| `" #name "` | text | " doc " |\n");
#define MODEL_WORD(name, check, doc) MODEL_TEXT(name, doc)
#define MODEL_NUMBER(name, least, most, doc) \
    buf_puts(out, "| `" #name "` | number | " doc " |\n");
#define MODEL_TIME(name, member, doc) \
    buf_puts(out, "| `" #name "` | seconds | " doc " |\n");
#define MODEL_BOOL(name, doc) \
    buf_puts(out, "| `" #name "` | true or false | " doc " |\n");
#include "daemon/settings_model.def"
#undef MODEL_TEXT
#undef MODEL_WORD
#undef MODEL_NUMBER
#undef MODEL_TIME
#undef MODEL_BOOL
}
