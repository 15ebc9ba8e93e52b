/* cli/environment.c - what Hugging Face's variables say in the caller's
 * environment: the same names and the same order as huggingface_hub has. */
#include "cli/environment.h"
#include "base/fs.h"
#include "cli/members.h"
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define HUB "https://huggingface.co"

static const char *variable(const char *name)
{
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

/* HF_HOME as huggingface_hub finds it; false when there is no home at all. */
static bool hf_home(char *path)
{
    const char *v;
    if ((v = variable("HF_HOME")))
        return snprintf(path, FS_PATH_MAX, "%s", v) < FS_PATH_MAX;
    if ((v = variable("XDG_CACHE_HOME")))
        return snprintf(path, FS_PATH_MAX, "%s/huggingface", v) < FS_PATH_MAX;
    if ((v = variable("HOME")))
        return snprintf(path, FS_PATH_MAX, "%s/.cache/huggingface", v) <
               FS_PATH_MAX;
    return false;
}

static struct str trim(struct str s)
{
    while (s.n && isspace((unsigned char)s.p[0]))
        s = str_n(s.p + 1, s.n - 1);
    while (s.n && isspace((unsigned char)s.p[s.n - 1]))
        s.n--;
    return s;
}

static void token_from_file(struct buf *out)
{
    char path[FS_PATH_MAX], home[FS_PATH_MAX];
    const char *v = variable("HF_TOKEN_PATH");
    if (v)
        snprintf(path, sizeof(path), "%s", v);
    else if (!hf_home(home) || fs_join(path, home, "token") < 0)
        return;
    struct buf file = BUF_MAX(TOKEN_MAX);
    if (fs_read(AT_FDCWD, path, &file, NULL) == 0) {
        struct str s = trim(buf_str(&file));
        buf_add(out, s.p, s.n);
    }
    buf_fini(&file);
}

static void find_token(struct buf *out)
{
    const char *v = variable("HF_TOKEN");
    if (!v)
        v = variable("HUGGING_FACE_HUB_TOKEN");
    struct str s = trim(str_of(v ? v : ""));
    if (s.n)
        buf_add(out, s.p, s.n);
    else
        token_from_file(out);
}

static bool same_place(struct str a, struct str b)
{
    while (a.n > 1 && a.p[a.n - 1] == '/')
        a.n--;
    while (b.n > 1 && b.p[b.n - 1] == '/')
        b.n--;
    return str_eq(a, b);
}

static void compare(const char *name, const char *mine, struct json status,
                    const char *key)
{
    struct str theirs = field_str(status, key);
    if (theirs.n && !same_place(str_of(mine), theirs))
        fprintf(stderr,
                "berth: note: the daemon uses %.*s, not %s from %s; the Hub "
                "and the cache are the daemon's choice\n",
                STR_FMT(theirs), mine, name);
}

/* A token is for the Hub that its owner means. */
static void keep_token_at_home(struct buf *token, struct json status)
{
    const char *mine = variable("HF_ENDPOINT");
    struct str theirs = field_str(status, "endpoint");
    if (!mine)
        mine = HUB;
    if (!token->len || !theirs.n || same_place(str_of(mine), theirs))
        return;
    buf_reset(token);
    fprintf(stderr,
            "berth: note: the token is not sent: it is for %s and the daemon "
            "uses %.*s (HF_ENDPOINT=%.*s, if the token is for that)\n",
            mine, STR_FMT(theirs), STR_FMT(theirs));
}

int environment_hub(struct client *c, struct buf *token, struct err *err)
{
    char path[FS_PATH_MAX];
    const char *endpoint = variable("HF_ENDPOINT");
    const char *cache = variable("HF_HUB_CACHE"), *home = variable("HF_HOME");
    if (token)
        find_token(token);
    if (!endpoint && !cache && !home && (!token || !token->len))
        return 0;
    struct reply reply;
    int r = client_get(c, "/berth/status", &reply, err);
    if (r == 0) {
        struct json status = json_root(reply.doc);
        if (endpoint)
            compare("HF_ENDPOINT", endpoint, status, "endpoint");
        if (cache)
            compare("HF_HUB_CACHE", cache, status, "cache");
        else if (home && fs_join(path, home, "hub") == 0)
            compare("HF_HOME", path, status, "cache");
        if (token)
            keep_token_at_home(token, status);
    }
    reply_fini(&reply);
    return r;
}
