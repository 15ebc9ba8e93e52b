/* token/fields.h - reading the fields of a tokenizer's files, each refusal with
 * a sentence that names the file, the field and the value. */
#ifndef TOKEN_FIELDS_H
#define TOKEN_FIELDS_H
#include "base/json.h"

enum { PLACE_MAX = 160 };

/* Where an object stands: "tokenizer.json", "normalizer.normalizers[1]". */
struct place {
    const char *file;
    char path[PLACE_MAX];
};
/* A place inside a place; index < 0: only the key. */
struct place place_in(const struct place *at, const char *key, int64_t index);

/* "FILE: PATH.KEY is VALUE; it must be MUST". Returns -E_DAMAGED_FILE. */
int field_bad(const struct place *at, const char *key, struct json v,
              const char *must, struct err *err) MUST_CHECK;
/* The same for what is right but unknown to berth: -E_UNSUPPORTED_OPTION. */
int field_unknown(const struct place *at, const char *key, struct json v,
                  const char *known, struct err *err) MUST_CHECK;

/* Each reads object[key]. A missing key, or null, leaves *ret as it was, unless
 * it is required. */
enum field_need { FIELD_OPTIONAL, FIELD_REQUIRED };
int field_bool(struct json object, const char *key, enum field_need need,
               const struct place *at, bool *ret, struct err *err) MUST_CHECK;
int field_str(struct json object, const char *key, enum field_need need,
              const struct place *at, struct str *ret,
              struct err *err) MUST_CHECK;
int field_int(struct json object, const char *key, enum field_need need,
              int64_t min, int64_t max, const struct place *at, int64_t *ret,
              struct err *err) MUST_CHECK;
/* An object or an array; NONE where it is missing and optional. */
int field_of(struct json object, const char *key, enum json_type type,
             enum field_need need, const struct place *at, struct json *ret,
             struct err *err) MUST_CHECK;

#endif
