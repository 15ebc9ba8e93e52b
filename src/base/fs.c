/* base/fs.c - files and folders. */
#include "base/fs.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { READ_STEP = 65536 };

int fs_join(char *out, const char *dir, const char *name)
{
    int n = snprintf(out, FS_PATH_MAX, "%s/%s", dir, name);
    return n < 0 || n >= FS_PATH_MAX ? -ENAMETOOLONG : 0;
}

int fs_mkdir_p(const char *path, mode_t mode, struct err *err)
{
    char p[FS_PATH_MAX];
    if (!str_to_z(str_of(path), p, sizeof(p)) || !p[0])
        return err_set(err, ENAMETOOLONG, "the path of a folder is too long");
    for (char *s = p + 1;; s++) {
        if (*s && *s != '/')
            continue;
        char keep = *s;
        *s = 0;
        if (mkdir(p, mode) && errno != EEXIST)
            return err_set(err, errno, "cannot make the folder %s: %s", p,
                           strerror(errno));
        *s = keep;
        if (!keep)
            return 0;
    }
}

int fs_read_fd(int fd, struct buf *out, struct err *err)
{
    for (;;) {
        size_t room = out->max - out->len;
        char probe,
            *to = room ? buf_room(out, room < READ_STEP ? room : READ_STEP)
                       : &probe;
        if (!to)
            return err_set(err, ENOMEM, "out of memory while reading a file");
        ssize_t n =
            pread(fd, to, room ? (room < READ_STEP ? room : READ_STEP) : 1,
                  (off_t)out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(err, errno, "cannot read: %s", strerror(errno));
        if (n == 0)
            return 0;
        if (!room)
            return err_set(err, E2BIG, "larger than its limit of %zu bytes",
                           out->max);
        out->len += (size_t)n;
    }
}

int fs_read(int dir_fd, const char *path, struct buf *out, struct err *err)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_set(err, errno, "cannot open %s: %s", path, strerror(errno));
    int r = fs_read_fd(fd, out, err);
    close(fd);
    return r < 0 ? err_prefix(err, "%s", path) : 0;
}

int fs_write_all(int fd, const void *p, size_t n)
{
    const char *s = p;
    while (n > 0) {
        ssize_t w = write(fd, s, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        s += w;
        n -= (size_t)w;
    }
    return 0;
}

static int sync_dir_of(const char *path)
{
    char dir[FS_PATH_MAX];
    snprintf(dir, sizeof(dir), "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash)
        slash[slash == dir] = 0;
    int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) ? -errno : 0;
    close(fd);
    return r;
}

int fs_write_atomic(const char *path, struct str bytes, mode_t mode,
                    struct err *err)
{
    char tmp[FS_PATH_MAX];
    int n = snprintf(tmp, sizeof(tmp), "%s.%d.tmp", path, (int)getpid());
    if (n < 0 || n >= (int)sizeof(tmp))
        return err_set(err, ENAMETOOLONG, "the path %s is too long", path);
    int fd =
        open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    int r = fd < 0 ? -errno : fs_write_all(fd, bytes.p, bytes.n);
    if (r == 0 && fsync(fd))
        r = -errno;
    if (fd >= 0)
        close(fd);
    if (r == 0 && rename(tmp, path))
        r = -errno;
    if (r < 0) {
        unlink(tmp);
        return err_set(err, -r, "cannot write %s: %s", path, strerror(-r));
    }
    r = sync_dir_of(path);
    return r < 0 ? err_set(err, -r, "cannot write %s: %s", path, strerror(-r))
                 : 0;
}

int fs_fstat(int fd, struct stat *st)
{
    return (int)syscall(SYS_fstat, fd, st);
}

int fs_program_dir(char *out)
{
    assert(out);
    ssize_t n = readlink("/proc/self/exe", out, FS_PATH_MAX - 1);
    if (n <= 0)
        return -errno;
    out[n] = 0;
    char *slash = strrchr(out, '/');
    if (!slash)
        return -ENOENT;
    *slash = 0;
    return 0;
}
