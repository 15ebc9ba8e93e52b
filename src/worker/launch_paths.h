/* worker/launch_paths.h - what the Transformers server may open, as lists for
 * the sandbox. */
#ifndef WORKER_LAUNCH_PATHS_H
#define WORKER_LAUNCH_PATHS_H
#include "base/err.h"
#include "base/fs.h"

enum { LAUNCH_PATHS_MAX = 128 };

/* Paths, each allocated, NULL behind the last. */
struct path_list {
    char *v[LAUNCH_PATHS_MAX + 1];
    int n;
};

struct launch_paths {
    char python[FS_PATH_MAX]; /* BACKEND/bin/python: what it is called by */
    int python_fd;            /* the program that this leads to */
    struct path_list read, execute, devices;
};

/* The interpreter, its libraries, the system's, what torch asks the kernel, and
 * the files of the device ("cpu", "cuda", "cuda:1", "xla", "auto"; of one that
 * is unknown, as of one that is not there, nothing: the server says so). Zero
 * *p before; free it whatever comes. */
int launch_paths_find(struct launch_paths *p, const char *backend,
                      const char *device, struct err *err) MUST_CHECK;
/* One more folder to read. */
int launch_paths_read(struct launch_paths *p, const char *path,
                      struct err *err) MUST_CHECK;
void launch_paths_fini(struct launch_paths *p);

#endif
