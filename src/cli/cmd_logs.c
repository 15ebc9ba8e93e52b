/* cli/cmd_logs.c - berth logs. */
#include "cli/client.h"
#include "cli/human.h"
#include <errno.h>
#include <stdio.h>

enum { PIECE_MAX = 64 << 20 };

/* A sequence that is cut between two pieces shows as '?'. */
static int print_piece(void *ctx, struct str bytes, struct err *err)
{
    (void)ctx;
    struct buf clean = BUF_MAX(PIECE_MAX);
    human_clean_lines(&clean, bytes);
    fwrite(clean.p, 1, clean.len, stdout);
    buf_fini(&clean);
    return fflush(stdout) ? err_set(err, errno, "cannot write the output: %s",
                                    strerror(errno))
                          : 0;
}

static void write_path(struct buf *path, const struct invocation *in)
{
    buf_puts(path, "/berth/logs?model=");
    client_escape(path, str_of(in->args[0]));
    buf_puts(path, in->option[OPTION_FOLLOW] ? "&follow=1" : "");
    buf_putc(path, 0);
}

int cmd_logs(const struct invocation *in, struct err *err)
{
    struct client *c = NULL;
    struct reply reply = {0};
    struct buf path = BUF_MAX(4096);
    int r = client_open(&c, in, err);
    if (r < 0)
        return r;
    write_path(&path, in);
    struct request request = {.method = "GET",
                              .path = path.p,
                              .stream_type = "text/plain",
                              .data = print_piece};
    r = path.failed ? err_set(err, E2BIG, "the name of the model is too long")
                    : client_call(c, &request, &reply, err);
    reply_fini(&reply);
    buf_fini(&path);
    client_close(c);
    return r;
}
