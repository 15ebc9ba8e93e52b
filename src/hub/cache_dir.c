/* hub/cache_dir.c - where the cache is, as huggingface_hub computes it. */
#include "base/buf.h"
#include "base/fs.h"
#include "hub/cache.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef char *env_fn(const char *name);

static const char *get(env_fn *env, const char *name)
{
    const char *v = env(name);
    return v && v[0] ? v : NULL;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
}

/* At "$NAME" or "${NAME}": adds its value, returns the bytes used; 0 when it is
 * no variable that is set, and then it stays as it is. */
static size_t expand_variable(env_fn *env, const char *p, struct buf *out)
{
    char name[64];
    bool braced = p[1] == '{';
    const char *from = p + 1 + braced, *end = from;
    while (is_word(*end))
        end++;
    size_t n = (size_t)(end - from);
    if (n == 0 || n >= sizeof(name) || (braced && *end != '}'))
        return 0;
    memcpy(name, from, n);
    name[n] = 0;
    const char *value = env(name);
    if (!value)
        return 0;
    buf_puts(out, value);
    return (size_t)(end - p) + braced;
}

/* "~" and variables. */
static int expand(env_fn *env, const char *path, char *out, struct err *err)
{
    struct buf b = BUF_MAX(FS_PATH_MAX - 1);
    const char *p = path, *home = get(env, "HOME");
    if (p[0] == '~' && (p[1] == '/' || !p[1]) && home) {
        buf_puts(&b, home);
        p++;
    }
    while (*p) {
        size_t used = *p == '$' ? expand_variable(env, p, &b) : 0;
        if (!used)
            buf_putc(&b, *p);
        p += used ? used : 1;
    }
    bool ok = !b.failed && str_to_z(buf_str(&b), out, FS_PATH_MAX);
    buf_fini(&b);
    if (!ok)
        return err_set(err, ENAMETOOLONG, "the path of the cache is too long");
    if (out[0] != '/')
        return err_set(err, E_INVALID_REQUEST,
                       "the cache's folder \"%s\" is no absolute path: set "
                       "HF_HUB_CACHE to one",
                       out);
    return 0;
}

int cache_dir(char *(*env)(const char *), char *out, struct err *err)
{
    char path[FS_PATH_MAX];
    const char *cache = get(env, "HF_HUB_CACHE");
    const char *home = get(env, "HF_HOME"), *xdg = get(env, "XDG_CACHE_HOME");
    if (!cache)
        cache = get(env, "HUGGINGFACE_HUB_CACHE");
    if (cache)
        return expand(env, cache, out, err);
    if (!home && !xdg && !get(env, "HOME"))
        return err_set(err, E_INVALID_REQUEST,
                       "nothing says where the model cache is: set HOME or "
                       "HF_HUB_CACHE");
    int n = home  ? snprintf(path, sizeof(path), "%s/hub", home)
            : xdg ? snprintf(path, sizeof(path), "%s/huggingface/hub", xdg)
                  : snprintf(path, sizeof(path), "~/.cache/huggingface/hub");
    if (n < 0 || n >= (int)sizeof(path))
        return err_set(err, ENAMETOOLONG, "the path of the cache is too long");
    return expand(env, path, out, err);
}
