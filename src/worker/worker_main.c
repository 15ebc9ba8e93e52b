/* worker/worker_main.c - berth-worker: serves one model to the daemon that
 * started it.
 */
#include "kernels/cpu.h"
#include "kernels/kernels.h"
#include "worker/worker.h"
#include <stdio.h>
#include <string.h>

static int usage(void)
{
    fputs("usage: berth-worker [--inspect | --level [CAP] | --version]\n"
          "       berth-worker --launch --backend DIR --device DEVICE "
          "[--read DIR]...\n"
          "berthd starts this program; it does nothing when typed.\n",
          stderr);
    return 2;
}

/* The kernel level of this machine, not above cap. */
static int say_level(const char *cap)
{
    struct kernels k;
    int64_t isa = cpu_cap(cpu_detect(), cap);
    if (isa < 0)
        return usage();
    kernels_init(&k, (uint32_t)isa);
    return puts(k.level) < 0;
}

int main(int argc, char **argv)
{
    struct worker w = {.wake_fd = -1, .term_fd = -1, .statm_fd = -1};
    if ((argc == 2 || argc == 3) && !strcmp(argv[1], "--level"))
        return say_level(argc == 3 ? argv[2] : "");
    if (argc > 2 && !strcmp(argv[1], "--launch")) {
        int r = worker_launch(&w, argc, argv);
        return r < 0 ? usage() : r;
    }
    if (argc > 2)
        return usage();
    if (argc == 2 && !strcmp(argv[1], "--version"))
        return puts("berth-worker " BERTH_VERSION) < 0;
    if (argc == 2 && strcmp(argv[1], "--inspect"))
        return usage();
    w.inspect = argc == 2;
    return worker_serve(&w);
}
