/* cli/client.c - requests to the daemon, by libcurl over a unix socket.
 *
 * The multi interface, so that Ctrl-C is one more descriptor to wait for and
 * not a signal handler.
 */
#include "cli/client.h"
#include "base/fs.h"
#include "base/mem.h"
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    REPLY_MAX = 1 << 30, /* a collected reply: a flood of vectors is the most */
    REPLY_DEPTH = 64,
    CONNECT_MS = 5000,
    POLL_MS = 60000,
};

struct client {
    CURLM *multi;
    char socket[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* ---- finding the daemon ------------------------------------------------- */

/* 0 when something listens at path. */
static int try_socket(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (!str_to_z(str_of(path), to.sun_path, sizeof(to.sun_path)))
        return -ENAMETOOLONG;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -errno : 0;
    close(fd);
    return r;
}

static int no_daemon(const char *path, int code, struct err *err)
{
    if (code == -EACCES || code == -EPERM)
        return err_set(err, -code,
                       "the daemon's socket %s is another user's: run berth as "
                       "that user, or start a daemon of your own: berth serve",
                       path);
    if (code == -ENAMETOOLONG)
        return err_set(err, -code,
                       "the path of the socket, %s, is longer than the %zu "
                       "bytes that a unix socket can have",
                       path, sizeof(((struct client *)0)->socket) - 1);
    return err_set(err, ECONNREFUSED,
                   "no daemon answers at %s; start one with: berth serve",
                   path);
}

/* The places where a daemon may listen, in order; false past the last. What
 * was asked for by name is the only place. */
static bool place(int i, const struct invocation *in, char *path)
{
    const char *home = getenv("BERTH_HOME"), *state = getenv("XDG_STATE_HOME");
    const char *user = getenv("HOME"), *named = in->option[OPTION_SOCKET];
    int n = -1;
    if (!named)
        named = getenv("BERTH_SOCKET");
    if (named && *named)
        n = i ? -1 : snprintf(path, FS_PATH_MAX, "%s", named);
    else if (home && *home)
        n = i ? -1 : snprintf(path, FS_PATH_MAX, "%s/berth.sock", home);
    else if (i == 0 && state && *state)
        n = snprintf(path, FS_PATH_MAX, "%s/berth/berth.sock", state);
    else if (i == 0)
        n = snprintf(path, FS_PATH_MAX, "%s/.local/state/berth/berth.sock",
                     user ? user : "");
    else if (i == 1)
        n = snprintf(path, FS_PATH_MAX, "/run/berth/berth.sock");
    return n >= 0;
}

int client_open(struct client **ret, const struct invocation *in,
                struct err *err)
{
    char path[FS_PATH_MAX], first[FS_PATH_MAX] = "";
    int why = -ENOENT, r = -ENOENT;
    for (int i = 0; r < 0 && place(i, in, path); i++) {
        r = try_socket(path);
        if (!first[0] || r == -EACCES) {
            snprintf(first, sizeof(first), "%s", path);
            why = r;
        }
    }
    if (r < 0)
        return no_daemon(first, why, err);
    struct client *c = mem_new(struct client);
    snprintf(c->socket, sizeof(c->socket), "%s", path);
    c->multi = curl_multi_init();
    if (!c->multi) {
        client_close(c);
        return err_set(err, ENOMEM, "out of memory");
    }
    *ret = c;
    return 0;
}

void client_close(struct client *c)
{
    if (!c)
        return;
    if (c->multi)
        curl_multi_cleanup(c->multi);
    free(c);
}

const char *client_socket(const struct client *c)
{
    return c->socket;
}

void client_escape(struct buf *out, struct str text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~/@";
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c && strchr(plain, c))
            buf_putc(out, c);
        else
            buf_addf(out, "%%%02X", (unsigned char)c);
    }
}

/* ---- one transfer ------------------------------------------------------- */

struct transfer {
    const struct request *request;
    struct reply *reply;
    CURL *easy;
    bool decided; /* streamed or collected: known at the first byte */
    int code;     /* of request->data, or of a reply that is too large */
    struct err *err;
};

static void decide(struct transfer *t)
{
    long status = 0;
    char *type = NULL;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    t->decided = true;
    t->reply->streamed = status < 400 && t->request->stream_type && type &&
                         str_starts(str_of(type), t->request->stream_type);
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    n *= size;
    if (!t->decided)
        decide(t);
    if (t->reply->streamed)
        t->code = t->request->data(t->request->ctx, str_n(p, n), t->err);
    else if (buf_add(&t->reply->body, p, n) < 0)
        t->code =
            err_set(t->err, E_TOO_LARGE,
                    "the daemon's reply is larger than %d bytes", REPLY_MAX);
    return t->code < 0 ? CURL_WRITEFUNC_ERROR : n;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    static const char name[] = "x-berth-truncated:";
    struct transfer *t = ctx;
    n *= size;
    if (n >= sizeof(name) - 1 && !strncasecmp(p, name, sizeof(name) - 1))
        t->reply->truncated = true;
    return n;
}

