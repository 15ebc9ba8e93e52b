/* engine_logits FOLDER ROW ID...  - the language-model head's logits of one row
 * of one sequence, raw little-endian f32 on standard output. For comparing
 * whole rows with a reference: the HTTP routes only give the best scores. */
#include "base/mem.h"
#include "engine/engine.h"
#include "kernels/cpu.h"
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static void finished(struct engine_seq *seq, int code)
{
    (void)code;
    sem_post(seq->ctx);
}

static int add(struct snapshot *s, const char *folder, const char *name,
               struct err *err)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st))
        return err_set(err, E_DAMAGED_FILE, "cannot open %s", path);
    return snapshot_add(s, str_of(name), fd, (uint64_t)st.st_size, err);
}

static int run(struct engine *e, char **ids, int n, uint32_t row,
               struct err *err)
{
    struct engine_info info = engine_info(e);
    uint32_t *id = mem_zero((size_t)n, sizeof(*id));
    float *out = mem_zero((size_t)info.vocab, sizeof(*out));
    sem_t done;
    sem_init(&done, 0, 0);
    for (int i = 0; i < n; i++)
        id[i] = (uint32_t)strtoul(ids[i], NULL, 10);
    struct engine_seq seq = {.ids = id,
                             .n = (uint32_t)n,
                             .output = ENGINE_LOGITS,
                             .rows = &row,
                             .n_rows = 1,
                             .out = out,
                             .done = finished,
                             .ctx = &done};
    int r = engine_submit(e, &seq, err);
    if (r == 0) {
        sem_wait(&done);
        fwrite(out, sizeof(*out), (size_t)info.vocab, stdout);
    }
    free(id);
    free(out);
    return r;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    static struct snapshot s;
    struct err err = {0};
    struct engine *e = NULL;
    struct engine_options options = {
        .threads = 2, .isa = cpu_detect(), .mlm_head = true};
    int r = add(&s, argv[1], "config.json", &err);
    if (r == 0)
        r = add(&s, argv[1], "model.safetensors", &err);
    if (r == 0)
        r = engine_open(&e, &s, &options, NULL, NULL, &err);
    if (r == 0)
        r = run(e, argv + 3, argc - 3, (uint32_t)strtoul(argv[2], NULL, 10),
                &err);
    if (r < 0)
        fprintf(stderr, "engine_logits: %s\n", err.msg);
    engine_close(e);
    snapshot_fini(&s);
    return r < 0;
}
