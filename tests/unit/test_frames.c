#include "base/mem.h"
#include "ipc/channel.h"
#include "ipc/job.h"
#include "unit.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
    int n, n_fds;
    uint64_t job[16];
    enum frame_type type[16];
    char text[8];
    struct arena arena;
    struct part_map map;
    struct item *items;
    size_t n_items;
};

static int remember(void *ctx, struct frame *f, struct err *err)
{
    struct seen *s = ctx;
    s->type[s->n] = f->type;
    s->job[s->n++] = f->job;
    s->n_fds += f->n_fds;
    if (f->type == FRAME_JOB)
        return items_read(f, &s->arena, &s->map, &s->items, &s->n_items, err);
    if (f->n_fds == 1 && f->type == FRAME_LOG)
        assert_int_equal(pread(f->fds[0], s->text, 5, 0), 5);
    return 0;
}

static void pair(struct channel **a, struct channel **b, struct seen *s)
{
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    *a = channel_open(fd[0], remember, NULL);
    *b = channel_open(fd[1], remember, s);
    *s = (struct seen){.arena = ARENA_MAX(1 << 24)};
}

static int send_log(struct channel *c, const char *text, int *fds, int n_fds)
{
    struct wire_map m = wire_map_open(channel_begin(c, FRAME_LOG, 7));
    wire_kz(&m, "level", "info");
    wire_kz(&m, "text", text);
    wire_map_close(&m);
    return channel_send(c, fds, n_fds);
}

static int memfd_with(const char *text)
{
    int fd = memfd_create("t", MFD_CLOEXEC);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static void descriptors_reach_their_own_frame(void **state)
{
    (void)state;
    struct channel *a, *b;
    struct seen s;
    struct err err;
    pair(&a, &b, &s);
    int two[2] = {memfd_with("aaaaa"), memfd_with("bbbbb")};
    int one = memfd_with("hello");
    assert_int_equal(send_log(a, "none", NULL, 0), 0);
    assert_int_equal(send_log(a, "two", two, 2), 0);
    assert_int_equal(send_log(a, "none", NULL, 0), 0);
    assert_int_equal(send_log(a, "one", &one, 1), 0);
    assert_int_equal(channel_read(b, &err), 1);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.n_fds, 3);
    assert_memory_equal(s.text, "hello", 5);
    channel_close(a);
    assert_int_equal(channel_read(b, &err), 0);
    channel_close(b);
}

static void a_frame_over_the_limit_is_not_queued(void **state)
{
    (void)state;
    struct channel *a, *b;
    struct seen s;
    pair(&a, &b, &s);
    char *big = mem_zero(FRAME_BODY_MAX + 1, 1);
    memset(big, 'x', FRAME_BODY_MAX);
    assert_int_equal(send_log(a, big, NULL, 0), -E2BIG);
    assert_int_equal(channel_queued(a), 0);
    assert_int_equal(send_log(a, "fine", NULL, 0), 0);
    struct err err;
    assert_int_equal(channel_read(b, &err), 1);
    assert_int_equal(s.n, 1);
    free(big);
    channel_close(a);
    channel_close(b);
}

/* More values than its receiver has room for, in fewer bytes than it takes. */
static int send_values(struct channel *c, size_t n)
{
    struct wire_map m = wire_map_open(channel_begin(c, FRAME_DONE, 7));
    wire_key(&m, "result");
    wire_put_array(m.out, n);
    for (size_t i = 0; i < n; i++)
        wire_put_uint(m.out, i % 300);
    wire_map_close(&m);
    return channel_send(c, NULL, 0);
}

static void a_frame_of_too_many_values_is_not_queued(void **state)
{
    (void)state;
    enum { AROUND = 3 }; /* the map, its key, the array */
    struct channel *a, *b;
    struct seen s;
    struct err err;
    pair(&a, &b, &s);
    assert_int_equal(send_values(a, WIRE_NODES_MAX - AROUND + 1), -E2BIG);
    assert_int_equal(channel_queued(a), 0);
    assert_int_equal(send_values(a, WIRE_NODES_MAX - AROUND), 0);
    for (int i = 0; i < 100 && s.n == 0; i++) {
        assert_int_equal(channel_flush(a), 0);
        assert_int_equal(channel_read(b, &err), 1);
    }
    assert_int_equal(s.n, 1);
    channel_close(a);
    channel_close(b);
}

