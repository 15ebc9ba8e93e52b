/* worker/worker_main.c - berth-worker: serves one model to the daemon that
 * started it.
 */
#include "worker/worker.h"
#include <stdio.h>
#include <string.h>

static int usage(void)
{
    fputs("usage: berth-worker [--inspect | --version]\n"
          "berthd starts this program; it does nothing when typed.\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct worker w = {.wake_fd = -1, .term_fd = -1, .statm_fd = -1};
    if (argc > 2)
        return usage();
    if (argc == 2 && !strcmp(argv[1], "--version"))
        return puts("berth-worker " BERTH_VERSION) < 0;
    if (argc == 2 && strcmp(argv[1], "--inspect"))
        return usage();
    w.inspect = argc == 2;
    return worker_serve(&w);
}
