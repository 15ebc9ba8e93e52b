/* tests/fuzz/replay.c - runs a fuzz target over its corpus, without a fuzzer.
 *
 *     replay_NAME FOLDER
 *
 * Every file as it is, cut in half, and with each of its first bytes changed: a
 * finding that is added to the corpus stays found, by any compiler.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, CHANGED = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An allocation of its exact size, so that a sanitizer sees one byte too many.
 */
static void run(const unsigned char *data, size_t n)
{
    uint8_t *copy = malloc(n + !n);
    if (!copy)
        abort();
    memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void run_file(unsigned char *data, size_t n)
{
    run(data, n);
    run(data, n / 2);
    for (size_t i = 0; i < n && i < CHANGED; i++) {
        data[i] ^= 0x81;
        run(data, n);
        data[i] ^= 0x81;
    }
}

static int read_file(const char *dir, const char *name)
{
    static unsigned char data[FILE_MAX];
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    size_t n = fread(data, 1, sizeof(data), f);
    fclose(f);
    run_file(data, n);
    return 1;
}

int main(int argc, char **argv)
{
    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    int n = 0;
    if (!dir) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (struct dirent *d; (d = readdir(dir));)
        if (d->d_name[0] != '.')
            n += read_file(argv[1], d->d_name);
    closedir(dir);
    printf("%d inputs\n", n);
    return n == 0;
}
