/* store/store.c - what must survive a restart, in SQLite.
 *
 * Write-ahead log, synchronous=FULL: what put and drop have answered is on the
 * disk. The scheme's version is user_version; each migration is one
 * transaction. Features of SQLite 3.40 and no later.
 */
#include "store/store.h"
#include "base/fs.h"
#include "base/mem.h"
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_MS = 5000, SET_ASIDE_MAX = 256 };

struct store {
    sqlite3 *db;
};

/* [i] brings the scheme from version i to i + 1. */
static const char *const migrations[] = {
    "CREATE TABLE model ("
    " id TEXT NOT NULL, revision TEXT NOT NULL, commit_id TEXT NOT NULL,"
    " origin TEXT NOT NULL, dir TEXT NOT NULL, bytes INTEGER NOT NULL,"
    " wall_ms INTEGER NOT NULL, plan BLOB, plan_build TEXT NOT NULL,"
    " PRIMARY KEY (id, revision)) STRICT;"
    "CREATE TABLE file ("
    " id TEXT NOT NULL, revision TEXT NOT NULL, name TEXT NOT NULL,"
    " size INTEGER NOT NULL, inode INTEGER NOT NULL, device INTEGER NOT NULL,"
    " mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,"
    " hash TEXT NOT NULL, PRIMARY KEY (id, revision, name),"
    " FOREIGN KEY (id, revision) REFERENCES model ON DELETE CASCADE) STRICT;"
    "CREATE TABLE alias ("
    " alias TEXT NOT NULL PRIMARY KEY, target TEXT NOT NULL) STRICT;",
};

static const char *const pragmas =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;";

/* ---- what is kept ---- */

static void files_free(struct store_file *files, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(files[i].name);
    free(files);
}

void store_model_fini(struct store_model *m)
{
    free(m->id);
    free(m->revision);
    free(m->commit);
    free(m->origin);
    free(m->dir);
    free(m->plan);
    free(m->plan_build);
    files_free(m->files, m->n_files);
    *m = (struct store_model){0};
}

void store_model_copy(struct store_model *to, const struct store_model *from)
{
    *to = *from;
    to->id = mem_strdup(from->id);
    to->revision = mem_strdup(from->revision);
    to->commit = mem_strdup(from->commit);
    to->origin = mem_strdup(from->origin);
    to->dir = mem_strdup(from->dir);
    to->plan =
        from->plan ? mem_strndup(str_n(from->plan, from->plan_bytes)) : NULL;
    to->plan_build = mem_strdup(from->plan_build ? from->plan_build : "");
    to->files = mem_zero(from->n_files + 1, sizeof(*to->files));
    for (size_t i = 0; i < from->n_files; i++) {
        to->files[i] = from->files[i];
        to->files[i].name = mem_strdup(from->files[i].name);
    }
}

void store_content_fini(struct store_content *c)
{
    for (size_t i = 0; i < c->n_models; i++)
        store_model_fini(&c->models[i]);
    for (size_t i = 0; i < c->n_aliases; i++) {
        free(c->aliases[i].alias);
        free(c->aliases[i].target);
    }
    free(c->models);
    free(c->aliases);
    *c = (struct store_content){0};
}

/* ---- SQLite ---- */

static int code_of(int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_FULL:
        return ENOSPC;
    default:
        return E_INTERNAL;
    }
}

static int failed(struct store *s, const char *what, struct err *err)
{
    return err_set(err, code_of(sqlite3_errcode(s->db)),
                   "the daemon's records (berth.db): %s: %s", what,
                   sqlite3_errmsg(s->db));
}

static int run(struct store *s, const char *sql, struct err *err)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : failed(s, "cannot write", err);
}

/* A statement with texts bound to its first places; NULL on failure. */
static sqlite3_stmt *prepare(struct store *s, const char *sql,
                             const char *const *texts, int n, struct err *err)
{
    sqlite3_stmt *q = NULL;
    int r = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
    for (int i = 0; i < n && r == SQLITE_OK; i++)
        r = sqlite3_bind_text(q, i + 1, texts[i], -1, SQLITE_TRANSIENT);
    if (r == SQLITE_OK)
        return q;
    (void)failed(s, "cannot prepare", err);
    sqlite3_finalize(q);
    return NULL;
}

