/* cli/backend_install.c - a virtual environment with the Transformers server in
 * it, made beside its place and moved there when it works. */
#include "base/fs.h"
#include "base/json.h"
#include "cli/backends.h"
#include "cli/program.h"
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CPU_INDEX "https://download.pytorch.org/whl/cpu"
#define WHEEL     "berth_transformers-" BERTH_VERSION "-py3-none-any.whl"

enum { OPEN_FOLDERS = 16 };

struct install {
    char home[FS_PATH_MAX];    /* FOLDER/transformers */
    char partial[FS_PATH_MAX]; /* where it is made */
    char python[FS_PATH_MAX];  /* of the environment that is being made */
    char wheel[FS_PATH_MAX];
    const char *index;
};

/* ---- files -------------------------------------------------------------- */

static int remove_one(const char *path, const struct stat *st, int kind,
                      struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* rm -r; what is not there is no error. */
static int remove_tree(const char *path, struct err *err)
{
    if (nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS) == 0 ||
        errno == ENOENT)
        return 0;
    return err_set(err, errno, "cannot remove %s: %s", path, strerror(errno));
}

static int place(char *out, const char *folder, const char *suffix,
                 struct err *err)
{
    if (snprintf(out, FS_PATH_MAX, "%s/" TRANSFORMERS "%s", folder, suffix) <
        FS_PATH_MAX)
        return 0;
    return err_set(err, ENAMETOOLONG, "the path %s is too long", folder);
}

static int find_wheel(char *out, struct err *err)
{
    static const char *const places[] = {WHEEL, "../share/berth/" WHEEL};
    char dir[FS_PATH_MAX];
    int r = fs_program_dir(dir);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(places); i++)
        if (fs_join(out, dir, places[i]) == 0 && access(out, R_OK) == 0)
            return 0;
    return err_set(err, ENOENT, "%s is neither beside berth nor in %s", WHEEL,
                   "../share/berth: build or install it there");
}

/* ---- steps -------------------------------------------------------------- */

static int step(const char *what, const char *const *argv, struct err *err)
{
    printf("== %s\n", what);
    fflush(stdout);
    int r = program_run(argv, NULL, err);
    if (r > 0)
        return err_set(err, E_INTERNAL, "%s failed; what it said stands above",
                       what);
    return r;
}

static int find_python(const char **ret, struct err *err)
{
    static const char *const names[] = {"python3", "python3.13", "python3.12",
                                        "python3.11"};
    static const char check[] =
        "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";
    struct buf said = BUF_MAX(4096);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *const argv[] = {names[i], "-c", check, NULL};
        if (program_run(argv, &said, err) == 0) {
            *ret = names[i];
            buf_fini(&said);
            return 0;
        }
    }
    buf_fini(&said);
    return err_set(err, ENOENT,
                   "this needs Python 3.11 or newer with its venv module: "
                   "apt-get install python3 python3-venv");
}

/* "torch==2.13.0", as the wheel asks for it. */
static int wanted_torch(const struct install *x, char *out, size_t size,
                        struct err *err)
{
    static const char ask[] =
        "from importlib.metadata import requires\n"
        "print(next(r for r in requires('berth-transformers') "
        "if r.startswith('torch==')), end='')";
    const char *const argv[] = {x->python, "-c", ask, NULL};
    struct buf said = BUF_MAX(4096);
    int r = program_run(argv, &said, err);
    if (r > 0 || (r == 0 && !str_to_z(buf_str(&said), out, size)))
        r = err_set(err, E_INTERNAL, "%s does not say which torch it needs",
                    WHEEL);
    buf_fini(&said);
    return r;
}

#define PIP(x, ...)                                                      \
    {(x)->python, "-m", "pip", "install", "--disable-pip-version-check", \
     __VA_ARGS__, NULL}

/* Its build comes from an index of its own: the one of the package index is
 * built for NVIDIA and takes gigabytes. */
static int install_torch(const struct install *x, struct err *err)
{
    char torch[64];
    int r = wanted_torch(x, torch, sizeof(torch), err);
    if (r < 0)
        return r;
    const char *const own[] =
        PIP(x, "--no-deps", torch, "--index-url", x->index);
    const char *const cpu[] =
        PIP(x, "--no-deps", torch, "--extra-index-url", CPU_INDEX);
    return x->index ? step("torch, from the index given", own, err)
                    : step("torch, for CPUs", cpu, err);
}

