/* hub/hub_info.c - model info: JSON in, checked entries out. */
#include "hub/hub_info.h"
#include "base/json.h"
#include <errno.h>

/* Of one file: all of a snapshot together still fit a frame's number. */
static const int64_t SIZE_SANE = INT64_C(1) << 50;

static int bad(struct err *err, const char *what)
{
    return err_set(err, E_HUB_UNREACHABLE,
                   "the hub's answer about the model is malformed: %s", what);
}

static bool get_str(struct json object, const char *key, struct str *ret)
{
    return json_to_str(json_get(object, key), ret);
}

static bool get_bool(struct json object, const char *key)
{
    bool v = false;
    json_to_bool(json_get(object, key), &v);
    return v;
}

/* Sizes and hashes stand twice for LFS files: those of "lfs" count. */
static int read_hash(struct json sibling, struct hub_entry *e, struct err *err)
{
    struct json lfs = json_get(sibling, "lfs");
    bool is_lfs = json_type(lfs) == JSON_OBJECT;
    struct str hex;
    int64_t size;
    struct json from = is_lfs ? lfs : sibling;
    if (!json_to_int(json_get(from, "size"), 0, SIZE_SANE, &size))
        return bad(err, "a file without a size");
    bool there = is_lfs
                     ? get_str(lfs, "sha256", &hex) || get_str(lfs, "oid", &hex)
                     : get_str(sibling, "blobId", &hex);
    if (!there || !hub_hash_parse(hex, &e->hash) ||
        e->hash.kind != (is_lfs ? HUB_SHA256 : HUB_SHA1_GIT))
        return bad(err, "a file without a proper hash");
    e->size = (uint64_t)size;
    return 0;
}

static int read_sibling(struct json sibling, struct arena *a,
                        struct hub_entry *e, struct err *err)
{
    struct str name;
    if (!get_str(sibling, "rfilename", &name))
        return bad(err, "a file without a name");
    int r = hub_path_check(name, err);
    if (r < 0)
        return r;
    const char *copy = arena_str(a, name);
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    e->name = str_n(copy, name.n);
    return read_hash(sibling, e, err);
}

static int check_names(const struct hub_info *info, struct arena *a,
                       struct err *err)
{
    struct str *names = arena_alloc(a, info->n_files, sizeof(*names));
    if (!names)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < info->n_files; i++)
        names[i] = info->files[i].name;
    return hub_paths_check(names, info->n_files, err);
}

static int read_siblings(struct json siblings, struct arena *a,
                         struct hub_info *info, struct err *err)
{
    if (json_type(siblings) != JSON_ARRAY)
        return bad(err, "no list of files");
    size_t n = json_count(siblings);
    if (n > HUB_FILES_MAX)
        return err_set(err, E_TOO_LARGE,
                       "the repository has %zu files, at most %d are taken", n,
                       HUB_FILES_MAX);
    info->files = arena_alloc(a, n, sizeof(*info->files));
    if (!info->files)
        return err_set(err, ENOMEM, "out of memory");
    for (struct json_iter it = json_iter(siblings); json_next(&it);) {
        int r = read_sibling(it.value, a, &info->files[info->n_files], err);
        if (r < 0)
            return r;
        info->n_files++;
    }
    return check_names(info, a, err);
}

/* "gated" is false, "auto" or "manual". */
static bool is_gated(struct json root)
{
    struct str s;
    return get_str(root, "gated", &s) || get_bool(root, "gated");
}

static int read_root(struct json root, struct arena *a, struct hub_info *info,
                     struct err *err)
{
    struct str sha, licence;
    if (json_type(root) != JSON_OBJECT)
        return bad(err, "no object");
    if (!get_str(root, "sha", &sha) || !hub_is_commit(sha))
        return bad(err, "no commit");
    (void)str_to_z(sha, info->commit, sizeof(info->commit));
    info->gated = is_gated(root);
    info->private = get_bool(root, "private");
    info->disabled = get_bool(root, "disabled");
    if (get_str(json_get(root, "cardData"), "license", &licence) &&
        licence.n < 256) {
        const char *copy = arena_str(a, licence);
        info->licence = copy ? str_n(copy, licence.n) : str_n("", 0);
    }
    return read_siblings(json_get(root, "siblings"), a, info, err);
}

int hub_info_read(struct str json, struct arena *a, struct hub_info *ret,
                  struct err *err)
{
    struct err why;
    struct json_doc *doc = json_parse(json, HUB_JSON_MAX, HUB_JSON_DEPTH, &why);
    if (!doc)
        return bad(err, why.msg);
    struct hub_info info = {.licence = str_n("", 0)};
    int r = read_root(json_root(doc), a, &info, err);
    json_free(doc);
    if (r == 0)
        *ret = info;
    return r;
}
