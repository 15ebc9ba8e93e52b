/* daemon/setup.c - what is decided before anything runs: home, configuration,
 * limits, addresses. */
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/daemon_parts.h"
#include "daemon/home.h"
#include "daemon/limits.h"
#include "hub/cache.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { KEPT_DESCRIPTORS = 256 }; /* for everything but connections */

/* ---- configuration ------------------------------------------------------ */

static int read_file(struct daemon *d, const char *path, bool must,
                     struct err *err)
{
    struct buf text = BUF_MAX(1 << 20);
    if (!must && access(path, F_OK))
        return 0;
    int r = fs_read(AT_FDCWD, path, &text, err);
    if (r == 0)
        r = settings_read(&d->settings, path, buf_str(&text), err);
    buf_fini(&text);
    return r < 0 ? r : 1;
}

static int find_file(struct daemon *d, const struct daemon_options *o,
                     struct err *err)
{
    char path[FS_PATH_MAX];
    if (o->config)
        return read_file(d, o->config, true, err);
    if (fs_join(path, d->home, "berth.yaml") < 0)
        return err_set(err, E_INVALID_REQUEST, "the home's path is too long");
    int r = read_file(d, path, false, err);
    return r ? r : read_file(d, "/etc/berth/berth.yaml", false, err);
}

static int set_flags(struct daemon *d, const struct daemon_options *o,
                     struct err *err)
{
    struct buf list = BUF_MAX(4096);
    int r = 0;
    for (size_t i = 0; i < o->n_listen; i++)
        buf_addf(&list, "%s%s", i ? "," : "", o->listen[i]);
    if (o->n_listen && buf_putc(&list, 0) == 0)
        r = settings_set(&d->settings, "listen", list.p, "--listen", err);
    if (r == 0 && o->socket)
        r = settings_set(&d->settings, "socket", o->socket, "--socket", err);
    buf_fini(&list);
    return r;
}

static int choose_socket(struct daemon *d, struct err *err)
{
    int r = 0;
    if (d->settings.socket[0])
        r = str_to_z(str_of(d->settings.socket), d->socket, sizeof(d->socket))
                ? 0
                : -1;
    else
        r = fs_join(d->socket, d->home, "berth.sock");
    return r < 0 ? err_set(err, E_INVALID_REQUEST,
                           "the socket's path is too long")
                 : 0;
}

int setup_config(struct daemon *d, const struct daemon_options *o,
                 struct err *err)
{
    settings_init(&d->settings);
    int r = find_file(d, o, err);
    if (r >= 0)
        r = settings_environment(&d->settings, getenv, err);
    if (r == 0)
        r = set_flags(d, o, err);
    if (r == 0)
        r = choose_socket(d, err);
    if (r == 0)
        r = cache_dir(getenv, d->cache, err);
    if (r < 0)
        return r;
    log_set_level(
        (enum log_level)log_level_parse(str_of(d->settings.log_level)));
    const char *isa = getenv("BERTH_ISA");
    d->hub = hub_variables(getenv);
    d->isa = isa ? isa : "";
    d->public_ok = o->insecure_no_auth;
    return 0;
}

/* ---- backends ----------------------------------------------------------- */

/* Each with its NUL behind it; the list points into the text. */
static void list_backends(struct daemon *d, const struct buf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++)
        n += text->p[i] == 0;
    d->backends_text = text->p;
    d->backends = mem_zero(n + 1, sizeof(*d->backends));
    n = 0;
    for (char *p = text->p; p < text->p + text->len; p += strlen(p) + 1)
        if (*p)
            d->backends[n++] = p;
}

/* BERTH_BACKENDS, HOME/backends, backends/ beside the programs, and where a
 * package puts them. Relative ones are meant from where the daemon was started,
 * which is where its children start too. */
int setup_backends(struct daemon *d, struct err *err)
{
    const char *own = getenv("BERTH_BACKENDS");
    struct buf text = BUF_MAX(1 << 20);
    buf_addf(&text, "%s:", own ? own : "");
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] == ':')
            text.p[i] = 0;
    buf_addf(&text, "%s/backends%c%s/backends%c/usr/lib/berth/backends%c",
             d->home, 0, d->programs, 0, 0);
    if (text.failed) {
        buf_fini(&text);
        return err_set(err, E_INVALID_REQUEST, "BERTH_BACKENDS is too long");
    }
    list_backends(d, &text);
    return 0;
}

/* ---- addresses ---------------------------------------------------------- */

static int add(struct daemon *d, const struct listening *l, struct err *err)
{
    if (!l->unix_socket && !l->loopback && !d->public_ok) {
        close(l->fd);
        return err_set(err, E_FORBIDDEN,
                       "listening on %s would let everybody in who can reach "
                       "it: there are no keys. Listen on loopback, or give "
                       "--insecure-no-auth if that is meant",
                       l->text);
    }
    d->listening[d->n_listening++] = *l;
    if (!l->unix_socket) {
        d->texts[d->n_texts++] = d->listening[d->n_listening - 1].text;
        d->beyond_loopback |= !l->loopback;
    }
    return 0;
}

