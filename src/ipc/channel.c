/* ipc/channel.c - frames over a non-blocking unix stream socket.
 *
 * Descriptors are sent with the first byte of their frame, and a frame's header
 * says how many are its own, so they are claimed from a queue in order. The
 * kernel never delivers a byte before the descriptors that came with it.
 */
#include "ipc/channel.h"
#include "base/mem.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_STEP = 128 << 10, READS_PER_CALL = 16 };

/* Descriptors that wait to be sent with the byte at this place of the queue. */
struct pending_fds {
    struct pending_fds *next;
    size_t at;
    int n;
    int fds[FRAME_FDS_MAX];
};

struct channel {
    int fd;
    channel_frame_fn *on_frame;
    void *ctx;
    struct buf out, in;
    size_t sent;  /* bytes of out already written */
    size_t begun; /* where the frame being built starts */
    bool building;
    struct pending_fds *first, **last;
    int fds[CHANNEL_FDS_MAX];
    int n_fds;
    struct wire_node *nodes; /* [WIRE_NODES_MAX], on first use */
};

struct channel *channel_open(int fd, channel_frame_fn *on_frame, void *ctx)
{
    struct channel *c = mem_new(struct channel);
    c->fd = fd;
    c->on_frame = on_frame;
    c->ctx = ctx;
    c->out.max = CHANNEL_QUEUE_MAX;
    c->in.max = FRAME_HEADER + FRAME_BODY_MAX + READ_STEP;
    c->last = &c->first;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return c;
}

static void close_all(int *fds, int n)
{
    for (int i = 0; i < n; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

static void pop_pending(struct channel *c)
{
    struct pending_fds *p = c->first;
    c->first = p->next;
    if (!c->first)
        c->last = &c->first;
    close_all(p->fds, p->n);
    free(p);
}

void channel_close(struct channel *c)
{
    if (!c)
        return;
    while (c->first)
        pop_pending(c);
    close_all(c->fds, c->n_fds);
    close(c->fd);
    buf_fini(&c->in);
    buf_fini(&c->out);
    free(c->nodes);
    free(c);
}

int channel_fd(const struct channel *c)
{
    return c->fd;
}

struct buf *channel_begin(struct channel *c, enum frame_type type, uint64_t job)
{
    assert(!c->building);
    c->building = true;
    c->begun = frame_begin(&c->out, type, job, 0);
    return &c->out;
}

static void queue_fds(struct channel *c, const int *fds, int n)
{
    struct pending_fds *p = mem_new(struct pending_fds);
    p->at = c->begun;
    p->n = n;
    memcpy(p->fds, fds, (size_t)n * sizeof(*fds));
    *c->last = p;
    c->last = &p->next;
    c->out.p[c->begun + 6] = (char)n; /* low byte of flags */
}

int channel_send(struct channel *c, const int *fds, int n_fds)
{
    assert(c->building && n_fds >= 0 && n_fds <= FRAME_FDS_MAX);
    c->building = false;
    int r = frame_end(&c->out, c->begun);
    if (r < 0) {
        for (int i = 0; i < n_fds; i++)
            close(fds[i]);
        return r;
    }
    if (n_fds > 0)
        queue_fds(c, fds, n_fds);
    return channel_flush(c);
}

/* Writes up to the next byte that has descriptors of its own. */
static ssize_t write_some(struct channel *c)
{
    struct pending_fds *p = c->first;
    size_t end = c->out.len;
    bool with_fds = p && p->at == c->sent;
    if (with_fds && p->next)
        end = p->next->at;
    else if (p && !with_fds)
        end = p->at;
    struct iovec iov = {c->out.p + c->sent, end - c->sent};
    union {
        char bytes[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (with_fds) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE((size_t)p->n * sizeof(int));
        struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN((size_t)p->n * sizeof(int));
        memcpy(CMSG_DATA(h), p->fds, (size_t)p->n * sizeof(int));
    }
    ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    if (n > 0 && with_fds)
        pop_pending(c);
    return n;
}

int channel_flush(struct channel *c)
{
    while (c->sent < c->out.len) {
        ssize_t n = write_some(c);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0)
            return -errno;
        c->sent += (size_t)n;
    }
    bool all = c->sent == c->out.len;
    if (all || c->sent > c->out.max / 4) {
        for (struct pending_fds *p = c->first; p; p = p->next)
            p->at -= c->sent;
        buf_shift(&c->out, c->sent);
        c->sent = 0;
    }
    return 0;
}

bool channel_wants_write(const struct channel *c)
{
    return c->sent < c->out.len;
}

size_t channel_queued(const struct channel *c)
{
    return c->out.len - c->sent;
}

static int take_fds(struct channel *c, struct msghdr *msg, struct err *err)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        int n = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        int got[FRAME_FDS_MAX];
        memcpy(got, CMSG_DATA(h), (size_t)n * sizeof(int));
        if (n > CHANNEL_FDS_MAX - c->n_fds) {
            close_all(got, n);
            return err_set(err, E_INVALID_REQUEST, "too many descriptors");
        }
        memcpy(c->fds + c->n_fds, got, (size_t)n * sizeof(int));
        c->n_fds += n;
    }
    if (msg->msg_flags & MSG_CTRUNC)
        return err_set(err, E_INVALID_REQUEST, "descriptors were cut off");
    return 0;
}

