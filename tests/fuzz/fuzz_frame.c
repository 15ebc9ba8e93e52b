/* fuzz/fuzz_frame.c - bytes that a child sends to the daemon. */
#include "fuzz.h"
#include "ipc/job.h"

static struct wire_node nodes[WIRE_NODES_MAX];

static void read_parts(const struct frame *f)
{
    struct arena a = ARENA_MAX(1 << 22);
    struct part_map map = {0};
    struct item *items, item;
    size_t n;
    struct err err;
    int r = f->type == FRAME_JOB ? items_read(f, &a, &map, &items, &n, &err)
                                 : parts_read(f, &a, &map, &item, &err);
    if (r == 0)
        part_map_fini(&map);
    arena_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct frame_header h;
    struct err err;
    if (n < FRAME_HEADER || frame_header_read(data, &h, &err) < 0)
        return 0;
    struct frame f = {(enum frame_type)h.type, h.job, nodes, NULL, 0, h.length};
    struct str body = str_n(data + FRAME_HEADER, n - FRAME_HEADER);
    if (frame_body_read(f.type, body, nodes, WIRE_NODES_MAX, &err) < 0)
        return 0;
    if (f.type == FRAME_JOB || f.type == FRAME_CHUNK || f.type == FRAME_DONE)
        read_parts(&f);
    return 0;
}
