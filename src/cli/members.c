/* cli/members.c - members of the daemon's answers. */
#include "cli/members.h"
#include "cli/human.h"
#include <stdio.h>

enum { SHORT_COMMIT = 8, LINE_MAX_BYTES = 64 << 20 };

struct str field_str(struct json object, const char *key)
{
    struct str s = str_n("", 0);
    json_to_str(json_get(object, key), &s);
    return s;
}

uint64_t field_uint(struct json object, const char *key)
{
    int64_t v = 0;
    json_to_int(json_get(object, key), 0, INT64_MAX, &v);
    return (uint64_t)v;
}

bool field_bool(struct json object, const char *key)
{
    bool v = false;
    json_to_bool(json_get(object, key), &v);
    return v;
}

void field_list(struct buf *out, struct json object, const char *key)
{
    const char *between = "";
    struct str s;
    for (struct json_iter it = json_iter(json_get(object, key));
         json_next(&it);) {
        if (!json_to_str(it.value, &s))
            continue;
        buf_puts(out, between);
        buf_add(out, s.p, s.n);
        between = ", ";
    }
}

struct str field_commit(struct json model)
{
    struct str s = field_str(model, "commit");
    if (s.n > SHORT_COMMIT)
        s.n = SHORT_COMMIT;
    return s;
}

struct str field_state(struct json model)
{
    struct str files = field_str(model, "model_state");
    return !files.n || str_is(files, "registered") ? field_str(model, "state")
                                                   : files;
}

static void write_scalar(struct jsonw *w, struct str key, struct json v)
{
    bool b;
    int64_t i;
    struct str s;
    double d;
    if (json_to_bool(v, &b)) {
        jsonw_key_n(w, key);
        jsonw_bool(w, b);
    } else if (json_to_str(v, &s)) {
        jsonw_key_n(w, key);
        jsonw_str(w, s);
    } else if (json_to_int(v, INT64_MIN, INT64_MAX, &i)) {
        jsonw_key_n(w, key);
        jsonw_int(w, i);
    } else if (json_to_double(v, &d)) {
        jsonw_key_n(w, key);
        jsonw_double(w, d);
    }
}

void write_flat(struct jsonw *w, struct json object)
{
    jsonw_object(w);
    for (struct json_iter it = json_iter(object); json_next(&it);)
        write_scalar(w, it.key, it.value);
    jsonw_end_object(w);
}

void print_line(struct str text)
{
    struct buf clean = BUF_MAX(LINE_MAX_BYTES);
    human_clean(&clean, text);
    fwrite(clean.p, 1, clean.len, stdout);
    putchar('\n');
    buf_fini(&clean);
}