static int fill(const struct install *x, struct err *err)
{
    const char *python;
    int r = find_python(&python, err);
    if (r < 0)
        return r;
    const char *const venv[] = {python, "-m", "venv", x->partial, NULL};
    const char *const server[] = PIP(x, "--no-deps", x->wheel);
    const char *const rest[] = PIP(x, x->wheel);
    r = step("a virtual environment", venv, err);
    if (r == 0)
        r = step("berth's server", server, err);
    if (r == 0)
        r = install_torch(x, err);
    return r < 0 ? r : step("the other packages", rest, err);
}

/* Asks what was made what it is: the proof that it works, and backend.json. */
static int seal(const struct install *x, const char *folder, const char *name,
                struct err *err)
{
    char file[FS_PATH_MAX];
    struct buf about = BUF_MAX(BACKENDS_ABOUT_MAX);
    int r = backends_about(folder, name, &about, err);
    if (r == 0 && fs_join(file, x->partial, "backend.json") < 0)
        r = err_set(err, ENAMETOOLONG, "the path %s is too long", folder);
    if (r == 0)
        r = fs_write_atomic(file, buf_str(&about), 0644, err);
    buf_fini(&about);
    return r;
}

static int move_in(const struct install *x, const char *folder, struct err *err)
{
    char old[FS_PATH_MAX];
    int r = place(old, folder, ".old", err);
    if (r == 0)
        r = remove_tree(old, err);
    if (r < 0)
        return r;
    if (rename(x->home, old) && errno != ENOENT)
        return err_set(err, errno, "cannot move %s away: %s", x->home,
                       strerror(errno));
    if (rename(x->partial, x->home))
        return err_set(err, errno, "cannot move %s to its place: %s",
                       x->partial, strerror(errno));
    return remove_tree(old, err);
}

/* The one that is there has the right packages, and only the server in it is
 * replaced: 1; 0: it has to be made anew. */
static int refresh(const struct install *x, const char *folder, struct err *err)
{
    char python[FS_PATH_MAX], file[FS_PATH_MAX];
    if (fs_join(python, x->home, "bin/python") < 0 ||
        fs_join(file, x->home, "backend.json") < 0)
        return err_set(err, ENAMETOOLONG, "the path %s is too long", folder);
    const char *const server[] = {python,
                                  "-m",
                                  "pip",
                                  "install",
                                  "--disable-pip-version-check",
                                  "--quiet",
                                  "--no-deps",
                                  "--force-reinstall",
                                  x->wheel,
                                  NULL};
    const char *const check[] = {python, "-m", "pip", "check", NULL};
    struct buf said = BUF_MAX(BACKENDS_ABOUT_MAX);
    int r =
        step("berth's server, into the environment that is there", server, err);
    if (r == 0)
        r = program_run(check, &said, err);
    buf_reset(&said);
    if (r == 0)
        r = backends_about(folder, TRANSFORMERS, &said, err);
    if (r == 0)
        r = fs_write_atomic(file, buf_str(&said), 0644, err);
    buf_fini(&said);
    return r == 0;
}

/* ---- the two ------------------------------------------------------------ */

int backends_install(const char *folder, const char *index, struct err *err)
{
    struct install x = {.index = index};
    int r = fs_mkdir_p(folder, 0755, err);
    if (r == 0)
        r = place(x.home, folder, "", err);
    if (r == 0)
        r = place(x.partial, folder, ".partial", err);
    if (r == 0 && fs_join(x.python, x.partial, "bin/python") < 0)
        r = err_set(err, ENAMETOOLONG, "the path %s is too long", folder);
    if (r == 0)
        r = find_wheel(x.wheel, err);
    if (r == 0 && !index && backends_installed(folder, TRANSFORMERS))
        r = refresh(&x, folder, err);
    if (r > 0)
        return 0;
    if (r == 0)
        r = remove_tree(x.partial, err);
    if (r < 0)
        return r;
    r = fill(&x, err);
    if (r == 0)
        r = seal(&x, folder, TRANSFORMERS ".partial", err);
    if (r == 0)
        r = move_in(&x, folder, err);
    if (r < 0) {
        struct err ignored; /* the first one is told */
        if (remove_tree(x.partial, &ignored) < 0)
            fprintf(stderr, "berth: note: %s\n", ignored.msg);
    }
    return r;
}

int backends_remove(const char *folder, const char *name, struct err *err)
{
    char path[FS_PATH_MAX], away[FS_PATH_MAX];
    if (!backends_installed(folder, name) || fs_join(path, folder, name) < 0)
        return err_set(err, ENOENT, "there is no backend %s in %s", name,
                       folder);
    int r = place(away, folder, ".old", err);
    if (r == 0)
        r = remove_tree(away, err);
    if (r == 0 && rename(path, away))
        r = err_set(err, errno, "cannot remove %s: %s", path, strerror(errno));
    return r < 0 ? r : remove_tree(away, err);
}
