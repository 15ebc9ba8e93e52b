/* fetch/place.c - blobs, links, refs and locks. */
#include "fetch/place.h"
#include "hub/beneath.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { RESERVE_BYTES = 1 << 20, LOCK_TRIES = 8 };

static int cannot(struct err *err, int code, const char *what)
{
    return err_set(err, code == ENOSPC ? E_DISK_FULL : code, "cannot %s: %s",
                   what, strerror(code));
}

/* A folder below dir, made if it is not there, never through a link. */
static int open_dir(int dir, const char *name, struct err *err)
{
    if (mkdirat(dir, name, 0777) && errno != EEXIST)
        return cannot(err, errno, "make a folder in the cache");
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? cannot(err, errno, "open a folder of the cache") : fd;
}

/* The folder that holds dir/path, with all above it; what remains of path is
 * its last component. */
static int open_parents(int dir, const char *path, const char **ret_last,
                        struct err *err)
{
    int fd = fcntl(dir, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return cannot(err, errno, "open a folder of the cache");
    for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
        char part[HUB_COMPONENT_MAX + 1];
        if (!str_to_z(str_n(path, (size_t)(slash - path)), part,
                      sizeof(part))) {
            close(fd);
            return cannot(err, ENAMETOOLONG, "make a folder in the cache");
        }
        int next = open_dir(fd, part, err);
        close(fd);
        if (next < 0)
            return next;
        fd = next;
    }
    *ret_last = path;
    return fd;
}

int place_open(struct place *p, const char *cache, const char *id,
               struct err *err)
{
    *p = (struct place)PLACE_NONE;
    hub_folder_name(id, p->folder);
    p->cache = open(cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->cache < 0)
        return err_set(err, errno, "cannot open the cache %s: %s", cache,
                       strerror(errno));
    int locks = open_dir(p->cache, ".locks", err);
    if (locks < 0)
        return locks;
    p->locks = open_dir(locks, p->folder, err);
    close(locks);
    p->repo = p->locks < 0 ? p->locks : open_dir(p->cache, p->folder, err);
    p->blobs = p->repo < 0 ? p->repo : open_dir(p->repo, "blobs", err);
    return p->blobs < 0 ? p->blobs : 0;
}

void place_close(struct place *p)
{
    int fds[] = {p->cache, p->repo, p->blobs, p->locks};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *p = (struct place)PLACE_NONE;
}

/* Whoever had the lock may have removed its file: then what we hold is a lock
 * on nothing. */
static bool still_named(int fd, int dir, const char *name)
{
    struct stat a, b;
    return !fstat(fd, &a) && !fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) &&
           a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static int take_lock(struct place *p, const char *name, struct err *err)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = openat(p->locks, name,
                        O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
        if (fd < 0)
            return cannot(err, errno, "make a lock in the cache");
        int r = flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
        if (r == 0 && still_named(fd, p->locks, name))
            return fd;
        close(fd);
        if (r == -EWOULDBLOCK)
            return -EAGAIN;
        if (r < 0 && r != -EINTR)
            return cannot(err, -r, "lock a file of the cache");
    }
    return -EAGAIN;
}

int place_lock(struct place *p, const struct hub_hash *hash, struct err *err)
{
    char name[HUB_HEX_MAX + 8];
    snprintf(name, sizeof(name), "%s.lock", hash->hex);
    return take_lock(p, name, err);
}

int place_seat(struct place *p, struct err *err)
{
    return take_lock(p, "snapshots.lock", err);
}

int place_blob(struct place *p, const struct hub_hash *hash)
{
    char path[HUB_FOLDER_MAX + HUB_HEX_MAX + 8];
    int fd = beneath_open_file(p->blobs, hash->hex, false);
    if (fd != -ELOOP)
        return fd;
    snprintf(path, sizeof(path), "%s/blobs/%s", p->folder, hash->hex);
    return beneath_open_file(p->cache, path, true);
}

static void partial_name(const struct hub_hash *hash, char *out, size_t size)
{
    snprintf(out, size, "%s.incomplete", hash->hex);
}

uint64_t place_blob_bytes(struct place *p, const struct hub_hash *hash,
                          bool partial)
{
    char name[HUB_HEX_MAX + 16];
    struct stat st;
    partial_name(hash, name, sizeof(name));
    if (fstatat(p->blobs, partial ? name : hash->hex, &st, 0))
        return 0;
    return (uint64_t)st.st_size;
}