static int step_done(struct store *s, sqlite3_stmt *q, struct err *err)
{
    if (!q)
        return -err->code;
    int r = sqlite3_step(q) == SQLITE_DONE ? 0 : failed(s, "cannot write", err);
    sqlite3_finalize(q);
    return r;
}

/* ---- opening ---- */

static int version(struct store *s, struct err *err)
{
    sqlite3_stmt *q = prepare(s, "PRAGMA user_version", NULL, 0, err);
    int v = q && sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int(q, 0)
                                               : failed(s, "cannot read", err);
    sqlite3_finalize(q);
    return v;
}

static int migrate(struct store *s, struct err *err)
{
    int v = version(s, err);
    if (v > (int)ARRAY_LEN(migrations))
        return err_set(err, E_CONFLICT,
                       "the daemon's records (berth.db) were written by a "
                       "newer berth: install that one, or another --home");
    for (; v >= 0 && v < (int)ARRAY_LEN(migrations); v++) {
        char stamp[64];
        snprintf(stamp, sizeof(stamp), "PRAGMA user_version=%d; COMMIT;",
                 v + 1);
        int r = run(s, "BEGIN IMMEDIATE", err);
        if (r == 0)
            r = run(s, migrations[v], err);
        if (r == 0)
            r = run(s, stamp, err);
        if (r < 0)
            return r;
    }
    return v < 0 ? v : 0;
}

static int check_whole(struct store *s, struct err *err)
{
    sqlite3_stmt *q = prepare(s, "PRAGMA quick_check(1)", NULL, 0, err);
    bool ok = q && sqlite3_step(q) == SQLITE_ROW &&
              !strcmp((const char *)sqlite3_column_text(q, 0), "ok");
    sqlite3_finalize(q);
    return ok ? 0 : err_set(err, E_DAMAGED_FILE, "berth.db is damaged");
}

static bool is_damage(struct store *s, int r)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    return r == -E_DAMAGED_FILE || code == SQLITE_CORRUPT ||
           code == SQLITE_NOTADB;
}

/* 0; 1: it is damaged; negative: it cannot be opened. */
static int open_db(struct store *s, const char *path, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
        return failed(s, "cannot open", err);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    int r = run(s, pragmas, err);
    if (r == 0)
        r = check_whole(s, err);
    if (r == 0)
        r = migrate(s, err);
    return r < 0 && is_damage(s, r) ? 1 : r;
}

/* The damaged file and its log get a name that says when. */
static int put_aside(const char *path, char *to, size_t size, struct err *err)
{
    static const char *const tails[] = {"-wal", "-shm"};
    char tail[FS_PATH_MAX + 8];
    snprintf(to, size, "%s.damaged-%lld", path, (long long)time(NULL));
    if (rename(path, to))
        return err_set(err, errno, "cannot set the damaged %s aside: %s", path,
                       strerror(errno));
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        snprintf(tail, sizeof(tail), "%s%s", path, tails[i]);
        unlink(tail);
    }
    return 0;
}

static int open_or_begin_anew(struct store *s, const char *path,
                              char *set_aside, struct err *err)
{
    char to[FS_PATH_MAX + 64];
    int r = open_db(s, path, err);
    if (r != 1)
        return r;
    sqlite3_close(s->db);
    s->db = NULL;
    r = put_aside(path, to, sizeof(to), err);
    if (r < 0)
        return r;
    snprintf(set_aside, SET_ASIDE_MAX,
             "berth.db was damaged and is now %.150s; the models are found "
             "again in the cache, aliases are lost",
             to);
    r = open_db(s, path, err);
    return r == 1 ? -err->code : r;
}

