/* hub/cache.c - finds, resolves and opens what the cache holds.
 *
 * huggingface_hub may keep a blob's bytes in CACHE/blobs/, shared between
 * models: blobs/HASH is then a link out of the models--* folder. That one shape
 * is followed by hand, for openat2 rightly refuses it.
 */
#include "hub/cache.h"
#include "base/fs.h"
#include "base/mem.h"
#include "hub/beneath.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_BYTES = 16 << 20 };

void cache_files_fini(struct cache_files *files)
{
    for (size_t i = 0; i < files->n; i++) {
        if (files->v[i].fd >= 0)
            close(files->v[i].fd);
        free(files->v[i].name);
    }
    free(files->v);
    *files = (struct cache_files){0};
}

/* The models--* folder of an id, as a descriptor. */
static int open_repo(const char *cache, const char *id)
{
    char folder[HUB_FOLDER_MAX], path[FS_PATH_MAX];
    hub_folder_name(id, folder);
    int r = fs_join(path, cache, folder);
    if (r < 0)
        return r;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

static int not_here(struct err *err, const char *id, const char *revision)
{
    return err_set(err, E_MODEL_NOT_FOUND,
                   "%s (revision %s) is not in the cache: \"berth pull %s\" "
                   "fetches it",
                   id, revision, id);
}

/* What refs/REVISION says; false when it says nothing usable. */
static bool read_ref(int repo, const char *revision, char *commit)
{
    char path[HUB_REVISION_MAX + 8], text[64];
    snprintf(path, sizeof(path), "refs/%s", revision);
    int fd = beneath_open_file(repo, path, false);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof(text));
    close(fd);
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    return n > 0 && hub_is_commit(str_n(text, (size_t)n)) &&
           str_to_z(str_n(text, (size_t)n), commit, HUB_COMMIT_MAX);
}

