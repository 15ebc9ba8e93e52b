/* daemon/limits.c - what this process and this machine may use. */
#include "daemon/limits.h"
#include "base/buf.h"
#include "base/fs.h"
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* The number at the beginning of a file; UINT64_MAX when there is none. */
static uint64_t read_number(const char *path)
{
    struct buf b = BUF_MAX(4096);
    struct err err;
    uint64_t v = UINT64_MAX;
    if (fs_read(AT_FDCWD, path, &b, &err) == 0 && buf_putc(&b, 0) == 0 &&
        b.p[0] >= '0' && b.p[0] <= '9')
        v = strtoull(b.p, NULL, 10);
    buf_fini(&b);
    return v;
}

/* /proc/self/cgroup: "0::/path" (v2) or "4:memory:/path" (v1). A container sees
 * its own group at the mount's root: both places are looked at. */
static uint64_t cgroup_limit(void)
{
    struct buf b = BUF_MAX(65536);
    struct err err;
    uint64_t least = UINT64_MAX;
    char path[FS_PATH_MAX];
    if (fs_read(AT_FDCWD, "/proc/self/cgroup", &b, &err) < 0 ||
        buf_putc(&b, 0) < 0)
        b.len = 0;
    for (char *line = b.len ? b.p : NULL; line && *line;) {
        char *end = strchr(line, '\n');
        size_t n = end ? (size_t)(end - line) : strlen(line);
        struct str s = str_n(line, n);
        const char *format = NULL, *at = NULL;
        if (str_starts(s, "0::")) {
            format = "/sys/fs/cgroup%.*s/memory.max";
            at = line + 3;
        } else if ((at = memmem(line, n, ":memory:", 8))) {
            format = "/sys/fs/cgroup/memory%.*s/memory.limit_in_bytes";
            at += 8;
        }
        if (format) {
            size_t len = n - (size_t)(at - line);
            snprintf(path, sizeof(path), format, (int)len, at);
            uint64_t own = read_number(path);
            snprintf(path, sizeof(path), format, 0, "");
            uint64_t root = read_number(path);
            least = own < least ? own : least;
            least = root < least ? root : least;
        }
        line = end ? end + 1 : NULL;
    }
    buf_fini(&b);
    return least;
}

static uint64_t available(void)
{
    struct buf b = BUF_MAX(65536);
    struct err err;
    uint64_t kib = 0;
    if (fs_read(AT_FDCWD, "/proc/meminfo", &b, &err) == 0 &&
        buf_putc(&b, 0) == 0) {
        const char *line = strstr(b.p, "MemAvailable:");
        kib = line ? strtoull(line + strlen("MemAvailable:"), NULL, 10) : 0;
    }
    buf_fini(&b);
    return kib * 1024;
}

uint64_t limits_memory(void)
{
    uint64_t limit = cgroup_limit(), here = available();
    uint64_t least = limit < here ? limit : here;
    return least / 10 * 9;
}

int limits_cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set))
        return 1;
    return CPU_COUNT(&set);
}

uint64_t limits_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r))
        return 1024;
    r.rlim_cur = r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r))
        getrlimit(RLIMIT_NOFILE, &r);
    return r.rlim_cur;
}