int store_open(struct store **ret, const char *dir, char *set_aside,
               struct err *err)
{
    char path[FS_PATH_MAX];
    set_aside[0] = 0;
    if (fs_join(path, dir, "berth.db") < 0)
        return err_set(err, ENAMETOOLONG, "the path of the home is too long");
    struct store *s = mem_new(struct store);
    mode_t old = umask(0077);
    int r = open_or_begin_anew(s, path, set_aside, err);
    umask(old);
    if (r < 0) {
        store_close(s);
        return r;
    }
    *ret = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    sqlite3_close(s->db);
    free(s);
}

/* ---- reading ---- */

static char *text(sqlite3_stmt *q, int i)
{
    const char *z = (const char *)sqlite3_column_text(q, i);
    return mem_strdup(z ? z : "");
}

static uint64_t number(sqlite3_stmt *q, int i)
{
    return (uint64_t)sqlite3_column_int64(q, i);
}

/* One more place at the end of an array that grows by doubling. */
static void *one_more(void *p, size_t n, size_t size)
{
    if (n & (n - 1))
        return p;
    void *q = realloc(p, (n ? 2 * n : 1) * size);
    if (!q)
        abort();
    return q;
}

static int read_files(struct store *s, struct store_model *m, struct err *err)
{
    const char *const key[] = {m->id, m->revision};
    sqlite3_stmt *q =
        prepare(s,
                "SELECT name, size, inode, device, mtime_ns, ctime_ns, hash"
                " FROM file WHERE id = ? AND revision = ? ORDER BY name",
                key, 2, err);
    int r = q ? SQLITE_ROW : SQLITE_ERROR;
    while (q && (r = sqlite3_step(q)) == SQLITE_ROW) {
        m->files = one_more(m->files, m->n_files, sizeof(*m->files));
        struct store_file *f = &m->files[m->n_files++];
        *f = (struct store_file){.name = text(q, 0),
                                 .size = number(q, 1),
                                 .inode = number(q, 2),
                                 .device = number(q, 3),
                                 .mtime_ns = (int64_t)number(q, 4),
                                 .ctime_ns = (int64_t)number(q, 5)};
        char *hash = text(q, 6);
        snprintf(f->hash, sizeof(f->hash), "%s", hash);
        free(hash);
    }
    sqlite3_finalize(q);
    return r == SQLITE_DONE ? 0 : failed(s, "cannot read", err);
}

static void read_plan(sqlite3_stmt *q, int i, struct store_model *m)
{
    const void *p = sqlite3_column_blob(q, i);
    int n = sqlite3_column_bytes(q, i);
    if (!p || n <= 0)
        return;
    m->plan = mem_strndup(str_n(p, (size_t)n));
    m->plan_bytes = (size_t)n;
}

static int read_models(struct store *s, struct store_content *c,
                       struct err *err)
{
    sqlite3_stmt *q =
        prepare(s,
                "SELECT id, revision, commit_id, origin, dir, bytes, wall_ms,"
                " plan_build, plan"
                " FROM model ORDER BY id, revision",
                NULL, 0, err);
    int r = q ? SQLITE_ROW : SQLITE_ERROR;
    while (q && (r = sqlite3_step(q)) == SQLITE_ROW) {
        c->models = one_more(c->models, c->n_models, sizeof(*c->models));
        c->models[c->n_models++] =
            (struct store_model){.id = text(q, 0),
                                 .revision = text(q, 1),
                                 .commit = text(q, 2),
                                 .origin = text(q, 3),
                                 .dir = text(q, 4),
                                 .bytes = number(q, 5),
                                 .wall_ms = number(q, 6),
                                 .plan_build = text(q, 7)};
        read_plan(q, 8, &c->models[c->n_models - 1]);
    }
    int done = r == SQLITE_DONE ? 0 : failed(s, "cannot read", err);
    sqlite3_finalize(q);
    for (size_t i = 0; i < c->n_models && done == 0; i++)
        done = read_files(s, &c->models[i], err);
    return done;
}