static bool has_snapshot(int repo, const char *commit)
{
    char path[64];
    snprintf(path, sizeof(path), "snapshots/%s", commit);
    int fd = beneath_open(repo, path, O_PATH | O_DIRECTORY, false);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

int cache_resolve(const char *cache, const struct hub_name *name, char *commit,
                  struct err *err)
{
    char found[HUB_COMMIT_MAX];
    int repo = open_repo(cache, name->id);
    if (repo < 0)
        return not_here(err, name->id, name->revision);
    bool ok = hub_is_commit(str_of(name->revision));
    if (ok)
        memcpy(found, name->revision, sizeof(found));
    else
        ok = read_ref(repo, name->revision, found);
    ok = ok && has_snapshot(repo, found);
    close(repo);
    if (!ok)
        return not_here(err, name->id, name->revision);
    memcpy(commit, found, sizeof(found));
    return 0;
}

int cache_folder(const char *cache, const char *id, const char *commit,
                 char *out, char *out_root, struct err *err)
{
    char folder[HUB_FOLDER_MAX], under[64];
    if (!hub_is_commit(str_of(commit)))
        return not_here(err, id, commit);
    hub_folder_name(id, folder);
    snprintf(under, sizeof(under), "snapshots/%s", commit);
    if (fs_join(out_root, cache, folder) < 0 ||
        fs_join(out, out_root, under) < 0)
        return err_set(err, ENAMETOOLONG, "the path of the cache is too long");
    return 0;
}

/* The last component of the link at path, if it is a link to a hash. */
static struct hub_hash link_hash(int dir, const char *path)
{
    char target[FS_PATH_MAX];
    struct hub_hash hash = {HUB_HASH_NONE, ""};
    ssize_t n = readlinkat(dir, path, target, sizeof(target) - 1);
    if (n <= 0)
        return hash;
    target[n] = 0;
    const char *slash = strrchr(target, '/');
    if (!hub_hash_parse(str_of(slash ? slash + 1 : target), &hash))
        hash = (struct hub_hash){HUB_HASH_NONE, ""};
    return hash;
}

/* CACHE/blobs/xx/HASH, when repo/blobs/<hash> is a link to exactly that. */
static int open_shared(int repo, const struct hub_hash *hash)
{
    char path[128], target[128];
    struct hub_hash shared;
    if (hash->kind == HUB_HASH_NONE)
        return -EXDEV;
    snprintf(path, sizeof(path), "blobs/%s", hash->hex);
    ssize_t n = readlinkat(repo, path, target, sizeof(target) - 1);
    static const char head[] = "../../blobs/";
    size_t at = sizeof(head) - 1;
    if (n != (ssize_t)at + 3 + 64 || memcmp(target, head, at) ||
        target[at + 2] != '/' ||
        !hub_hash_parse(str_n(target + at + 3, 64), &shared) ||
        memcmp(shared.hex, target + at, 2))
        return -EXDEV;
    snprintf(path, sizeof(path), "blobs/%.2s/%s", shared.hex, shared.hex);
    int cache = openat(repo, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cache < 0)
        return -errno;
    int fd = beneath_open_file(cache, path, false);
    close(cache);
    return fd;
}

static int bad_file(struct err *err, const char *name, int r)
{
    const char *why = r == -EXDEV || r == -ELOOP
                          ? "a link leads out of the model's folder"
                      : r == -ENOENT ? "its link leads nowhere"
                      : r == -EINVAL ? "it is no regular file"
                                     : strerror(-r);
    return err_set(err, r == -EACCES ? EACCES : E_DAMAGED_FILE,
                   "cannot open %s: %s. Pull the model again", name, why);
}

/* Takes fd, also on failure. */
static int fill(struct cache_file *f, int fd, struct str name,
                struct hub_hash hash, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st)) {
        int code = errno;
        close(fd);
        return err_set(err, code, "cannot stat %.*s: %s", STR_FMT(name),
                       strerror(code));
    }
    *f = (struct cache_file){
        .name = mem_strndup(name),
        .fd = fd,
        .size = (uint64_t)st.st_size,
        .inode = st.st_ino,
        .device = st.st_dev,
        .mtime_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec,
        .ctime_ns = st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec,
        .hash = hash,
    };
    return 0;
}

/* dir: what must not be left; under: the snapshot's path in it, or "". */
static int open_taken(int dir, const char *under, struct str name,
                      struct cache_file *f, struct err *err)
{
    char path[FS_PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s%s%.*s", under, under[0] ? "/" : "",
                     STR_FMT(name));
    if (n < 0 || n >= (int)sizeof(path))
        return bad_file(err, name.p, -ENAMETOOLONG);
    struct hub_hash hash = {HUB_HASH_NONE, ""};
    if (under[0])
        hash = link_hash(dir, path);
    int fd = beneath_open_file(dir, path, true);
    if (fd == -EXDEV && under[0])
        fd = open_shared(dir, &hash);
    return fd < 0 ? bad_file(err, name.p, fd) : fill(f, fd, name, hash, err);
}

/* Chooses among the names, checks that nothing is missing, opens. */
static int open_names(int dir, const char *under, const struct str *names,
                      size_t n, struct cache_files *ret, struct err *err)
{
    struct hub_entry *entries = mem_zero(n + 1, sizeof(*entries));
    bool *take = mem_zero(n + 1, sizeof(*take));
    for (size_t i = 0; i < n; i++)
        entries[i].name = names[i];
    int r = hub_complete(entries, n, err);
    if (r == 0)
        r = hub_select(entries, n, take, err);
    struct cache_files files = {0};
    if (r >= 0)
        files.v = mem_zero((size_t)r + 1, sizeof(*files.v));
    for (size_t i = 0; i < n && r >= 0; i++) {
        if (!take[i])
            continue;
        r = open_taken(dir, under, names[i], &files.v[files.n], err);
        files.n += r >= 0;
    }
    free(take);
    free(entries);
    if (r < 0) {
        cache_files_fini(&files);
        return r;
    }
    *ret = files;
    return 0;
}

