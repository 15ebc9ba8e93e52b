/* daemon/settings.h - what berthd was told: the file, the environment, the
 * flags.
 *
 * Keys, ranges, defaults and documentation are one table (settings.def). A
 * later source overrides an earlier one: defaults, file, environment, flags.
 * Errors name the key and, of a file, the line and the column.
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H
#include "base/buf.h"
#include "base/err.h"
#include "manager/manager.h"

typedef char *settings_TEXT;
typedef char **settings_LIST; /* NULL-terminated */
typedef int64_t settings_INT;
typedef int64_t settings_BYTES;
typedef int64_t settings_SECONDS;
typedef char *settings_CHOICE;

struct settings {
#define CONFIG(kind, key, least, most, standard, doc) settings_##kind key;
#include "daemon/settings.def"
#undef CONFIG
    struct manager_model_config *models; /* owns its strings */
    size_t n_models;
};

/* The defaults. */
void settings_init(struct settings *c);
void settings_fini(struct settings *c);
/* A YAML (or JSON) text; name is what the sentence calls it. */
int settings_read(struct settings *c, const char *name, struct str text,
                  struct err *err) MUST_CHECK;
/* One key as text, of the environment or a flag; source names it. */
int settings_set(struct settings *c, const char *key, const char *value,
                 const char *source, struct err *err) MUST_CHECK;
/* Every BERTH_KEY that is set. */
int settings_environment(struct settings *c, char *(*env)(const char *name),
                         struct err *err) MUST_CHECK;
/* docs/config.md. */
void settings_print_docs(struct buf *out);

#endif