static int read_aliases(struct store *s, struct store_content *c,
                        struct err *err)
{
    sqlite3_stmt *q = prepare(
        s, "SELECT alias, target FROM alias ORDER BY alias", NULL, 0, err);
    int r = q ? SQLITE_ROW : SQLITE_ERROR;
    while (q && (r = sqlite3_step(q)) == SQLITE_ROW) {
        c->aliases = one_more(c->aliases, c->n_aliases, sizeof(*c->aliases));
        c->aliases[c->n_aliases++] =
            (struct store_alias){text(q, 0), text(q, 1)};
    }
    int done = r == SQLITE_DONE ? 0 : failed(s, "cannot read", err);
    sqlite3_finalize(q);
    return done;
}

int store_read(struct store *s, struct store_content *ret, struct err *err)
{
    *ret = (struct store_content){0};
    int r = read_models(s, ret, err);
    return r < 0 ? r : read_aliases(s, ret, err);
}

/* ---- writing ---- */

static void bind_numbers(sqlite3_stmt *q, int first, const uint64_t *v, int n)
{
    for (int i = 0; q && i < n; i++)
        sqlite3_bind_int64(q, first + i, (sqlite3_int64)v[i]);
}

static int put_row(struct store *s, const struct store_model *m,
                   struct err *err)
{
    const char *const texts[] = {m->id,     m->revision,
                                 m->commit, m->origin,
                                 m->dir,    m->plan_build ? m->plan_build : ""};
    const uint64_t numbers[] = {m->bytes, m->wall_ms};
    sqlite3_stmt *q = prepare(
        s,
        "INSERT INTO model (id, revision, commit_id, origin, dir, plan_build,"
        " bytes, wall_ms, plan) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        texts, 6, err);
    bind_numbers(q, 7, numbers, 2);
    if (q && m->plan)
        sqlite3_bind_blob64(q, 9, m->plan, m->plan_bytes, SQLITE_TRANSIENT);
    return step_done(s, q, err);
}

static int put_file(struct store *s, const struct store_model *m,
                    const struct store_file *f, struct err *err)
{
    const char *const texts[] = {m->id, m->revision, f->name, f->hash};
    const uint64_t numbers[] = {f->size, f->inode, f->device,
                                (uint64_t)f->mtime_ns, (uint64_t)f->ctime_ns};
    sqlite3_stmt *q = prepare(
        s,
        "INSERT INTO file (id, revision, name, hash, size, inode, device,"
        " mtime_ns, ctime_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        texts, 4, err);
    bind_numbers(q, 5, numbers, 5);
    return step_done(s, q, err);
}

static int drop_row(struct store *s, const char *id, const char *revision,
                    struct err *err)
{
    const char *const key[] = {id, revision};
    return step_done(s,
                     prepare(s,
                             "DELETE FROM model WHERE id = ? AND revision = ?",
                             key, 2, err),
                     err);
}

/* Ends the transaction; a failure so far undoes it. */
static int commit(struct store *s, int r, struct err *err)
{
    if (r == 0)
        r = run(s, "COMMIT", err);
    if (r < 0)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

int store_put_model(struct store *s, const struct store_model *m,
                    struct err *err)
{
    int r = run(s, "BEGIN IMMEDIATE", err);
    if (r < 0)
        return r;
    r = drop_row(s, m->id, m->revision, err);
    if (r == 0)
        r = put_row(s, m, err);
    for (size_t i = 0; i < m->n_files && r == 0; i++)
        r = put_file(s, m, &m->files[i], err);
    return commit(s, r, err);
}

int store_drop_model(struct store *s, const char *id, const char *revision,
                     struct err *err)
{
    return drop_row(s, id, revision, err);
}

int store_put_alias(struct store *s, const char *alias, const char *target,
                    struct err *err)
{
    const char *const texts[] = {alias, target};
    const char *sql = target ? "INSERT OR REPLACE INTO alias VALUES (?, ?)"
                             : "DELETE FROM alias WHERE alias = ?";
    return step_done(s, prepare(s, sql, texts, target ? 2 : 1, err), err);
}