int cache_open(const char *cache, const char *id, const char *commit,
               struct cache_files *ret, struct err *err)
{
    char under[64];
    int repo = open_repo(cache, id);
    if (repo < 0 || !hub_is_commit(str_of(commit))) {
        if (repo >= 0)
            close(repo);
        return not_here(err, id, commit);
    }
    snprintf(under, sizeof(under), "snapshots/%s", commit);
    struct arena a = ARENA_MAX(NAMES_BYTES);
    struct str *names;
    size_t n;
    int r = beneath_list(repo, under, false, &a, &names, &n, err);
    if (r == -ENOENT)
        r = not_here(err, id, commit);
    else if (r == 0)
        r = open_names(repo, under, names, n, ret, err);
    arena_fini(&a);
    close(repo);
    return r;
}

int cache_open_folder(const char *dir, struct cache_files *ret, struct err *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, E_NOT_FOUND, "cannot open the folder %s: %s", dir,
                       strerror(errno));
    struct arena a = ARENA_MAX(NAMES_BYTES);
    struct str *names;
    size_t n;
    int r = beneath_list(fd, "", false, &a, &names, &n, err);
    if (r == 0)
        r = open_names(fd, "", names, n, ret, err);
    arena_fini(&a);
    close(fd);
    return r;
}

/* A ref that points at the commit, "main" first. */
static void find_revision(int repo, const struct str *refs, size_t n,
                          struct cache_found *found)
{
    char commit[HUB_COMMIT_MAX], revision[HUB_REVISION_MAX];
    found->revision[0] = 0;
    for (size_t i = 0; i < n; i++) {
        if (hub_revision_parse(refs[i], revision, NULL) < 0 ||
            !read_ref(repo, revision, commit) ||
            strcmp(commit, found->commit) != 0)
            continue;
        if (!found->revision[0] || !strcmp(revision, "main"))
            memcpy(found->revision, revision, sizeof(revision));
    }
}

static int scan_snapshots(int repo, const struct str *refs, size_t n,
                          struct cache_found *found, cache_found_fn *fn,
                          void *ctx)
{
    int fd = beneath_open(repo, "snapshots", O_RDONLY | O_DIRECTORY, false);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    struct dirent *e;
    int r = 0;
    while (r >= 0 && (e = readdir(d))) {
        if (!hub_is_commit(str_of(e->d_name)))
            continue;
        memcpy(found->commit, e->d_name, HUB_COMMIT_MAX);
        find_revision(repo, refs, n, found);
        r = fn(ctx, found);
    }
    closedir(d);
    return r < 0 ? r : 0;
}

static int scan_repo(const char *cache, struct cache_found *found,
                     cache_found_fn *fn, void *ctx, struct err *err)
{
    int repo = open_repo(cache, found->id);
    if (repo < 0)
        return 0;
    struct arena a = ARENA_MAX(NAMES_BYTES);
    struct str *refs = NULL;
    size_t n = 0;
    int r = beneath_list(repo, "refs", false, &a, &refs, &n, err);
    if (r == 0 || r == -ENOENT)
        r = scan_snapshots(repo, refs, n, found, fn, ctx);
    arena_fini(&a);
    close(repo);
    return r;
}

int cache_scan(const char *cache, cache_found_fn *fn, void *ctx,
               struct err *err)
{
    DIR *d = opendir(cache);
    if (!d && errno == ENOENT)
        return 0;
    if (!d)
        return err_set(err, errno, "cannot read the cache %s: %s", cache,
                       strerror(errno));
    struct dirent *e;
    struct cache_found found;
    int r = 0;
    while (r >= 0 && (e = readdir(d)))
        if (hub_folder_id(str_of(e->d_name), found.id))
            r = scan_repo(cache, &found, fn, ctx, err);
    closedir(d);
    return r < 0 ? r : 0;
}
