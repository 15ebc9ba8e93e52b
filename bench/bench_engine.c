/* bench/bench_engine.c - how fast the engine runs a model, as JSON lines.
 *
 *     bench_engine FOLDER [--threads=N] [--isa=LEVEL] [--seconds=S] [CASE...]
 *     bench_engine FOLDER --dump=FILE
 *
 * A case is BATCHxTOKENS ("32x128") or "mixed": 64 sequences of 8 to 256
 * tokens, the lengths that bench/peers.py gives the other engines. Without
 * cases: all of them, with one thread and with two. gflops counts two for each
 * multiplication in linear layers and attention. --dump writes, for the mixed
 * set and for each sequence, u32 n, n u32 ids and n * hidden floats, to compare
 * with another engine's.
 */
#include "arch/recipe.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "kernels/cpu.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 200, SEQS_MAX = 512, SEED_IDS = 1000 };

static const char *const all_cases[] = {"1x16", "1x128", "1x512", "32x128",
                                        "mixed"};
/* clang-format off */
static const uint32_t mixed[] = {
    47, 215, 13, 214, 23, 34, 140, 33, 53, 8, 108, 51, 25, 122, 22, 38, 12, 32, 16, 19, 107, 21,
    42, 239, 224, 98, 52, 20, 13, 230, 47, 11, 69, 118, 66, 192, 9, 49, 39, 9, 73, 153, 62, 19,
    146, 46, 46, 108, 13, 137, 85, 122, 15, 129, 15, 10, 155, 158, 166, 41, 20, 8, 74, 96};
/* clang-format on */

struct bench {
    struct snapshot files;
    struct engine *engine;
    struct engine_seq seqs[SEQS_MAX];
    size_t n;
    double flops; /* of one run */
    pthread_mutex_t lock;
    pthread_cond_t done;
    size_t left;
    double seconds;
};

static int fail(const char *what)
{
    fprintf(stderr, "bench_engine: %s\n", what);
    return 1;
}

static int open_files(struct bench *b, const char *folder, struct err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, E_NOT_FOUND, "cannot open the folder %s", folder);
    int r = 0;
    for (struct dirent *d; r == 0 && (d = readdir(dir));) {
        struct stat st;
        int fd = openat(dirfd(dir), d->d_name, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
            r = snapshot_add(&b->files, str_of(d->d_name), fd,
                             (uint64_t)st.st_size, err);
        else if (fd >= 0)
            close(fd);
    }
    closedir(dir);
    return r;
}

static void one_done(struct engine_seq *seq, int code)
{
    struct bench *b = seq->ctx;
    (void)code;
    pthread_mutex_lock(&b->lock);
    if (--b->left == 0)
        pthread_cond_signal(&b->done);
    pthread_mutex_unlock(&b->lock);
}

/* Multiplications of one sequence, in linear layers and attention, times 2. */
static double flops_of(const struct plan *p, double n)
{
    double h = (double)p->hidden, f = (double)p->ffn;
    return 2 * (double)p->layers *
           (n * (4 * h * h + 2 * h * f) + 2 * n * n * h);
}

static void add_seq(struct bench *b, const struct plan *p, uint32_t n)
{
    struct engine_seq *s = &b->seqs[b->n++];
    uint32_t *ids = mem_zero(n, sizeof(*ids));
    uint64_t x = b->n * 7919;
    for (uint32_t i = 0; i < n; i++) {
        x = x * 6364136223846793005 + 1442695040888963407;
        ids[i] = (uint32_t)((x >> 33) % p->vocab);
    }
    *s = (struct engine_seq){.ids = ids,
                             .n = n,
                             .out = mem_zero(n * p->hidden, sizeof(float)),
                             .done = one_done,
                             .ctx = b};
    b->flops += flops_of(p, n);
}

static void drop_seqs(struct bench *b)
{
    for (size_t i = 0; i < b->n; i++) {
        free((void *)b->seqs[i].ids);
        free(b->seqs[i].out);
    }
    b->n = 0;
    b->flops = 0;
}

static bool add_case(struct bench *b, const struct plan *p, const char *name)
{
    unsigned n, tokens;
    if (!strcmp(name, "mixed")) {
        for (size_t i = 0; i < ARRAY_LEN(mixed); i++)
            if (mixed[i] <= p->positions)
                add_seq(b, p, mixed[i]);
        return true;
    }
    char *end;
    n = (unsigned)strtoul(name, &end, 10);
    tokens = *end == 'x' ? (unsigned)strtoul(end + 1, &end, 10) : 0;
    if (!n || n > SEQS_MAX || !tokens || tokens > p->positions || *end)
        return false;
    while (n--)
        add_seq(b, p, tokens);
    return true;
}

