/* arch/modules.c - what the other files of a snapshot say about its use. */
#include "arch/modules.h"
#include "model/config.h"
#include "model/damage.h"
#include <stdio.h>

enum {
    DIM_MAX = 1 << 20,
    SEQUENCE_MAX = 1 << 30,
    MODULES_MAX = 16,
};

/* How many vectors the pooling concatenates: old booleans, or the new list. */
static int64_t pooling_modes(const struct config *c)
{
    static const char *const old[] = {
        "pooling_mode_cls_token",           "pooling_mode_max_tokens",
        "pooling_mode_mean_tokens",         "pooling_mode_mean_sqrt_len_tokens",
        "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken",
    };
    struct json modes = config_get(c, "pooling_mode");
    if (json_type(modes) == JSON_ARRAY)
        return (int64_t)json_count(modes);
    int64_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(old); i++) {
        bool on = false;
        if (json_to_bool(config_get(c, old[i]), &on))
            n += on;
    }
    return n ? n : 1;
}

/* One module's own config.json, by what kind of module it is. */
static int read_module(struct modules *m, const struct snapshot *s,
                       const char *path, struct str type, struct err *err)
{
    char file[SNAPSHOT_NAME_MAX];
    struct config c;
    bool pooling = str_ends(type, "Pooling"), dense = str_ends(type, "Dense");
    if (!pooling && !dense)
        return 0;
    snprintf(file, sizeof(file), "%s/config.json", path);
    int r = config_open(&c, s, file, true, err);
    if (r < 0)
        return r;
    int64_t n = m->dim;
    if (dense)
        r = config_int(&c, "out_features", true, 1, DIM_MAX, &n, err);
    else
        r = config_int(&c, "word_embedding_dimension|embedding_dimension",
                       false, 1, DIM_MAX, &n, err);
    if (r == 0)
        m->dim = pooling ? n * pooling_modes(&c) : n;
    config_fini(&c);
    return r;
}

static int read_modules(struct modules *m, const struct snapshot *s,
                        struct json list, struct err *err)
{
    if (json_type(list) != JSON_ARRAY || json_count(list) > MODULES_MAX)
        return damage_set(err,
                          "modules.json is not an array of at most %d modules",
                          MODULES_MAX);
    int r = 0;
    for (struct json_iter it = json_iter(list); r == 0 && json_next(&it);) {
        struct str path, type;
        char folder[SNAPSHOT_NAME_MAX / 2];
        if (!json_to_str(json_get(it.value, "path"), &path) ||
            !json_to_str(json_get(it.value, "type"), &type) ||
            !str_to_z(path, folder, sizeof(folder)))
            return damage_set(err, "modules.json: a module has no path or "
                                   "no type of its own");
        r = read_module(m, s, folder, type, err);
    }
    return r;
}

int modules_read(struct modules *m, const struct snapshot *s, int64_t hidden,
                 struct err *err)
{
    *m = (struct modules){.dim = hidden};
    if (!snapshot_find(s, "modules.json"))
        return 0;
    m->present = true;
    struct buf text = BUF_MAX(CONFIG_BYTES_MAX);
    int r =
        snapshot_read(s, "modules.json", CONFIG_BYTES_MAX, false, &text, err);
    if (r == 0) {
        struct json_doc *doc =
            json_parse(buf_str(&text), CONFIG_BYTES_MAX, CONFIG_DEPTH_MAX, err);
        if (doc)
            r = read_modules(m, s, json_root(doc), err);
        else {
            r = damage_json(err);
            err_prefix(err, "modules.json");
        }
        json_free(doc);
    }
    buf_fini(&text);
    struct config c;
    if (r == 0)
        r = config_open(&c, s, "sentence_bert_config.json", true, err);
    if (r < 0)
        return r;
    r = config_int(&c, "max_seq_length", false, 1, SEQUENCE_MAX,
                   &m->max_seq_length, err);
    config_fini(&c);
    return r;
}
