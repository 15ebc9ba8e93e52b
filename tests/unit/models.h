/* tests/unit/models.h - snapshots for tests, and sequences run to their end. */
#ifndef MODELS_H
#define MODELS_H
#include "base/mem.h"
#include "engine/engine.h"
#include "kernels/cpu.h"
#include "model/snapshot.h"
#include "unit.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Adds a file of n bytes that says it has size. */
static inline void put_part(struct snapshot *s, const char *name, const void *p,
                            size_t n, uint64_t size)
{
    struct err err;
    int fd = memfd_create(name, MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    assert_int_equal(snapshot_add(s, str_of(name), fd, size, &err), 0);
}

static inline void put_bytes(struct snapshot *s, const char *name,
                             const void *p, size_t n)
{
    put_part(s, name, p, n, n);
}

static inline void put_text(struct snapshot *s, const char *name, const char *z)
{
    put_bytes(s, name, z, strlen(z));
}

/* Adds the file dir/from under the given name. */
static inline void put_file(struct snapshot *s, const char *dir,
                            const char *from, const char *name)
{
    char path[4096];
    struct stat st;
    struct err err;
    snprintf(path, sizeof(path), "%s/%s", dir, from);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(
        snapshot_add(s, str_of(name), fd, (uint64_t)st.st_size, &err), 0);
}

/* Adds every file of tests/golden/<model>. */
static inline void put_golden(struct snapshot *s, const char *model)
{
    char dir[2048];
    snprintf(dir, sizeof(dir), "%s/golden/%s", getenv("BERTH_TESTS"), model);
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            put_file(s, dir, e->d_name, e->d_name);
    closedir(d);
}

/* Counts answers; a test waits until there are as many as it submitted. */
struct answers {
    pthread_mutex_t lock;
    pthread_cond_t more;
    size_t n, cancelled;
};
#define ANSWERS_INIT                       \
    {                                      \
        .lock = PTHREAD_MUTEX_INITIALIZER, \
        .more = PTHREAD_COND_INITIALIZER,  \
    }

static inline void count_answer(struct engine_seq *seq, int code)
{
    struct answers *a = seq->ctx;
    pthread_mutex_lock(&a->lock);
    a->n++;
    a->cancelled += code == -E_CANCELLED;
    pthread_cond_broadcast(&a->more);
    pthread_mutex_unlock(&a->lock);
}

static inline void wait_answers(struct answers *a, size_t n)
{
    pthread_mutex_lock(&a->lock);
    while (a->n < n)
        pthread_cond_wait(&a->more, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

/* Submits all and waits for all. */
static inline void run_all(struct engine *e, struct engine_seq *seqs, size_t n)
{
    struct answers a = ANSWERS_INIT;
    struct err err;
    for (size_t i = 0; i < n; i++) {
        seqs[i].ctx = &a;
        seqs[i].done = count_answer;
        assert_int_equal(engine_submit(e, &seqs[i], &err), 0);
    }
    wait_answers(&a, n);
    assert_int_equal(a.cancelled, 0);
}

/* The levels that this machine has, lowest first, as masks; returns how many.
 */
static inline size_t levels(uint32_t *isa)
{
    uint32_t all = cpu_detect();
    size_t n = 0;
    isa[n++] = 0;
    if (all & CPU_AVX2)
        isa[n++] = CPU_AVX2;
    if (all & CPU_AVX512)
        isa[n++] = all;
    return n;
}

#endif
