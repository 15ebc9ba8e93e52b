/* cli/client.h - one daemon, asked over its unix socket.
 *
 * One thread, one request at a time.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H
#include "base/buf.h"
#include "base/json.h"
#include "cli/cli.h"

struct client;

/* Finds the socket: --socket, else BERTH_SOCKET, else BERTH_HOME, else the
 * first of the user's state folder and /run/berth where something listens.
 * -ECONNREFUSED with a sentence that says how to start a daemon. */
int client_open(struct client **ret, const struct invocation *in,
                struct err *err) MUST_CHECK;
void client_close(struct client *c); /* NULL is fine */
const char *client_socket(const struct client *c);

/* A piece of a streamed reply. A negative return ends the request with it. */
typedef int client_data_fn(void *ctx, struct str bytes, struct err *err);

struct request {
    const char *method; /* "GET" or "POST" */
    const char *path;   /* escaped: see client_escape() */
    struct str body;    /* JSON of a POST */
    /* A reply of this media type goes to data as it comes, any other is
     * collected. NULL: collect. */
    const char *stream_type;
    client_data_fn *data;
    void *ctx;
    bool interruptible; /* Ctrl-C ends the request with -E_CANCELLED */
};

struct reply {
    struct json_doc *doc; /* NULL when it was streamed, or is not JSON */
    struct buf body;
    bool streamed;
    bool truncated; /* the daemon cut a text that was too long */
};

/* A status of 400 or more is a failure, with the daemon's code and sentence.
 * *ret is to be ended with reply_fini() in any case. */
int client_call(struct client *c, const struct request *request,
                struct reply *ret, struct err *err) MUST_CHECK;
/* The two that most commands need. */
int client_get(struct client *c, const char *path, struct reply *ret,
               struct err *err) MUST_CHECK;
int client_post(struct client *c, const char *path, const struct buf *body,
                struct reply *ret, struct err *err) MUST_CHECK;
void reply_fini(struct reply *r);

/* Adds text so that it stands for itself in a path ('/' stays). */
void client_escape(struct buf *out, struct str text);

#endif
