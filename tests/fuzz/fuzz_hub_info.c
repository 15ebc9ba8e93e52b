/* fuzz/fuzz_hub_info.c - what a hub says about a model. */
#include "base/mem.h"
#include "fuzz.h"
#include "hub/hub_info.h"
#include <assert.h>

static void choose(const struct hub_info *info)
{
    bool *take = mem_zero(info->n_files + 1, sizeof(*take));
    struct err err;
    int r = hub_select(info->files, info->n_files, take, &err);
    int whole = hub_complete(info->files, info->n_files, &err);
    assert(r <= HUB_TAKEN_MAX && whole <= 0);
    free(take);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena a = ARENA_MAX(1 << 24);
    struct hub_info info;
    struct err err;
    if (hub_info_read(str_n(data, n), &a, &info, &err) == 0) {
        for (size_t i = 0; i < info.n_files; i++)
            assert(hub_path_check(info.files[i].name, NULL) == 0 &&
                   info.files[i].hash.kind != HUB_HASH_NONE);
        choose(&info);
    }
    arena_fini(&a);
    return 0;
}
