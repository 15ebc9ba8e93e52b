/* fuzz/replay.c - runs a fuzz target without a fuzzer: replay FOLDER...
 *
 * Every file of the corpus as it is; small ones also cut at every byte and with
 * every bit flipped. Each input is a block of exactly its size, so that a
 * sanitizer or valgrind sees one byte too far.
 */
#include "base/fs.h"
#include "fuzz.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, MUTATED_MAX = 2048 };

static size_t runs;

static void run(const char *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    if (n)
        memcpy(copy, p, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    runs++;
}

static void run_changed(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run(p, i);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        p[bit / 8] = (char)(p[bit / 8] ^ (1 << bit % 8));
        run(p, n);
        p[bit / 8] = (char)(p[bit / 8] ^ (1 << bit % 8));
    }
}

static size_t run_folder(const char *path)
{
    size_t files = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct buf file = BUF_MAX(FILE_MAX);
        if (e->d_name[0] == '.' ||
            fs_read(dirfd(d), e->d_name, &file, NULL) < 0)
            continue;
        run(file.p, file.len);
        if (file.len <= MUTATED_MAX)
            run_changed(file.p, file.len);
        buf_fini(&file);
        files++;
    }
    if (d)
        closedir(d);
    return files;
}

int main(int argc, char **argv)
{
    size_t files = 0;
    for (int i = 1; i < argc; i++)
        files += run_folder(argv[i]);
    printf("%zu files, %zu inputs\n", files, runs);
    return files == 0;
}
