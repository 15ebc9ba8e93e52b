/* kernels/check.c - proves the kernels of every level that this machine has.
 *
 * check_kernels [--isa=LEVEL] [--highest=LEVEL] [--fn=PATTERN] [--bench] [seed]
 *
 * --isa runs one level alone; --highest says which level the machine must turn
 * out to have. --bench measures instead: gemm_f32, gemm_cold (weights that come
 * from memory), attention_f32, rows.
 *
 * Each level's own kernels are compared with double precision, within a bound
 * that follows from the number of roundings. */
#include "check.h"
#include "bench.h"
#include "kernels/cpu.h"
#include <fnmatch.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static void (*const families[])(void) = {check_gemm, check_attention, check_row,
                                         check_act};
static const struct level {
    const char *name;
    uint32_t bit;
} levels[] = {{"scalar", 0}, {"avx2", CPU_AVX2}, {"avx512", CPU_AVX512}};

enum {
    MAX_SLOTS = 64,
    MAX_MATS =
        256, /* of one check: a row each of 200, and what they are made of */
    SHOWN_FAILURES = 10,
    CANARY = 0x7fa5a5a5
};

struct kernels check_new;
static unsigned seed, rng;
static const char *level, *func, *wanted = "*";
static int n_checked, n_failed, func_failed;
static void (*seen[MAX_SLOTS])(void);
static struct mat mats[MAX_MATS];
static int n_mats;

unsigned check_rand(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 17;
    rng ^= rng << 5;
    return rng;
}

float check_float(void)
{
    float x = (float)(int)check_rand() / 2147483648.0f;
    return check_rand() % 16 ? x : x * 1e-3f;
}

bool check_func(void (*fn)(void), const char *name)
{
    for (int i = 0; i < n_checked; i++)
        if (seen[i] == fn)
            return false;
    if (fnmatch(wanted, name, 0) != 0 || n_checked == MAX_SLOTS)
        return false;
    seen[n_checked++] = fn;
    func = name;
    func_failed = 0;
    rng = seed;
    printf("  %s_%s\n", name, level);
    return true;
}

static void report(const char *fmt, va_list ap)
{
    n_failed++;
    if (++func_failed > SHOWN_FAILURES)
        return;
    printf("FAIL %s_%s: ", func, level);
    vprintf(fmt, ap);
    printf(" (check_kernels --isa=%s '--fn=%s' %u)\n", level, func, seed);
}

void check_fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(fmt, ap);
    va_end(ap);
}

bool check_close(double got, double exact, double bound, const char *fmt, ...)
{
    if (fabs(got - exact) <= bound || (isnan(got) && isnan(exact)) ||
        got == exact)
        return true;
    char where[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(where, sizeof where, fmt, ap);
    va_end(ap);
    check_fail("%s: %.9g is not %.9g within %.2g", where, got, exact, bound);
    return false;
}

struct mat mat_new(size_t rows, size_t cols, size_t ld)
{
    if (n_mats == MAX_MATS)
        abort();
    const size_t page = (size_t)sysconf(_SC_PAGESIZE),
                 size = ((rows - 1) * ld + cols) * sizeof(float);
    struct mat m = {.rows = rows, .cols = cols, .ld = ld};
    m.map_bytes = (size + page - 1) / page * page + page;
    m.map = mmap(NULL, m.map_bytes + page, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m.map == MAP_FAILED || mprotect(m.map + m.map_bytes, page, PROT_NONE))
        abort();
    m.p = (float *)(m.map + m.map_bytes - size);
    for (size_t i = 0; i < m.map_bytes / sizeof(uint32_t); i++)
        ((uint32_t *)m.map)[i] = CANARY;
    mats[n_mats++] = m;
    return m;
}

struct mat mat_random(size_t rows, size_t cols, size_t ld)
{
    struct mat m = mat_new(rows, cols, ld);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            m.p[r * ld + c] = check_float();
    return m;
}

static bool canaries(const void *from, const void *to)
{
    for (const uint32_t *p = from; p < (const uint32_t *)to; p++)
        if (*p != CANARY)
            return false;
    return true;
}

bool mat_intact(const struct mat *m, const char *what)
{
    if (!canaries(m->map, m->p)) {
        check_fail("%s: written before its start", what);
        return false;
    }
    for (size_t r = 0; r + 1 < m->rows; r++)
        if (!canaries(m->p + r * m->ld + m->cols, m->p + (r + 1) * m->ld)) {
            check_fail("%s: written behind row %zu", what, r);
            return false;
        }
    return true;
}

void mat_free_all(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    while (n_mats > 0) {
        n_mats--;
        munmap(mats[n_mats].map, mats[n_mats].map_bytes + page);
    }
}

static void run_level(const struct level *l, uint32_t isa, bool bench)
{
    level = l->name;
    kernels_init(&check_new, isa);
    if (strcmp(check_new.level, level) != 0) {
        func = "kernels_init";
        check_fail("the table says %s", check_new.level);
    }
    if (bench) {
        bench_level(&check_new, isa, wanted);
        return;
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        families[i]();
}

struct options {
    const char *only, *highest; /* "": any */
    bool bench;
};

static struct options parse(int argc, char **argv)
{
    struct options o = {.only = "", .highest = ""};
    seed = (unsigned)time(NULL);
    for (int i = 1; i < argc; i++) {
        if (!strncmp(argv[i], "--isa=", 6))
            o.only = argv[i] + 6;
        else if (!strncmp(argv[i], "--highest=", 10))
            o.highest = argv[i] + 10;
        else if (!strncmp(argv[i], "--fn=", 5))
            wanted = argv[i] + 5;
        else if (!strcmp(argv[i], "--bench"))
            o.bench = true;
        else
            seed = (unsigned)strtoul(argv[i], NULL, 10);
    }
    if (!seed)
        seed = 1; /* the generator never leaves zero */
    return o;
}

int main(int argc, char **argv)
{
    const struct options o = parse(argc, argv);
    const uint32_t have = cpu_detect();
    const char *top = "";
    uint32_t isa = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("check_kernels: seed %u\n", seed);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if ((levels[i].bit & have) != levels[i].bit)
            continue;
        isa |= levels[i].bit;
        top = levels[i].name;
        if (!o.only[0] || !strcmp(o.only, levels[i].name))
            run_level(&levels[i], isa, o.bench);
    }
    if (o.highest[0] && strcmp(top, o.highest) != 0)
        check_fail("the machine has %s, not %s", top, o.highest);
    if (!o.bench)
        printf("check_kernels: %d kernels, %d failures\n", n_checked, n_failed);
    return n_failed != 0 || (!o.bench && n_checked == 0);
}
