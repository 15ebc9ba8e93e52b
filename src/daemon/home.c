/* daemon/home.c - the daemon's folder: one daemon in it, and where it listens.
 */
#include "daemon/home.h"
#include "base/fs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int absolute(const char *path, char *out, struct err *err)
{
    char here[FS_PATH_MAX];
    if (path[0] == '/') {
        if (str_to_z(str_of(path), out, FS_PATH_MAX))
            return 0;
    } else if (getcwd(here, sizeof(here)) && fs_join(out, here, path) == 0) {
        return 0;
    }
    return err_set(err, ENAMETOOLONG, "the path of the home is too long");
}

int home_find(const char *given, char *(*env)(const char *name), char *out,
              struct err *err)
{
    char path[FS_PATH_MAX];
    const char *set = given ? given : env("BERTH_HOME");
    if (set && *set)
        return absolute(set, out, err);
    const char *state = env("XDG_STATE_HOME"), *user = env("HOME");
    int r = -1;
    if (state && state[0] == '/')
        r = fs_join(path, state, "berth");
    else if (user && user[0] == '/')
        r = fs_join(path, user, ".local/state/berth");
    if (r < 0)
        return err_set(err, E_INVALID_REQUEST,
                       "there is no home to keep state in: give --home DIR or "
                       "set BERTH_HOME");
    return absolute(path, out, err);
}

static int make_private(const char *home, struct err *err)
{
    struct stat st;
    int r = fs_mkdir_p(home, 0700, err);
    if (r < 0)
        return r;
    if (stat(home, &st) || !S_ISDIR(st.st_mode))
        return err_set(err, ENOTDIR, "%s is no folder", home);
    if (st.st_uid != geteuid())
        return err_set(err, E_FORBIDDEN,
                       "%s belongs to another user; give another --home", home);
    if ((st.st_mode & 077) && chmod(home, 0700))
        return err_set(err, errno, "cannot make %s private: %s", home,
                       strerror(errno));
    return 0;
}

int home_open(const char *home, struct err *err)
{
    char path[FS_PATH_MAX], pid[32];
    int r = make_private(home, err);
    if (r < 0)
        return r;
    if (fs_join(path, home, "berth.lock") < 0)
        return err_set(err, ENAMETOOLONG, "the path of the home is too long");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(err, errno, "cannot open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
        pid[n > 0 ? n : 0] = 0;
        close(fd);
        return err_set(err, E_CONFLICT,
                       "another berthd runs on %s (process %.20s); stop it, or "
                       "give another --home",
                       home, n > 0 ? pid : "unknown");
    }
    int n = snprintf(pid, sizeof(pid), "%d", getpid());
    if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n) {
        r = err_set(err, errno, "cannot write %s: %s", path, strerror(errno));
        close(fd);
        return r;
    }
    return fd;
}

int home_announce(const char *home, struct str json, struct err *err)
{
    char path[FS_PATH_MAX];
    if (fs_join(path, home, "berth.json") < 0)
        return err_set(err, ENAMETOOLONG, "the path of the home is too long");
    return fs_write_atomic(path, json, 0600, err);
}

void home_leave(const char *home, int lock_fd)
{
    char path[FS_PATH_MAX];
    if (fs_join(path, home, "berth.json") == 0)
        unlink(path);
    close(lock_fd);
}
