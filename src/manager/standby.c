/* manager/standby.c - interpreters that wait, their imports done, for a model.
 */
#include "manager/standby.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "manager/deployment.h"
#include "manager/room.h"

enum {
    IMPORT_LIMIT_S = 60, /* from a cold disk, under load */
    FOLDERS_MAX = 24,    /* that one may read */
};

struct standby {
    struct list link; /* in manager.standbys */
    struct child *child;
    struct budget_vector reserved;
    char *read[FOLDERS_MAX + 1]; /* NULL-terminated */
    bool going;                  /* its end is wanted */
    struct wire_node *sandbox;
};

static struct standby *standby_at(const struct list *l)
{
    return list_of(l, struct standby, link);
}

static void standby_free(struct standby *s)
{
    list_del(&s->link);
    for (char **p = s->read; *p; p++)
        free(*p);
    free(s->sandbox);
    free(s);
}

static void send_away(struct standby *s)
{
    if (s->going)
        return;
    s->going = true;
    child_kill(s->child);
}

/* ---- what it may read ---- */

static bool lies_beneath(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return !strncmp(path, folder, n) && (!path[n] || path[n] == '/');
}

static bool may_read(const struct standby *s, const char *path)
{
    for (char *const *p = s->read; *p; p++)
        if (lies_beneath(path, *p))
            return true;
    return false;
}

static void put_folders(struct standby *s, const struct manager *m)
{
    size_t n = 0;
    s->read[n++] = mem_strdup(m->config.cache);
    list_each(at, (struct list *)&m->models)
    {
        const char *dir = list_of(at, struct model, link)->is.dir;
        if (*dir && n < FOLDERS_MAX && !may_read(s, dir))
            s->read[n++] = mem_strdup(dir);
    }
}

/* A folder was added since; more than FOLDERS_MAX are never all readable. */
static bool is_outdated(const struct standby *s, const struct manager *m)
{
    list_each(at, (struct list *)&m->models)
    {
        const char *dir = list_of(at, struct model, link)->is.dir;
        if (*dir && !may_read(s, dir) && !s->read[FOLDERS_MAX - 1])
            return true;
    }
    return false;
}

/* ---- its life ---- */

static int greeted(struct child *c, struct err *err)
{
    (void)c;
    (void)err;
    return 0;
}

static int on_frame(struct child *c, struct frame *f, struct err *err)
{
    struct standby *s = c->owner;
    const struct wire_node *sandbox = wire_get(f->body, "sandbox");
    if (f->type != FRAME_STATUS)
        return err_set(err, E_INVALID_REQUEST, "%s from a standby",
                       frame_type_name((int)f->type));
    if (sandbox) {
        free(s->sandbox);
        s->sandbox = wire_dup(sandbox);
    }
    return 0;
}

/* One that dies by itself is not started again at once, and in the end not at
 * all, until the next model shows that the backend works. */
static void count_death(struct manager *m)
{
    uint64_t now = core_now(m);
    m->standby_from_ns =
        backoff_crashed(&m->standby_backoff, now, m->w->random(m->w->ctx));
    if (!backoff_open(&m->standby_backoff))
        return;
    m->standby_from_ns = UINT64_MAX;
    log_warn("manager: no interpreter waits any more: %u died in a row",
             m->standby_backoff.crashes);
}

static void gone(struct child *c, const struct world_exit *how)
{
    (void)how;
    struct manager *m = c->m;
    struct standby *s = c->owner;
    budget_return(&m->budget, &s->reserved);
    if (!s->going)
        count_death(m);
    standby_free(s);
    room_stir(m);
    standby_stir(m);
}

static const struct child_role role = {
    WORLD_TRANSFORMERS, "transformers", "standby", IMPORT_LIMIT_S, greeted,
    on_frame,           gone,
};

static void start(struct manager *m, const struct budget_vector *need)
{
    struct standby *s = mem_new(struct standby);
    struct err err;
    put_folders(s, m);
    struct world_launch launch = {m->w->backend(m->w->ctx, "transformers"),
                                  "cpu", (const char *const *)s->read};
    list_add(&m->standbys, &s->link);
    if (child_open(m, &role, &launch, s, NULL, 0, &s->child, &err) < 0) {
        log_warn("manager: no interpreter waits: %s", err.msg);
        count_death(m);
        standby_free(s);
        return;
    }
    s->reserved = *need;
    budget_add(&m->budget.reserved, need);
}

