/* unit/test_golden_frames.c - the frames of tests/golden/frames: every good one
 * is read and written again byte by byte, every bad one refused. */
#include "base/fs.h"
#include "base/mem.h"
#include "ipc/channel.h"
#include "ipc/job.h"
#include "unit.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

/* A walk in order is all it takes: nodes lie as they were read. */
static void write_again(const struct wire_node *nodes, int n, struct buf *out)
{
    for (int i = 0; i < n; i++) {
        const struct wire_node *v = &nodes[i];
        switch (v->kind) {
        case WIRE_NULL:
            wire_put_null(out);
            break;
        case WIRE_BOOL:
            wire_put_bool(out, v->u != 0);
            break;
        case WIRE_UINT:
            wire_put_uint(out, v->u);
            break;
        case WIRE_NEGINT:
            if (v->u <= INT64_MAX)
                wire_put_int(out, -1 - (int64_t)v->u);
            else /* below what C has a type for: its head, by hand */
                buf_add(out, "\x3b\xff\xff\xff\xff\xff\xff\xff\xff", 9);
            break;
        case WIRE_FLOAT:
            wire_put_float(out, v->f);
            break;
        case WIRE_TEXT:
            wire_put_text(out, v->s);
            break;
        case WIRE_BYTES:
            wire_put_bytes(out, v->s);
            break;
        case WIRE_ARRAY:
            wire_put_array(out, v->count);
            break;
        case WIRE_MAP:
            wire_put_map(out, v->count);
            break;
        }
    }
}

static struct wire_node nodes[WIRE_NODES_MAX];

static void check_good(const char *name, struct str file)
{
    struct frame_header h;
    struct err err = {0};
    (void)name;
    assert_true(file.n >= FRAME_HEADER);
    assert_int_equal(frame_header_read(file.p, &h, &err), 0);
    assert_int_equal(h.length, file.n - FRAME_HEADER);
    struct str body = str_n(file.p + FRAME_HEADER, h.length);
    int n = frame_body_read((enum frame_type)h.type, body, nodes,
                            WIRE_NODES_MAX, &err);
    assert_true(n > 0);
    struct buf out = BUF_MAX(FILE_MAX);
    size_t at = frame_begin(&out, (enum frame_type)h.type, h.job, h.flags);
    write_again(nodes, n, &out);
    assert_int_equal(frame_end(&out, at), 0);
    assert_int_equal(out.len, file.n);
    assert_memory_equal(out.p, file.p, file.n);
    buf_fini(&out);
}

static int never(void *ctx, struct frame *f, struct err *err)
{
    (void)f;
    (void)err;
    ++*(int *)ctx;
    return 0;
}

/* As a peer would see it: bytes, then the end of the stream. */
static void check_bad(const char *name, struct str file)
{
    int fd[2], delivered = 0;
    struct err err = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct channel *c = channel_open(fd[1], never, &delivered);
    assert_int_equal(fs_write_all(fd[0], file.p, file.n), 0);
    close(fd[0]);
    int r = channel_read(c, &err);
    if (r >= 0 || delivered)
        print_error("%s was accepted\n", name);
    assert_true(r < 0);
    assert_int_equal(delivered, 0);
    assert_true(err.msg[0] != 0);
    channel_close(c);
}

typedef void check_fn(const char *name, struct str file);

static int each(const char *folder, check_fn *check)
{
    char path[FS_PATH_MAX];
    const char *tests = getenv("BERTH_TESTS");
    snprintf(path, sizeof(path), "%s/golden/frames/%s", tests ? tests : "tests",
             folder);
    DIR *d = opendir(path);
    assert_non_null(d);
    int count = 0;
    for (struct dirent *e; (e = readdir(d));) {
        struct buf file = BUF_MAX(FILE_MAX);
        if (!str_ends(str_of(e->d_name), ".bin"))
            continue;
        assert_int_equal(fs_read(dirfd(d), e->d_name, &file, NULL), 0);
        check(e->d_name, buf_str(&file));
        buf_fini(&file);
        count++;
    }
    closedir(d);
    return count;
}

static void good_frames_are_read_and_written_again(void **state)
{
    (void)state;
    assert_true(each("good", check_good) >= 38);
}

static void bad_frames_are_refused(void **state)
{
    (void)state;
    assert_true(each("bad", check_bad) >= 94);
}

/* A frame of good/, for what is in it. */
static const struct wire_node *open_good(const char *name, struct buf *file)
{
    char path[FS_PATH_MAX];
    const char *tests = getenv("BERTH_TESTS");
    struct frame_header h;
    struct err err;
    snprintf(path, sizeof(path), "%s/golden/frames/good/%s.bin",
             tests ? tests : "tests", name);
    *file = (struct buf)BUF_MAX(FILE_MAX);
    assert_int_equal(fs_read(AT_FDCWD, path, file, &err), 0);
    assert_int_equal(frame_header_read(file->p, &h, &err), 0);
    assert_true(frame_body_read((enum frame_type)h.type,
                                str_n(file->p + FRAME_HEADER, h.length), nodes,
                                WIRE_NODES_MAX, &err) > 0);
    return nodes;
}