static int inherit(struct daemon *d, int n, struct err *err)
{
    for (int i = 0; i < n && d->n_listening < LISTEN_MAX; i++) {
        struct listening l;
        int r = listen_inherited(SD_LISTEN_FDS_START + i, &l, err);
        if (r == 0)
            r = add(d, &l, err);
        if (r < 0)
            return r;
        if (l.unix_socket)
            listen_path(&l, d->socket, sizeof(d->socket));
        d->inherited_unix |= l.unix_socket;
    }
    return 0;
}

static int own_socket(struct daemon *d, struct err *err)
{
    struct listening l;
    int r = listen_unix(d->socket, &l, err);
    if (r < 0)
        return r;
    d->owns_socket = true;
    return add(d, &l, err);
}

int setup_listen(struct daemon *d, struct err *err)
{
    struct listening l;
    int n = sd_listen_fds(1), r = n > 0 ? inherit(d, n, err) : 0;
    if (r == 0 && !d->inherited_unix) /* berth's commands ask there */
        r = own_socket(d, err);
    for (char **a = d->settings.listen; n <= 0 && r == 0 && *a; a++) {
        r = listen_tcp(*a, &l, err);
        if (r == 0)
            r = add(d, &l, err);
    }
    return r;
}

/* Names that a Host header may have: those of the configuration, and the
 * addresses that we listen on. */
static const char *const *host_names(struct daemon *d)
{
    size_t n = 0, at = 0;
    while (d->settings.hosts[n])
        n++;
    d->hosts = mem_zero(n + d->n_listening + 1, sizeof(*d->hosts));
    for (size_t i = 0; i < n; i++)
        d->hosts[at++] = d->settings.hosts[i];
    for (size_t i = 0; i < d->n_listening; i++)
        if (d->listening[i].host[0])
            d->hosts[at++] = d->listening[i].host;
    return d->hosts;
}

/* ---- the parts' configurations ------------------------------------------ */

struct http_config setup_http(struct daemon *d)
{
    const struct settings *g = &d->settings;
    const uint64_t s = 1000000000;
    uint64_t descriptors = limits_descriptors();
    uint64_t most = descriptors > 2 * KEPT_DESCRIPTORS
                        ? descriptors - KEPT_DESCRIPTORS
                        : descriptors / 2;
    if (most > (uint64_t)g->connections)
        most = (uint64_t)g->connections;
    return (struct http_config){
        .guard = {.hosts = host_names(d),
                  .origins = (const char *const *)g->origins,
                  .any_address = d->beyond_loopback,
                  .headers = (size_t)g->headers,
                  .header_bytes = (size_t)g->header_bytes,
                  .body_bytes = (size_t)g->body_bytes},
        .body_bytes = (size_t)g->body_bytes,
        .connections = (unsigned)most,
        .header_ns = (uint64_t)g->header_s * s,
        .idle_ns = (uint64_t)g->idle_s * s,
        .body_floor = (uint64_t)g->body_floor,
    };
}

struct manager_config setup_manager(struct daemon *d)
{
    const struct settings *g = &d->settings;
    const uint64_t s = 1000000000;
    int cores = limits_cores();
    d->threads = g->threads ? (int)g->threads : cores;
    return (struct manager_config){
        .memory_bytes = g->memory ? (uint64_t)g->memory : limits_memory(),
        .threads = d->threads,
        .cores = cores,
        .queue_jobs = (uint32_t)g->queue_jobs,
        .queue_bytes = (uint64_t)g->queue_bytes,
        .job_deadline_ns = (uint64_t)g->job_deadline_s * s,
        .drain_ns = (uint64_t)g->drain_s * s,
        .load_base_ns = (uint64_t)g->load_s * s,
        .load_per_100mb_ns = s,
        .keep_alive_s = g->keep_alive ? g->keep_alive : -1,
        .standby = (int)g->transformers_standby,
        .degraded_sandbox = !strcmp(g->sandbox, "degraded"),
        .isa = d->isa,
        .endpoint = d->hub.endpoint,
        .cache = d->cache,
        .proxy = d->hub.proxy,
        .no_proxy = d->hub.no_proxy,
        .ca_file = d->hub.ca_file,
        .offline = d->hub.offline,
        .models = g->models,
        .n_models = g->n_models,
    };
}

struct api_config setup_api(struct daemon *d)
{
    const struct settings *g = &d->settings;
    return (struct api_config){
        .version = BERTH_VERSION,
        .default_model = g->default_model[0] ? g->default_model : NULL,
        .json_depth = (int)g->json_depth,
        .body_bytes = (size_t)g->body_bytes,
        .listen = d->texts,
        .socket = d->socket,
        .home = d->home,
        .cache = d->cache,
        .endpoint = d->hub.endpoint,
        .level = d->level,
        .offline = d->hub.offline,
        .threads = d->threads,
    };
}