/* ---- how many there are ---- */

/* One that starts would take the time of a load. */
static bool anybody_loads(const struct manager *m)
{
    list_each(at, (struct list *)&m->deployments)
    {
        const struct deployment *d = list_of(at, struct deployment, link);
        if (d->state == DEPLOYMENT_LOADING)
            return true;
    }
    return false;
}

static void drop_outdated(struct manager *m)
{
    list_each(at, &m->standbys)
    {
        if (is_outdated(standby_at(at), m))
            send_away(standby_at(at));
    }
}

static void on_timer(struct loop_timer *t)
{
    struct manager *m = t->ctx;
    const struct budget_vector need = {{choice_standby_bytes()}};
    if (!m->standby_used || m->draining || anybody_loads(m) ||
        !m->w->backend(m->w->ctx, "transformers"))
        return;
    drop_outdated(m);
    while (list_count(&m->standbys) < (size_t)m->config.standby) {
        if (core_now(m) < m->standby_from_ns) {
            if (m->standby_from_ns != UINT64_MAX)
                core_timer_set(m, t, m->standby_from_ns);
            return;
        }
        if (!list_empty(&m->room) || !budget_fits(&m->budget, &need))
            return;
        start(m, &need);
    }
}

void standby_init(struct manager *m)
{
    list_init(&m->standbys);
    m->standby_timer = (struct loop_timer){.fn = on_timer, .ctx = m};
}

void standby_stir(struct manager *m)
{
    if (m->standby_used && !m->draining)
        core_timer_set(m, &m->standby_timer, core_now(m));
}

void standby_in_use(struct manager *m)
{
    m->standby_used = true;
    if (m->standby_from_ns == UINT64_MAX) {
        m->standby_from_ns = 0;
        backoff_completed(&m->standby_backoff);
    }
}

void standby_stop(struct manager *m)
{
    core_timer_clear(m, &m->standby_timer);
    standby_yield(m, NULL);
}

void standby_see(const struct manager *m, struct manager_status *ret)
{
    list_each(at, (struct list *)&m->standbys)
    {
        const struct standby *s = standby_at(at);
        if (s->going)
            continue;
        if (ret->standby++ == 0)
            ret->standby_pid = s->child->pid;
        ret->standby_ready += s->child->greeted;
    }
}

/* ---- its use ---- */

struct standby *standby_for(const struct deployment *d)
{
    struct manager *m = d->m;
    const struct store_model *is = &d->model->is;
    const struct world_place place = {is->id, is->commit, is->dir};
    char folder[FS_PATH_MAX], root[FS_PATH_MAX];
    struct err ignored;
    if (d->choice.backend != BACKEND_TRANSFORMERS || list_empty(&m->standbys) ||
        strcmp(d->wanted.device, "cpu") ||
        m->w->folder(m->w->ctx, &place, folder, root, &ignored) < 0)
        return NULL;
    list_each(at, &m->standbys)
    {
        struct standby *s = standby_at(at);
        if (!s->going && !s->child->doomed && may_read(s, root))
            return s;
    }
    return NULL;
}

struct budget_vector standby_reserved(const struct standby *s)
{
    static const struct budget_vector none;
    return s ? s->reserved : none;
}

void standby_give(struct standby *s)
{
    if (!s)
        return;
    budget_return(&s->child->m->budget, &s->reserved);
    s->reserved = (struct budget_vector){{0}};
}

struct child *standby_adopt(struct standby *s, const struct child_role *to,
                            void *owner, struct model *model,
                            struct wire_node **ret_sandbox)
{
    struct child *c = s->child;
    log_info("manager: standby[%llu] becomes a worker for %s",
             (unsigned long long)c->id, model->name);
    *ret_sandbox = s->sandbox;
    s->sandbox = NULL;
    backoff_completed(&c->m->standby_backoff);
    child_adopt(c, to, owner, model);
    standby_free(s);
    return c;
}

void standby_yield(struct manager *m, const struct standby *but)
{
    list_each(at, &m->standbys)
    {
        if (standby_at(at) != but)
            send_away(standby_at(at));
    }
}

void standby_add_reserved(const struct manager *m, struct budget_vector *sum)
{
    list_each(at, (struct list *)&m->standbys)
    {
        budget_add(sum, &standby_at(at)->reserved);
    }
}
