/* model/snapshot.c - the files of one model revision, by name. */
#include "model/snapshot.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <unistd.h>

static int check_name(struct str name, struct err *err)
{
    if (name.n == 0 || name.n > SNAPSHOT_NAME_MAX)
        return err_set(err, E_DAMAGED_FILE,
                       "a file name of %zu bytes is not from 1 to %d bytes",
                       name.n, SNAPSHOT_NAME_MAX);
    if (memchr(name.p, 0, name.n))
        return err_set(err, E_DAMAGED_FILE, "a file name holds a zero byte");
    return 0;
}

int snapshot_add(struct snapshot *s, struct str name, int fd, uint64_t size,
                 struct err *err)
{
    int r = check_name(name, err);
    if (r == 0 && s->n == SNAPSHOT_FILES_MAX)
        r = err_set(err, E_TOO_LARGE, "more than %d files in one snapshot",
                    SNAPSHOT_FILES_MAX);
    for (size_t i = 0; r == 0 && i < s->n; i++)
        if (str_is(name, s->files[i].name))
            r = err_set(err, E_DAMAGED_FILE, "%s is there twice",
                        s->files[i].name);
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        return r;
    }
    struct snapshot_file *f = &s->files[s->n++];
    f->name = mem_strndup(name);
    f->fd = fd;
    f->size = size;
    return 0;
}

void snapshot_fini(struct snapshot *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->files[i].name);
        if (s->files[i].fd >= 0)
            close(s->files[i].fd);
    }
    s->n = 0;
}

const struct snapshot_file *snapshot_find(const struct snapshot *s,
                                          const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->files[i].name, name))
            return &s->files[i];
    return NULL;
}

int snapshot_read(const struct snapshot *s, const char *name, size_t max,
                  bool optional, struct buf *out, struct err *err)
{
    const struct snapshot_file *f = snapshot_find(s, name);
    if (!f)
        return optional ? 0
                        : err_set(err, E_DAMAGED_FILE,
                                  "%s is missing from the model's files", name);
    if (f->size > max)
        return err_set(err, E_TOO_LARGE,
                       "%s is %llu bytes long; the limit is %zu", name,
                       (unsigned long long)f->size, max);
    size_t before = out->max;
    if (out->max > out->len + max)
        out->max = out->len + max;
    int r = fs_read_fd(f->fd, out, err);
    out->max = before;
    if (r < 0)
        return err_prefix(err, "%s", name);
    if (out->len != f->size)
        return err_set(err, E_DAMAGED_FILE,
                       "%s holds %zu bytes where %llu were announced", name,
                       out->len, (unsigned long long)f->size);
    return 0;
}
