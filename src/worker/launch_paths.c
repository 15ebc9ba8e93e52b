/* worker/launch_paths.c - what the Transformers server may open. A virtual
 * environment is a folder with a link to an interpreter and, in pyvenv.cfg, the
 * place of the installation that it belongs to, whose lib/ has the standard
 * library. The program names its own loader (PT_INTERP), and these two are all
 * that may be executed. */
#include "worker/launch_paths.h"
#include "base/mem.h"
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROGRAM_HEADERS_MAX = 64, PYVENV_BYTES = 65536 };

/* The system's libraries, and the little that torch asks the kernel. */
static const char *const always[] = {
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/dev/urandom",
    "/proc/cpuinfo", /* without it torch takes its slowest kernels, silently */
    "/proc/self/statm", /* the memory that PONG tells */
};

/* What a device needs beside: patterns of files to read, and of device files to
 * read, write and control. */
static const struct device {
    const char *name;
    const char *read[8], *files[4];
} devices[] = {
    {"cuda",
     {"/etc/ld.so.cache", "/usr/local/nvidia", "/usr/local/cuda*/lib64",
      "/proc/driver/nvidia", "/proc/devices", "/sys/devices/system/node",
      "/sys/bus/pci/devices"},
     {"/dev/nvidia*"}},
    {"xla",
     {"/sys/bus/pci/devices", "/sys/class/vfio", "/sys/class/accel"},
     {"/dev/accel*", "/dev/vfio"}},
};

static int list_add(struct path_list *list, const char *path, struct err *err)
{
    if (list->n == LAUNCH_PATHS_MAX)
        return err_set(err, E2BIG, "more than %d paths to allow",
                       LAUNCH_PATHS_MAX);
    list->v[list->n++] = mem_strdup(path);
    return 0;
}

static int list_glob(struct path_list *list, const char *pattern,
                     struct err *err)
{
    glob_t found;
    int r = 0;
    if (glob(pattern, 0, NULL, &found))
        return 0;
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
        r = list_add(list, found.gl_pathv[i], err);
    globfree(&found);
    return r;
}

int launch_paths_read(struct launch_paths *p, const char *path, struct err *err)
{
    return list_add(&p->read, path, err);
}

/* ---- the interpreter ---- */

static int no_program(const char *path, struct err *err)
{
    return err_set(err, E_INTERNAL,
                   "%s leads to no 64-bit program of this machine: install the "
                   "backend again (berth backend install transformers)",
                   path);
}

/* The loader that the kernel starts for a program, into out[FS_PATH_MAX]; ""
 * when it needs none. */
static int read_loader(int fd, char *out)
{
    Elf64_Ehdr e;
    Elf64_Phdr h;
    out[0] = 0;
    if (pread(fd, &e, sizeof(e), 0) != sizeof(e) ||
        memcmp(e.e_ident, ELFMAG, SELFMAG) || e.e_ident[EI_CLASS] != ELFCLASS64)
        return -ENOEXEC;
    for (int i = 0; i < e.e_phnum && i < PROGRAM_HEADERS_MAX; i++) {
        off_t at = (off_t)e.e_phoff + (off_t)i * e.e_phentsize;
        if (pread(fd, &h, sizeof(h), at) != sizeof(h))
            return -ENOEXEC;
        if (h.p_type != PT_INTERP)
            continue;
        if (h.p_filesz == 0 || h.p_filesz > FS_PATH_MAX ||
            pread(fd, out, h.p_filesz, (off_t)h.p_offset) !=
                (ssize_t)h.p_filesz ||
            out[h.p_filesz - 1])
            return -ENOEXEC;
    }
    return 0;
}

/* PREFIX/lib and lib64, for PREFIX/bin/python or PREFIX/bin (up: how many names
 * to take off). */
static int add_libraries(struct launch_paths *p, const char *path, int up,
                         struct err *err)
{
    char prefix[FS_PATH_MAX], lib[FS_PATH_MAX];
    if (!str_to_z(str_of(path), prefix, sizeof(prefix)))
        return err_set(err, ENAMETOOLONG, "the path %s is too long", path);
    for (; up > 0; up--) {
        char *slash = strrchr(prefix, '/');
        if (!slash)
            return 0;
        *slash = 0;
    }
    static const char *const names[] = {"lib", "lib64"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(names); i++)
        if (fs_join(lib, prefix, names[i]) == 0)
            r = list_add(&p->read, lib, err);
    return r;
}

