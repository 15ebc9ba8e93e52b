/* fetch/remove.c - takes a snapshot away, and the blobs that only it linked.
 *
 * Names come from the folder itself. A blob goes under its lock, and stays when
 * another snapshot links it or somebody is at work on it.
 */
#include "base/mem.h"
#include "fetch/place.h"
#include "hub/beneath.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_BYTES = 64 << 20, SNAPSHOT_PATH = 64 };

struct removal {
    struct session *s;
    struct place place;
    struct arena arena;
    struct hub_hash *blobs; /* [n_blobs] that the snapshot linked */
    size_t n_blobs;
    uint64_t removed, freed;
};

static struct hub_hash link_hash(int dir, const char *name)
{
    char target[HUB_PATH_MAX];
    struct hub_hash h = {.kind = HUB_HASH_NONE};
    ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);
    if (n <= 0)
        return h;
    target[n] = 0;
    const char *slash = strrchr(target, '/');
    if (!hub_hash_parse(str_of(slash ? slash + 1 : target), &h))
        h.kind = HUB_HASH_NONE;
    return h;
}

/* The folders of a name, innermost first, as far as they are empty. */
static void drop_folders(int dir, struct str name)
{
    char path[FS_PATH_MAX];
    if (!str_to_z(name, path, sizeof(path)))
        return;
    for (char *slash; (slash = strrchr(path, '/'));) {
        *slash = 0;
        if (unlinkat(dir, path, AT_REMOVEDIR))
            return;
    }
}

static int drop_files(struct removal *m, int dir, const struct str *names,
                      size_t n, struct err *err)
{
    m->blobs = arena_alloc(&m->arena, n + 1, sizeof(*m->blobs));
    if (!m->blobs)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct hub_hash h = link_hash(dir, names[i].p);
        if (h.kind != HUB_HASH_NONE)
            m->blobs[m->n_blobs++] = h;
        if (unlinkat(dir, names[i].p, 0))
            return err_set(err, errno, "cannot remove %s: %s", names[i].p,
                           strerror(errno));
        m->removed++;
        drop_folders(dir, names[i]);
    }
    return 0;
}

static int drop_snapshot(struct removal *m, const char *path, struct err *err)
{
    struct str *names;
    size_t n;
    int r = beneath_list(m->place.repo, path, true, &m->arena, &names, &n, err);
    if (r == -ENOENT)
        return err_set(err, E_MODEL_NOT_FOUND, "%s has no snapshot %s here",
                       m->s->params.name.id, m->s->params.commit);
    int dir = r < 0 ? r
                    : beneath_open(m->place.repo, path, O_RDONLY | O_DIRECTORY,
                                   false);
    if (r < 0 || dir < 0)
        return r < 0 ? r : err_set(err, -dir, "cannot open the snapshot");
    r = drop_files(m, dir, names, n, err);
    close(dir);
    if (r == 0 && unlinkat(m->place.repo, path, AT_REMOVEDIR))
        r = err_set(err, errno, "cannot remove the snapshot's folder: %s",
                    strerror(errno));
    return r;
}

/* Does any snapshot that is left link the blob? names: of all snapshots. */
static bool is_linked(int snapshots, const struct str *names, size_t n,
                      const struct hub_hash *blob)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(link_hash(snapshots, names[i].p).hex, blob->hex))
            return true;
    return false;
}

static void drop_blob(struct removal *m, const struct hub_hash *blob)
{
    char lock_name[HUB_HEX_MAX + 8];
    struct stat st;
    int lock = place_lock(&m->place, blob, NULL);
    if (lock < 0)
        return;
    bool there = !fstatat(m->place.blobs, blob->hex, &st, AT_SYMLINK_NOFOLLOW);
    if (there && !unlinkat(m->place.blobs, blob->hex, 0))
        m->freed += (uint64_t)st.st_size;
    place_drop_partial(&m->place, blob);
    snprintf(lock_name, sizeof(lock_name), "%s.lock", blob->hex);
    unlinkat(m->place.locks, lock_name, 0);
    close(lock);
}

