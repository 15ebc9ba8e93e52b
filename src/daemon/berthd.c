/* daemon/berthd.c - the daemon's command line. */
#include "base/log.h"
#include "daemon/daemon.h"
#include "daemon/listen.h"
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OPT_LISTEN = 256,
    OPT_SOCKET,
    OPT_HOME,
    OPT_CONFIG,
    OPT_OPEN,
    OPT_VERSION
};

static const struct argp_option options[] = {
    {"listen", OPT_LISTEN, "HOST:PORT", 0,
     "Listen here; may be repeated; port 0 takes a free one", 0},
    {"socket", OPT_SOCKET, "PATH", 0, "The unix socket, HOME/berth.sock", 0},
    {"home", OPT_HOME, "DIR", 0, "Where the state is", 0},
    {"config", OPT_CONFIG, "FILE", 0,
     "The configuration, HOME/berth.yaml or /etc/berth/berth.yaml", 0},
    {"insecure-no-auth", OPT_OPEN, 0, 0,
     "Listen beyond loopback though there are no keys", 0},
    {"version", OPT_VERSION, 0, 0, "Print the version", 0},
    {0},
};

struct arguments {
    struct daemon_options o;
    const char *listen[LISTEN_MAX];
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case OPT_LISTEN:
        if (a->o.n_listen == LISTEN_MAX)
            argp_error(state, "at most %d addresses", LISTEN_MAX);
        a->listen[a->o.n_listen++] = value;
        return 0;
    case OPT_SOCKET:
        a->o.socket = value;
        return 0;
    case OPT_HOME:
        a->o.home = value;
        return 0;
    case OPT_CONFIG:
        a->o.config = value;
        return 0;
    case OPT_OPEN:
        a->o.insecure_no_auth = true;
        return 0;
    case OPT_VERSION:
        puts("berthd " BERTH_VERSION);
        exit(0);
    case ARGP_KEY_ARG:
        argp_error(state, "there is nothing to do with '%s'", value);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse,
        NULL,    "berthd - serves Hugging Face models on this machine",
        NULL,    NULL,
        NULL};
    struct arguments a = {0};
    struct err err = {0};
    a.o.listen = a.listen;
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (daemon_run(&a.o, &err) < 0) {
        log_error("daemon: %s", err.msg);
        return 1;
    }
    return 0;
}