static int find_program(struct launch_paths *p, struct err *err)
{
    char real[FS_PATH_MAX], loader[FS_PATH_MAX];
    p->python_fd = open(p->python, O_RDONLY | O_CLOEXEC);
    if (p->python_fd < 0 || !realpath(p->python, real))
        return err_set(err, E_INTERNAL, "cannot open %s: %s", p->python,
                       strerror(errno));
    if (read_loader(p->python_fd, loader) < 0)
        return no_program(p->python, err);
    int r = list_add(&p->execute, real, err);
    if (r == 0 && loader[0])
        r = list_add(&p->execute, loader, err);
    return r == 0 ? add_libraries(p, real, 2, err) : r;
}

static struct str trim(struct str s)
{
    for (; s.n && isspace((unsigned char)s.p[0]); s.n--)
        s.p++;
    while (s.n && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

/* "home = /usr/bin": the installation that the environment was made from. */
static struct str home_in(struct str text)
{
    while (text.n) {
        const char *end = memchr(text.p, '\n', text.n);
        struct str line = str_n(text.p, end ? (size_t)(end - text.p) : text.n);
        size_t used = line.n + (end != NULL);
        text = str_n(text.p + used, text.n - used);
        const char *is = memchr(line.p, '=', line.n);
        size_t key = is ? (size_t)(is - line.p) : 0;
        if (is && str_is(trim(str_n(line.p, key)), "home"))
            return trim(str_n(is + 1, line.n - key - 1));
    }
    return str_of("");
}

static int find_home(struct launch_paths *p, const char *backend,
                     struct err *err)
{
    char path[FS_PATH_MAX], home[FS_PATH_MAX];
    struct buf text = BUF_MAX(PYVENV_BYTES);
    struct err none;
    int r = 0;
    if (fs_join(path, backend, "pyvenv.cfg") == 0 &&
        fs_read(AT_FDCWD, path, &text, &none) == 0 &&
        str_to_z(home_in(buf_str(&text)), home, sizeof(home)) && home[0] == '/')
        r = add_libraries(p, home, 1, err);
    buf_fini(&text);
    return r;
}

/* ---- the device ---- */

static bool is_device(const char *asked, const char *name)
{
    size_t n = strlen(name);
    return !strcmp(asked, "auto") ||
           (!strncmp(asked, name, n) && (asked[n] == 0 || asked[n] == ':'));
}

static int find_device(struct launch_paths *p, const struct device *d,
                       struct err *err)
{
    int r = 0;
    for (const char *const *f = d->files; r == 0 && *f; f++)
        r = list_glob(&p->devices, *f, err);
    for (const char *const *f = d->read; r == 0 && *f; f++)
        r = list_glob(&p->read, *f, err);
    return r;
}

/* ---- */

int launch_paths_find(struct launch_paths *p, const char *backend,
                      const char *device, struct err *err)
{
    char real[FS_PATH_MAX];
    p->python_fd = -1;
    if (!realpath(backend, real))
        return err_set(err, E_INTERNAL, "cannot open the backend %s: %s",
                       backend, strerror(errno));
    if (fs_join(p->python, real, "bin/python") < 0)
        return err_set(err, ENAMETOOLONG, "the path %s is too long", real);
    int r = list_add(&p->read, real, err);
    if (r == 0)
        r = find_program(p, err);
    if (r == 0)
        r = find_home(p, real, err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(always); i++)
        r = list_add(&p->read, always[i], err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(devices); i++)
        if (is_device(device, devices[i].name))
            r = find_device(p, &devices[i], err);
    return r;
}

void launch_paths_fini(struct launch_paths *p)
{
    struct path_list *lists[] = {&p->read, &p->execute, &p->devices};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (int k = 0; k < lists[i]->n; k++)
            free(lists[i]->v[k]);
    if (p->python_fd >= 0)
        close(p->python_fd);
}