static int drop_blobs(struct removal *m, struct err *err)
{
    struct str *names = NULL;
    size_t n = 0;
    int r = beneath_list(m->place.repo, "snapshots", true, &m->arena, &names,
                         &n, err);
    if (r < 0 && r != -ENOENT)
        return r;
    int dir =
        beneath_open(m->place.repo, "snapshots", O_RDONLY | O_DIRECTORY, false);
    for (size_t i = 0; i < m->n_blobs; i++)
        if (dir < 0 || !is_linked(dir, names, n, &m->blobs[i]))
            drop_blob(m, &m->blobs[i]);
    if (dir >= 0)
        close(dir);
    return 0;
}

/* Refs that say this commit lead nowhere now. */
static void drop_refs(struct removal *m)
{
    struct str *names;
    size_t n;
    if (beneath_list(m->place.repo, "refs", false, &m->arena, &names, &n,
                     NULL) < 0)
        return;
    int dir =
        beneath_open(m->place.repo, "refs", O_RDONLY | O_DIRECTORY, false);
    for (size_t i = 0; dir >= 0 && i < n; i++) {
        char text[HUB_COMMIT_MAX] = "";
        int fd = beneath_open_file(dir, names[i].p, false);
        ssize_t got = fd < 0 ? -1 : read(fd, text, HUB_COMMIT_MAX - 1);
        if (fd >= 0)
            close(fd);
        if (got == HUB_COMMIT_MAX - 1 && !strcmp(text, m->s->params.commit)) {
            unlinkat(dir, names[i].p, 0);
            drop_folders(dir, names[i]);
        }
    }
    if (dir >= 0)
        close(dir);
}

/* Folders that are empty now; those that are not stay. */
static void drop_empty(struct removal *m)
{
    char tree[SNAPSHOT_PATH + 8], locks[HUB_FOLDER_MAX + 8];
    snprintf(tree, sizeof(tree), "trees/%s.json", m->s->params.commit);
    unlinkat(m->place.repo, tree, 0);
    static const char *const folders[] = {"trees", "snapshots", "refs",
                                          "blobs"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        unlinkat(m->place.repo, folders[i], AT_REMOVEDIR);
    unlinkat(m->place.cache, m->place.folder, AT_REMOVEDIR);
    unlinkat(m->place.locks, "snapshots.lock", 0);
    snprintf(locks, sizeof(locks), ".locks/%s", m->place.folder);
    unlinkat(m->place.cache, locks, AT_REMOVEDIR);
    fsync(m->place.cache);
}

static int answer(struct removal *m, struct err *err)
{
    struct wire_map done, map = session_result(m->s, &done);
    wire_kuint(&map, "removed", m->removed);
    wire_kuint(&map, "freed", m->freed);
    return session_done(m->s, &done, &map, NULL, 0, err);
}

int remove_run(struct session *s, struct err *err)
{
    char path[SNAPSHOT_PATH];
    if (!s->params.name.id[0] || !s->params.commit[0])
        return err_set(err, E_INVALID_REQUEST,
                       "remove wants \"cache\", \"repo\" and \"commit\"");
    struct removal m = {
        .s = s, .place = PLACE_NONE, .arena = ARENA_MAX(ARENA_BYTES)};
    snprintf(path, sizeof(path), "snapshots/%s", s->params.commit);
    session_phase(s, "removing");
    int r = place_open(&m.place, s->params.cache, s->params.name.id, err);
    if (r == 0)
        r = drop_snapshot(&m, path, err);
    if (r == 0)
        r = drop_blobs(&m, err);
    if (r == 0)
        drop_refs(&m);
    if (m.place.cache >= 0)
        drop_empty(&m);
    place_close(&m.place);
    if (r == 0)
        r = answer(&m, err);
    arena_fini(&m.arena);
    return r;
}
