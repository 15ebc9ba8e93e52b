/* manager/files.c - a model's open files on their way into a child. */
#include "manager/files.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int files_dup(struct cache_files *to, const struct cache_files *from,
              struct err *err)
{
    *to = (struct cache_files){mem_zero(from->n + 1, sizeof(*to->v)), 0};
    for (size_t i = 0; i < from->n; i++) {
        int fd = fcntl(from->v[i].fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0) {
            cache_files_fini(to);
            return err_set(err, errno, "cannot copy a descriptor: %s",
                           strerror(errno));
        }
        to->v[i] = from->v[i];
        to->v[i].fd = fd;
        to->v[i].name = mem_strdup(from->v[i].name);
        to->n++;
    }
    return 0;
}

static void put_files(struct buf *out, const struct cache_files *files,
                      bool by_name)
{
    wire_put_array(out, files->n);
    for (size_t i = 0; i < files->n; i++) {
        struct wire_map f = wire_map_open(out);
        wire_kz(&f, "name", files->v[i].name);
        wire_kuint(&f, "size", files->v[i].size);
        if (!by_name)
            wire_kuint(&f, "fd", i);
        wire_map_close(&f);
    }
}

static void put_folder(struct wire_map *m, const struct files_load *load)
{
    wire_kz(m, "folder", load->folder);
    wire_kz(m, "root", load->root);
    wire_kuint(m, "memory", load->memory);
    wire_key(m, "options");
    struct wire_map options = wire_map_open(m->out);
    if (load->task && *load->task)
        wire_kz(&options, "task", load->task);
    wire_map_close(&options);
}

int files_send(struct child *c, const struct files_load *load,
               struct cache_files *files, struct err *err)
{
    int fds[FRAME_FDS_MAX], n_fds = 0;
    if (files->n > FRAME_FILES_MAX)
        return err_set(err, E_TOO_LARGE, "%s has %zu files, limit %d",
                       load->model, files->n, FRAME_FILES_MAX);
    for (size_t i = 0; i < files->n && !load->folder; i++) {
        fds[n_fds++] = files->v[i].fd;
        files->v[i].fd = -1;
    }
    struct wire_map m = child_begin(c, FRAME_LOAD, 0);
    wire_kz(&m, "model", load->model);
    wire_kz(&m, "revision", load->revision);
    wire_kz(&m, "dtype", load->dtype);
    wire_kz(&m, "device", load->device);
    if (load->folder)
        put_folder(&m, load);
    wire_key(&m, "files");
    put_files(m.out, files, load->folder);
    int r = child_send(c, &m, fds, n_fds);
    cache_files_fini(files);
    return r == -E2BIG
               ? err_set(err, E_TOO_LARGE,
                         "the list of the files of %s is too long", load->model)
               : 0;
}

uint64_t files_bytes(const struct cache_files *files)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < files->n; i++)
        sum += files->v[i].size;
    return sum;
}

static bool same(const struct cache_file *f, const struct store_file *s)
{
    return !strcmp(f->name, s->name) && f->size == s->size &&
           f->inode == s->inode && f->mtime_ns == s->mtime_ns &&
           f->ctime_ns == s->ctime_ns;
}

bool files_as_recorded(const struct cache_files *files,
                       const struct store_model *m)
{
    if (files->n != m->n_files)
        return false;
    for (size_t i = 0; i < files->n; i++)
        if (!same(&files->v[i], &m->files[i]))
            return false;
    return true;
}

void files_record(const struct cache_files *files, struct store_model *m)
{
    for (size_t i = 0; i < m->n_files; i++)
        free(m->files[i].name);
    free(m->files);
    m->files = mem_zero(files->n + 1, sizeof(*m->files));
    m->n_files = files->n;
    for (size_t i = 0; i < files->n; i++) {
        const struct cache_file *f = &files->v[i];
        struct store_file *s = &m->files[i];
        *s = (struct store_file){.name = mem_strdup(f->name),
                                 .size = f->size,
                                 .inode = f->inode,
                                 .device = f->device,
                                 .mtime_ns = f->mtime_ns,
                                 .ctime_ns = f->ctime_ns};
        snprintf(s->hash, sizeof(s->hash), "%s", f->hash.hex);
    }
    m->bytes = files_bytes(files);
}