/* Processor time of all threads. */
static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double run_once(struct bench *b)
{
    struct err err;
    uint64_t from = clock_now_ns();
    b->left = b->n;
    for (size_t i = 0; i < b->n; i++)
        if (engine_submit(b->engine, &b->seqs[i], &err) < 0)
            exit(fail(err.msg));
    pthread_mutex_lock(&b->lock);
    while (b->left)
        pthread_cond_wait(&b->done, &b->lock);
    pthread_mutex_unlock(&b->lock);
    return (double)(clock_now_ns() - from) / 1e6;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void run_case(struct bench *b, const struct plan *p, const char *name)
{
    double ms[RUNS_MAX], cpu = 1e9;
    int n = 0;
    if (!add_case(b, p, name))
        exit(fail("a case is BATCHxTOKENS, or mixed"));
    run_once(b);
    uint64_t until = clock_now_ns() + (uint64_t)(b->seconds * 1e9);
    while (n < 5 || (n < RUNS_MAX && clock_now_ns() < until)) {
        double from = cpu_ms();
        ms[n++] = run_once(b);
        cpu = cpu_ms() - from < cpu ? cpu_ms() - from : cpu;
    }
    qsort(ms, (size_t)n, sizeof(ms[0]), by_value);
    struct engine_info info = engine_info(b->engine);
    printf("{\"case\":\"%s\",\"threads\":%d,\"level\":\"%s\",\"runs\":%d,"
           "\"ms_min\":%.3f,\"ms_median\":%.3f,\"gflops\":%.1f,"
           "\"cpu_ms_min\":%.3f,\"gflops_per_core\":%.1f}\n",
           name, info.threads, info.level, n, ms[0], ms[n / 2],
           b->flops / ms[0] / 1e6, cpu, b->flops / cpu / 1e6);
    fflush(stdout);
    drop_seqs(b);
}

static int dump(struct bench *b, const struct plan *p, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return fail("cannot write the dump");
    add_case(b, p, "mixed");
    run_once(b);
    for (size_t i = 0; i < b->n; i++) {
        const struct engine_seq *s = &b->seqs[i];
        fwrite(&s->n, sizeof(s->n), 1, f);
        fwrite(s->ids, sizeof(*s->ids), s->n, f);
        fwrite(s->out, sizeof(*s->out) * p->hidden, s->n, f);
    }
    drop_seqs(b);
    return fclose(f) ? fail("cannot write the dump") : 0;
}

struct arguments {
    const char *folder, *dump, *isa;
    int threads; /* 0: one, then two */
    double seconds;
    const char *const *cases;
    size_t n_cases;
};

static void run_all(struct bench *b, const struct plan *p,
                    const struct arguments *a, int threads)
{
    struct err err;
    int64_t isa = cpu_cap(cpu_detect(), a->isa);
    struct engine_options options = {.threads = threads,
                                     .isa = isa < 0 ? 0 : (uint32_t)isa};
    uint64_t from = clock_now_ns();
    if (engine_open(&b->engine, &b->files, &options, NULL, NULL, &err) < 0)
        exit(fail(err.msg));
    printf("{\"case\":\"load\",\"threads\":%d,\"ms\":%.1f,\"bytes\":%llu}\n",
           threads, (double)(clock_now_ns() - from) / 1e6,
           (unsigned long long)engine_info(b->engine).memory);
    if (a->dump && dump(b, p, a->dump))
        exit(1);
    for (size_t i = 0; !a->dump && i < a->n_cases; i++)
        run_case(b, p, a->cases[i]);
    engine_close(b->engine);
}

static bool parse(struct arguments *a, int argc, char **argv)
{
    static const char *given[16];
    *a = (struct arguments){.isa = "", .seconds = 1};
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--threads=", 10))
            a->threads = atoi(argv[i] + 10);
        else if (!strncmp(argv[i], "--isa=", 6))
            a->isa = argv[i] + 6;
        else if (!strncmp(argv[i], "--seconds=", 10))
            a->seconds = atof(argv[i] + 10);
        else if (!strncmp(argv[i], "--dump=", 7))
            a->dump = argv[i] + 7;
        else if (!a->folder)
            a->folder = argv[i];
        else if (a->n_cases < ARRAY_LEN(given))
            given[a->n_cases++] = argv[i];
    }
    a->cases = a->n_cases ? given : all_cases;
    a->n_cases = a->n_cases ? a->n_cases : ARRAY_LEN(all_cases);
    return a->folder;
}

int main(int argc, char **argv)
{
    static struct bench b = {.lock = PTHREAD_MUTEX_INITIALIZER,
                             .done = PTHREAD_COND_INITIALIZER};
    struct arguments a;
    struct recipe recipe;
    struct err err;
    if (!parse(&a, argc, argv))
        return fail("usage: bench_engine FOLDER [--threads=N] [--isa=LEVEL] "
                    "[--seconds=S] [--dump=FILE] [CASE...]");
    b.seconds = a.seconds;
    if (open_files(&b, a.folder, &err) < 0 ||
        recipe_open(&recipe, &b.files, false, &err) < 0)
        return fail(err.msg);
    if (recipe.problems.n)
        return fail(recipe.problems.all[0].why);
    if (a.threads || a.dump)
        run_all(&b, &recipe.plan, &a, a.threads ? a.threads : 2);
    else
        for (int threads = 1; threads <= 2; threads++)
            run_all(&b, &recipe.plan, &a, threads);
    recipe_fini(&recipe);
    snapshot_fini(&b.files);
    return 0;
}