static struct curl_slist *set_up(struct transfer *t, const struct client *c,
                                 const char *url)
{
    CURL *e = t->easy;
    curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, c->socket);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    if (!strcmp(t->request->method, "POST")) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(e, CURLOPT_POST, 1L);
        curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)t->request->body.n);
        curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->request->body.p);
    }
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    return headers;
}

/* Until the transfer has ended, or a signal can be read from stop_fd (-1 = no
 * such thing). */
static int drive(struct client *c, int stop_fd, CURLcode *ret)
{
    struct curl_waitfd stop = {.fd = stop_fd, .events = CURL_WAIT_POLLIN};
    for (;;) {
        int running = 0, left = 0;
        CURLMcode m = curl_multi_perform(c->multi, &running);
        if (m != CURLM_OK)
            return -EIO;
        CURLMsg *msg = curl_multi_info_read(c->multi, &left);
        if (msg && msg->msg == CURLMSG_DONE) {
            *ret = msg->data.result;
            return 0;
        }
        m = curl_multi_poll(c->multi, &stop, stop_fd >= 0, POLL_MS, NULL);
        if (m != CURLM_OK)
            return -EIO;
        struct signalfd_siginfo info;
        if (stop_fd >= 0 && (stop.revents & CURL_WAIT_POLLIN) &&
            read(stop_fd, &info, sizeof(info)) > 0)
            return -E_CANCELLED;
    }
}

/* Drives the transfer with SIGINT as a descriptor. */
static int drive_interruptible(struct client *c, CURLcode *ret)
{
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, &before);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int r = drive(c, fd, ret);
    if (fd >= 0)
        close(fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return r;
}

static int transfer_run(struct client *c, struct transfer *t, const char *url,
                        long *ret_status)
{
    struct curl_slist *headers = set_up(t, c, url);
    CURLcode result = CURLE_OK;
    curl_multi_add_handle(c->multi, t->easy);
    int r = t->request->interruptible ? drive_interruptible(c, &result)
                                      : drive(c, -1, &result);
    if (r == 0 && !t->decided)
        decide(t); /* no byte came */
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, ret_status);
    curl_multi_remove_handle(c->multi, t->easy);
    curl_slist_free_all(headers);
    if (r == -E_CANCELLED)
        return err_set(t->err, E_CANCELLED, "interrupted");
    if (t->code < 0)
        return t->code;
    if (result == CURLE_COULDNT_CONNECT)
        return no_daemon(c->socket, -ECONNREFUSED, t->err);
    if (r < 0 || result != CURLE_OK)
        return err_set(t->err, EIO,
                       "the daemon at %s went away in the middle of its answer "
                       "(%s)",
                       c->socket, curl_easy_strerror(result));
    return 0;
}

/* ---- replies ------------------------------------------------------------ */

/* {"error": {"code", "message"}}, {"error": text} and {"error": [text]}. */
static int reply_error(const struct reply *r, long status, struct err *err)
{
    struct json e = {0};
    if (r->doc)
        e = json_get(json_root(r->doc), "error");
    struct str code = {0}, message = {0};
    struct json_iter it = json_iter(e);
    if (json_type(e) == JSON_ARRAY && json_next(&it))
        e = it.value;
    if (!json_to_str(e, &message))
        json_to_str(json_get(e, "message"), &message);
    json_to_str(json_get(e, "code"), &code);
    if (!message.n)
        return err_set(err, E_INTERNAL,
                       "the daemon answered with HTTP status %ld and no reason",
                       status);
    return err_set(err, err_from_name(code.p ? code.p : "", code.n), "%.*s",
                   STR_FMT(message));
}

int client_call(struct client *c, const struct request *request,
                struct reply *ret, struct err *err)
{
    *ret = (struct reply){.body = BUF_MAX(REPLY_MAX)};
    struct transfer t = {
        .request = request, .reply = ret, .easy = curl_easy_init(), .err = err};
    struct buf url = BUF_MAX(65536);
    buf_addf(&url, "http://localhost%s", request->path);
    buf_putc(&url, 0);
    long status = 0;
    int r = !t.easy || url.failed ? err_set(err, ENOMEM, "out of memory")
                                  : transfer_run(c, &t, url.p, &status);
    curl_easy_cleanup(t.easy);
    buf_fini(&url);
    if (r < 0 || ret->streamed)
        return r;
    struct err not_json = {0};
    ret->doc =
        json_parse(buf_str(&ret->body), REPLY_MAX, REPLY_DEPTH, &not_json);
    if (status >= 400)
        return reply_error(ret, status, err);
    return ret->doc ? 0
                    : err_set(err, E_INTERNAL,
                              "what listens at %s answered with something that "
                              "is not JSON: %s",
                              c->socket, not_json.msg);
}

int client_get(struct client *c, const char *path, struct reply *ret,
               struct err *err)
{
    struct request request = {.method = "GET", .path = path};
    return client_call(c, &request, ret, err);
}

int client_post(struct client *c, const char *path, const struct buf *body,
                struct reply *ret, struct err *err)
{
    struct request request = {
        .method = "POST", .path = path, .body = buf_str(body)};
    return client_call(c, &request, ret, err);
}

void reply_fini(struct reply *r)
{
    json_free(r->doc);
    buf_fini(&r->body);
}
