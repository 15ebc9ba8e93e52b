/* ipc/channel.h - one end of a socketpair that carries frames.
 *
 * Non-blocking. The owner watches fd: readable, call channel_read(); and while
 * channel_wants_write(), writable, call channel_flush(). One thread.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H
#include "ipc/frame.h"

enum {
    CHANNEL_FDS_MAX = 2 * FRAME_FDS_MAX, /* received, not yet claimed */
    CHANNEL_QUEUE_MAX = 64 << 20,        /* bytes not yet sent */
};

struct channel;

/* Called for every frame. A negative return ends the reading with that code. */
typedef int channel_frame_fn(void *ctx, struct frame *frame, struct err *err);

/* Owns fd (made non-blocking, close-on-exec) from now on. */
struct channel *channel_open(int fd, channel_frame_fn *on_frame, void *ctx);
void channel_close(struct channel *c); /* NULL is fine */
int channel_fd(const struct channel *c);

/* Begins and ends a frame in the queue:
 *     struct wire_map m = wire_map_open(channel_begin(c, FRAME_PING, 0));
 *     wire_kuint(&m, "time_ns", t);
 *     wire_map_close(&m);
 *     r = channel_send(c, NULL, 0);
 * channel_send() takes ownership of fds (closed once sent, or on failure) and
 * tries to write at once; what the socket does not take waits for
 * channel_flush(). -E2BIG: the frame or the queue is over its limit, nothing
 * was queued. */
struct buf *channel_begin(struct channel *c, enum frame_type type,
                          uint64_t job);
int channel_send(struct channel *c, const int *fds, int n_fds) MUST_CHECK;
/* 0, or a negative errno when the peer is gone. */
int channel_flush(struct channel *c) MUST_CHECK;
bool channel_wants_write(const struct channel *c);
size_t channel_queued(const struct channel *c); /* bytes */

/* Reads what is there and calls on_frame for each whole frame. 1: more may come
 * later; 0: the peer closed in good order (between frames); negative: it sent
 * something malformed (err says what), died inside a frame, or on_frame's own
 * code. The channel must not be used for reading after 0 or a negative code. */
int channel_read(struct channel *c, struct err *err) MUST_CHECK;

#endif