int place_partial(struct place *p, const struct hub_hash *hash, struct err *err)
{
    char name[HUB_HEX_MAX + 16];
    partial_name(hash, name, sizeof(name));
    int fd =
        openat(p->blobs, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    return fd < 0 ? cannot(err, errno, "make a file in the cache") : fd;
}

void place_drop_partial(struct place *p, const struct hub_hash *hash)
{
    char name[HUB_HEX_MAX + 16];
    partial_name(hash, name, sizeof(name));
    unlinkat(p->blobs, name, 0);
}

int place_finish(struct place *p, const struct hub_hash *hash, int fd,
                 struct err *err)
{
    char name[HUB_HEX_MAX + 16];
    partial_name(hash, name, sizeof(name));
    if (fsync(fd)) {
        int code = errno;
        unlinkat(p->blobs, name,
                 0); /* what of it is on the disk, nobody knows */
        return cannot(err, code, "write a file of the cache to the disk");
    }
    if (renameat(p->blobs, name, p->blobs, hash->hex) || fsync(p->blobs))
        return cannot(err, errno, "name a file of the cache");
    return 0;
}

static bool links_to(int dir, const char *name, const char *target)
{
    char is[HUB_HEX_MAX + 4 * HUB_DEPTH_MAX + 32];
    ssize_t n = readlinkat(dir, name, is, sizeof(is));
    return n == (ssize_t)strlen(target) && !memcmp(is, target, (size_t)n);
}

static int link_in(int dir, const char *name, const char *target,
                   struct err *err)
{
    static const char tmp[] = ".link"; /* whoever links holds place_seat() */
    unlinkat(dir, tmp, 0);             /* left by one that was killed */
    if (links_to(dir, name, target))
        return 0;
    if (symlinkat(target, dir, tmp) || renameat(dir, tmp, dir, name) ||
        fsync(dir))
        return cannot(err, errno, "link a file into the snapshot");
    return 0;
}

int place_link(struct place *p, const char *commit, struct str name,
               const struct hub_hash *hash, struct err *err)
{
    char path[HUB_PATH_MAX + 64], target[HUB_HEX_MAX + 3 * HUB_DEPTH_MAX + 16];
    size_t at = 0;
    snprintf(path, sizeof(path), "snapshots/%s/%.*s", commit, STR_FMT(name));
    for (const char *s = path; (s = strchr(s, '/')); s++)
        at += (size_t)snprintf(target + at, sizeof(target) - at, "../");
    snprintf(target + at, sizeof(target) - at, "blobs/%s", hash->hex);
    const char *last;
    int dir = open_parents(p->repo, path, &last, err);
    if (dir < 0)
        return dir;
    int r = link_in(dir, last, target, err);
    close(dir);
    return r;
}

static int write_ref(int dir, const char *name, const char *commit,
                     struct err *err)
{
    static const char tmp[] = ".ref";
    unlinkat(dir, tmp, 0);
    int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return cannot(err, errno, "write a ref");
    int r = fs_write_all(fd, commit, strlen(commit));
    if (r == 0 && fsync(fd))
        r = -errno;
    close(fd);
    if (r == 0 && (renameat(dir, tmp, dir, name) || fsync(dir)))
        r = -errno;
    if (r < 0)
        unlinkat(dir, tmp, 0);
    return r < 0 ? cannot(err, -r, "write a ref") : 0;
}

int place_ref(struct place *p, const char *revision, const char *commit,
              struct err *err)
{
    char path[HUB_REVISION_MAX + 8];
    const char *last;
    snprintf(path, sizeof(path), "refs/%s", revision);
    int dir = open_parents(p->repo, path, &last, err);
    if (dir < 0)
        return dir;
    int r = write_ref(dir, last, commit, err);
    close(dir);
    return r;
}

int place_room(struct place *p, uint64_t need, const char *cache,
               struct err *err)
{
    struct statvfs v;
    if (need == 0 || fstatvfs(p->blobs, &v))
        return 0;
    uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    if (free_bytes >= RESERVE_BYTES && free_bytes - RESERVE_BYTES >= need)
        return 0;
    return err_set(err, E_DISK_FULL,
                   "%llu bytes are still to be fetched, but the disk of %s has "
                   "%llu free: make room, or set HF_HUB_CACHE to another disk",
                   (unsigned long long)need, cache,
                   (unsigned long long)free_bytes);
}
