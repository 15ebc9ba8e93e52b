/* hub/beneath.c - openat2, and a walk that needs no recursion. */
#include "hub/beneath.h"
#include "base/fs.h"
#include "hub/hub_path.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int beneath_open(int dir, const char *path, int flags, bool links)
{
    unsigned wanted = (unsigned)flags | O_CLOEXEC;
    unsigned resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    if (!links)
        resolve |= RESOLVE_NO_SYMLINKS;
    struct open_how how = {.flags = wanted, .resolve = resolve};
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
    return fd < 0 ? -errno : (int)fd;
}

int beneath_open_file(int dir, const char *path, bool links)
{
    int fd = beneath_open(dir, path, O_RDONLY | O_NONBLOCK, links);
    if (fd < 0)
        return fd;
    struct stat st;
    int r = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (r == 0 && fcntl(fd, F_SETFL, 0))
        r = -errno;
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

struct list {
    struct str *v;
    size_t n, cap;
};

struct walk {
    struct arena *a;
    bool hidden;
    struct list files, folders; /* folders: done and still to do */
};

static int list_add(struct list *l, struct arena *a, struct str name,
                    struct err *err)
{
    if (l->n == HUB_FILES_MAX)
        return err_set(err, E_TOO_LARGE, "more than %d files in one folder",
                       HUB_FILES_MAX);
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct str *v = realloc(l->v, cap * sizeof(*v));
        if (!v)
            return err_set(err, ENOMEM, "out of memory");
        l->v = v;
        l->cap = cap;
    }
    char *copy = arena_str(a, name);
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    l->v[l->n++] = str_n(copy, name.n);
    return 0;
}

static bool is_folder(int dir, const struct dirent *e)
{
    struct stat st;
    if (e->d_type != DT_UNKNOWN)
        return e->d_type == DT_DIR;
    return !fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
           S_ISDIR(st.st_mode);
}

static int add_entry(struct walk *w, int dir, struct str folder,
                     const struct dirent *e, struct err *err)
{
    char name[FS_PATH_MAX];
    int r = 0;
    if (folder.n)
        r = fs_join(name, folder.p, e->d_name);
    else if (!str_to_z(str_of(e->d_name), name, sizeof(name)))
        r = -ENAMETOOLONG;
    if (r < 0 || (e->d_name[0] == '.' && !w->hidden) ||
        hub_path_check(str_of(name), NULL) < 0)
        return 0;
    return list_add(is_folder(dir, e) ? &w->folders : &w->files, w->a,
                    str_of(name), err);
}

static int walk_folder(struct walk *w, int root, struct str folder,
                       struct err *err)
{
    int fd = beneath_open(root, folder.n ? folder.p : ".",
                          O_RDONLY | O_DIRECTORY, false);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return fd < 0 ? fd : -errno;
    }
    struct dirent *e;
    int r = 0;
    while (r == 0 && (e = readdir(d)))
        r = add_entry(w, fd, folder, e, err);
    closedir(d);
    return r;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct str *)a)->p, ((const struct str *)b)->p);
}

static int walk_all(struct walk *w, int root, struct err *err)
{
    int r = list_add(&w->folders, w->a, str_n("", 0), err);
    for (size_t i = 0; i < w->folders.n && r == 0; i++) {
        r = walk_folder(w, root, w->folders.v[i], err);
        if (r < 0 && r > -E_FIRST)
            r = err_set(err, -r, "cannot list a folder: %s", strerror(-r));
    }
    return r;
}

int beneath_list(int dir, const char *path, bool hidden, struct arena *a,
                 struct str **ret, size_t *ret_n, struct err *err)
{
    int root =
        beneath_open(dir, path[0] ? path : ".", O_RDONLY | O_DIRECTORY, false);
    if (root < 0)
        return root == -ENOENT ? root
                               : err_set(err, -root, "cannot open a folder: %s",
                                         strerror(-root));
    struct walk w = {.a = a, .hidden = hidden};
    int r = walk_all(&w, root, err);
    struct str *v = r < 0 ? NULL : arena_alloc(a, w.files.n, sizeof(*v));
    if (r == 0 && !v && w.files.n)
        r = err_set(err, ENOMEM, "out of memory");
    if (r == 0 && w.files.n) {
        memcpy(v, w.files.v, w.files.n * sizeof(*v));
        qsort(v, w.files.n, sizeof(*v), compare);
    }
    free(w.files.v);
    free(w.folders.v);
    close(root);
    if (r < 0)
        return r;
    *ret = v;
    *ret_n = w.files.n;
    return 0;
}