/* 1: got bytes; 0: end of stream; -EAGAIN; another code with its sentence. */
static int receive(struct channel *c, struct err *err)
{
    char *room = buf_room(&c->in, READ_STEP);
    if (!room)
        return err_set(err, ENOMEM, "out of memory while reading a frame");
    union {
        char bytes[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {room, READ_STEP};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (n < 0)
        return err_set(err, errno, "the peer is gone: %s", strerror(errno));
    int r = take_fds(c, &msg, err);
    if (r < 0)
        return r;
    c->in.len += (size_t)n;
    return n > 0;
}

static int deliver(struct channel *c, const struct frame_header *h,
                   struct str body, struct err *err)
{
    if (!c->nodes)
        c->nodes = mem_zero(WIRE_NODES_MAX, sizeof(*c->nodes));
    int r = frame_body_read((enum frame_type)h->type, body, c->nodes,
                            WIRE_NODES_MAX, err);
    int n_fds = h->flags;
    if (r >= 0 && n_fds > c->n_fds)
        r = err_set(err, E_INVALID_REQUEST, "%s frame without its descriptors",
                    frame_type_name(h->type));
    if (r < 0)
        return r;
    struct frame f = {
        (enum frame_type)h->type, h->job, c->nodes, c->fds, n_fds, h->length};
    r = c->on_frame(c->ctx, &f, err);
    close_all(c->fds, n_fds);
    c->n_fds -= n_fds;
    memmove(c->fds, c->fds + n_fds, (size_t)c->n_fds * sizeof(int));
    return r;
}

static int deliver_all(struct channel *c, struct err *err)
{
    size_t at = 0;
    int r = 0;
    while (r >= 0 && c->in.len - at >= FRAME_HEADER) {
        struct frame_header h;
        r = frame_header_read(c->in.p + at, &h, err);
        if (r < 0 || c->in.len - at - FRAME_HEADER < h.length)
            break;
        r = deliver(c, &h, str_n(c->in.p + at + FRAME_HEADER, h.length), err);
        at += FRAME_HEADER + h.length;
    }
    buf_shift(&c->in, at);
    return r < 0 ? r : 0;
}

int channel_read(struct channel *c, struct err *err)
{
    for (int i = 0; i < READS_PER_CALL; i++) {
        int r = receive(c, err);
        if (r == -EAGAIN)
            return 1;
        if (r == 0 && c->in.len > 0)
            return err_set(err, EPIPE, "the peer ended inside a frame");
        if (r <= 0)
            return r;
        r = deliver_all(c, err);
        if (r < 0)
            return r;
    }
    return 1;
}