static void a_full_socket_keeps_the_rest(void **state)
{
    (void)state;
    struct channel *a, *b;
    struct seen s;
    struct err err;
    pair(&a, &b, &s);
    char *text = mem_zero(4001, 1);
    memset(text, 'x', 4000);
    int sent = 0;
    while (!channel_wants_write(a) || sent < 12) {
        assert_int_equal(send_log(a, text, NULL, 0), 0);
        if (++sent == 12)
            break;
    }
    for (int i = 0; i < 100 && s.n < 12; i++) {
        assert_int_equal(channel_flush(a), 0);
        assert_int_equal(channel_read(b, &err), 1);
    }
    assert_int_equal(s.n, 12);
    free(text);
    channel_close(a);
    channel_close(b);
}

static void send_job(struct channel *c, const struct item *items, size_t n)
{
    struct err err;
    int fd;
    assert_int_equal(parts_seal(items, n, &fd, &err), 0);
    struct wire_map m = wire_map_open(channel_begin(c, FRAME_JOB, 1));
    wire_kz(&m, "task", "feature-extraction");
    wire_key(&m, "items");
    items_put(m.out, items, n, fd >= 0);
    if (fd >= 0)
        wire_kuint(&m, "data", items_bytes(items, n));
    wire_map_close(&m);
    assert_int_equal(channel_send(c, &fd, fd >= 0), 0);
}

static void items_travel(size_t bytes)
{
    struct channel *a, *b;
    struct seen s;
    struct err err;
    pair(&a, &b, &s);
    char *text = mem_zero(bytes, 1);
    memset(text, 'q', bytes);
    uint32_t ids[3] = {101, 2023, 102};
    struct part first[2] = {
        {PART_TEXT, str_of("query"), {0}, {0}, 0, {0}, str_n(text, bytes)},
        {PART_TOKENS, {0}, {0}, {0}, 0, {0}, str_n(ids, sizeof(ids))}};
    struct part second[1] = {
        {PART_TENSOR, {0}, {0}, str_of("f32"), 2, {1, 3}, str_n(ids, 12)}};
    struct item items[2] = {{2, first}, {1, second}};
    send_job(a, items, 2);
    assert_int_equal(channel_read(b, &err), 1);
    assert_int_equal(s.n_items, 2);
    assert_int_equal(s.n_fds, bytes > FRAME_INLINE_MAX);
    assert_int_equal(s.items[0].parts[0].data.n, bytes);
    assert_memory_equal(s.items[0].parts[0].data.p, text, bytes);
    assert_true(str_is(s.items[0].parts[0].role, "query"));
    assert_memory_equal(s.items[0].parts[1].data.p, ids, 12);
    assert_int_equal(s.items[1].parts[0].rank, 2);
    assert_int_equal(s.items[1].parts[0].shape[1], 3);
    part_map_fini(&s.map);
    arena_fini(&s.arena);
    free(text);
    channel_close(a);
    channel_close(b);
}

static void items_travel_inline_and_in_a_memfd(void **state)
{
    (void)state;
    items_travel(10);
    items_travel(FRAME_INLINE_MAX + 1);
}

static void refuse(const void *bytes, size_t n)
{
    struct channel *a, *b;
    struct seen s;
    struct err err = {0};
    pair(&a, &b, &s);
    assert_int_equal(write(channel_fd(a), bytes, n), n);
    channel_close(a);
    assert_true(channel_read(b, &err) < 0);
    assert_true(err.msg[0] != 0);
    channel_close(b);
}

static void malformed_bytes_are_refused(void **state)
{
    (void)state;
    refuse("\1\0\0\0\x0b\0\0\0\0\0\0\0\0\0\0\0\xa0", 17); /* no time_ns */
    refuse("\1\0\0\0\x63\0\0\0\0\0\0\0\0\0\0\0\xa0", 17); /* unknown type */
    refuse("\1\0\0\0\x0d\0\1\0\0\0\0\0\0\0\0\0\xa0", 17); /* no descriptor */
    refuse("\1\0\0\0\x0d\0\0\1\0\0\0\0\0\0\0\0\xa0", 17); /* unknown flag */
    refuse("\1\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0", 16);     /* ends inside */
    refuse("\2\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\xa0\xa0", 18); /* trailing */
    refuse("\0\0\1\1\x0d\0\0\0\0\0\0\0\0\0\0\0", 16);         /* too long */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_reach_their_own_frame),
        cmocka_unit_test(a_frame_over_the_limit_is_not_queued),
        cmocka_unit_test(a_frame_of_too_many_values_is_not_queued),
        cmocka_unit_test(a_full_socket_keeps_the_rest),
        cmocka_unit_test(items_travel_inline_and_in_a_memfd),
        cmocka_unit_test(malformed_bytes_are_refused),
    };
    return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