static void read_items(const char *name, struct arena *a, struct item **items,
                       size_t *n)
{
    struct buf file;
    struct part_map map = {0};
    struct err err;
    struct frame f = {.type = FRAME_JOB, .body = open_good(name, &file)};
    assert_int_equal(items_read(&f, a, &map, items, n, &err), 0);
    part_map_fini(&map);
    buf_fini(&file);
}

static void a_chat_and_its_tools_are_understood(void **state)
{
    (void)state;
    struct arena a = ARENA_MAX(1 << 20);
    struct item *items;
    size_t n;
    read_items("job_chat", &a, &items, &n);
    assert_int_equal(n, 1);
    assert_int_equal(items[0].n_parts, 4);
    assert_true(str_is(items[0].parts[0].role, "system"));
    assert_true(str_is(items[0].parts[3].role, "tool"));
    assert_true(str_is(items[0].parts[1].media, ""));
    assert_true(str_is(items[0].parts[2].media, "application/json"));
    assert_true(str_starts(items[0].parts[3].data, "{\"role\":\"tool\""));
    arena_fini(&a);
    struct buf file;
    const struct wire_node *params =
        wire_get(open_good("job_chat", &file), "params");
    assert_int_equal(wire_int(params, "seed", 0), -7);
    assert_true(wire_float(params, "temperature", 0) == 0.7);
    assert_true(wire_bool(params, "stream", false));
    const struct wire_node *tool = wire_first(wire_get(params, "tools"));
    assert_true(
        str_is(wire_text(wire_get(tool, "function"), "name"), "weather"));
    buf_fini(&file);
}

static void tokens_images_and_tensors_are_understood(void **state)
{
    (void)state;
    struct arena a = ARENA_MAX(1 << 20);
    struct item *items;
    size_t n;
    read_items("job_tokens", &a, &items, &n);
    assert_int_equal(n, 3);
    assert_int_equal(items[0].parts[0].kind, PART_TOKENS);
    assert_int_equal(items[0].parts[0].data.n, 12);
    assert_int_equal(items[1].parts[0].data.n, 0);
    read_items("job_image", &a, &items, &n);
    assert_int_equal(items[0].parts[0].kind, PART_BYTES);
    assert_true(str_is(items[0].parts[0].media, "image/png"));
    read_items("job_tensor", &a, &items, &n);
    assert_int_equal(items[0].parts[0].rank, 2);
    assert_int_equal(items[0].parts[0].shape[0], 2);
    read_items("job_pairs", &a, &items, &n);
    assert_true(str_is(items[1].parts[1].role, "document"));
    arena_fini(&a);
}

static void numbers_keep_their_value(void **state)
{
    (void)state;
    struct buf file;
    const struct wire_node *list =
        wire_get(open_good("done_numbers", &file), "result");
    const struct wire_node *v = wire_first(list);
    for (int i = 0; i < 9; i++)
        v = wire_next(list, v);
    assert_int_equal(v->kind, WIRE_UINT);
    assert_true(v->u == UINT64_MAX);
    for (int i = 0; i < 5; i++)
        v = wire_next(list, v);
    assert_int_equal(v->kind, WIRE_NEGINT);
    assert_true(v->u == UINT64_MAX); /* -2^64 */
    buf_fini(&file);
}

/* cbor2 writes doubles only; others may write what is shorter. */
static void short_floats_are_read(void **state)
{
    (void)state;
    static const char bytes[] = "\x84\xf9\x3c\x00\xfa\x3f\xc0\x00\x00"
                                "\xf9\x7e\x00\xf9\xfc\x00";
    struct err err;
    assert_int_equal(wire_decode(str_n(bytes, sizeof(bytes) - 1), nodes,
                                 WIRE_NODES_MAX, &err),
                     5);
    assert_true(nodes[1].f == 1.0 && nodes[2].f == 1.5);
    assert_true(isnan(nodes[3].f) && isinf(nodes[4].f) && nodes[4].f < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_frames_are_read_and_written_again),
        cmocka_unit_test(bad_frames_are_refused),
        cmocka_unit_test(a_chat_and_its_tools_are_understood),
        cmocka_unit_test(tokens_images_and_tensors_are_understood),
        cmocka_unit_test(numbers_keep_their_value),
        cmocka_unit_test(short_floats_are_read),
    };
    return cmocka_run_group_tests_name("golden frames", tests, NULL, NULL);
}
