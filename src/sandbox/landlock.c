/* sandbox/landlock.c - which paths a child may still open: by raw system calls,
 * with our own constants, since the headers of Debian 12 stop at ABI 2 and the
 * kernel decides at run time. */
#include "sandbox/sandbox_parts.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(n) (1ull << (n))

enum { RULE_PATH = 1, CREATE_VERSION = 1 };

/* clang-format off */
#define FS_EXECUTE     BIT(0)
#define FS_WRITE_FILE  BIT(1)
#define FS_READ_FILE   BIT(2)
#define FS_READ_DIR    BIT(3)
#define FS_REMOVE_DIR  BIT(4)
#define FS_REMOVE_FILE BIT(5)
#define FS_MAKE_DIR    BIT(7)
#define FS_MAKE_REG    BIT(8)
#define FS_MAKE_SYM    BIT(12)
#define FS_REFER       BIT(13) /* ABI 2: rename and link across folders */
#define FS_TRUNCATE    BIT(14) /* ABI 3 */
#define FS_IOCTL_DEV   BIT(15) /* ABI 5 */
#define FS_FIRST_ABI   (BIT(13) - 1)
#define NET_BIND_TCP   BIT(0)  /* ABI 4 */
#define NET_CONNECT_TCP BIT(1)
#define SCOPE_ALL      (BIT(0) | BIT(1)) /* ABI 6: abstract sockets, signals */
/* clang-format on */

#define FS_READ   (FS_READ_FILE | FS_READ_DIR)
#define FS_RUN    (FS_READ_FILE | FS_EXECUTE)
#define FS_DEVICE (FS_READ | FS_WRITE_FILE | FS_IOCTL_DEV)
#define FS_ON_FILE \
    (FS_EXECUTE | FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_WRITE                                                              \
    (FS_READ | FS_WRITE_FILE | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR | \
     FS_MAKE_REG | FS_MAKE_SYM | FS_REFER | FS_TRUNCATE)

struct ruleset { /* as of ABI 6; older kernels take a shorter one */
    uint64_t fs, net, scoped;
};
struct path_rule {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

static struct ruleset handled(enum sandbox_kind kind, int abi, size_t *ret_size)
{
    struct ruleset a = {.fs = FS_FIRST_ABI};
    *ret_size = 8;
    if (abi >= 2)
        a.fs |= FS_REFER;
    if (abi >= 3)
        a.fs |= FS_TRUNCATE;
    if (abi >= 4) {
        a.net = NET_BIND_TCP;
        if (kind != SANDBOX_FETCH)
            a.net |= NET_CONNECT_TCP;
        *ret_size = 16;
    }
    if (abi >= 5)
        a.fs |= FS_IOCTL_DEV;
    if (abi >= 6) {
        a.scoped = SCOPE_ALL;
        *ret_size = 24;
    }
    return a;
}

static int add_path(int set, const char *path, uint64_t rights, struct err *err)
{
    struct path_rule rule = {rights, open(path, O_PATH | O_CLOEXEC)};
    struct stat st;
    int r = 0;
    if (rule.fd < 0 || fstat(rule.fd, &st)) {
        r = -errno;
    } else {
        if (!S_ISDIR(st.st_mode))
            rule.allowed &= FS_ON_FILE;
        if (syscall(SYS_landlock_add_rule, set, RULE_PATH, &rule, 0))
            r = -errno;
    }
    if (rule.fd >= 0)
        close(rule.fd);
    return r < 0 ? err_set(err, -r, "sandbox: cannot allow %s: %s", path,
                           strerror(-r))
                 : 0;
}

/* What may only be read need not be there: /etc/gai.conf seldom is. */
static int add_paths(int set, const struct sandbox_rules *rules,
                     uint64_t handled_fs, struct err *err)
{
    const struct {
        const char *const *paths;
        uint64_t rights;
        bool must;
    } lists[] = {{rules->read, FS_READ, false},
                 {rules->write, FS_WRITE, true},
                 {rules->execute, FS_RUN, true},
                 {rules->devices, FS_DEVICE, true}};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const char *const *p = lists[i].paths; p && *p; p++) {
            int r = add_path(set, *p, lists[i].rights & handled_fs, err);
            if (r < 0 && (lists[i].must || r != -ENOENT))
                return r;
        }
    return 0;
}

int landlock_apply(const struct sandbox_rules *rules, struct err *err)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
    if (abi < 1)
        return err_set(err, ENOSYS, "this kernel has no Landlock");
    size_t size;
    struct ruleset attr = handled(rules->kind, (int)abi, &size);
    int set = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (set < 0)
        return err_set(err, errno, "sandbox: no Landlock rule set: %s",
                       strerror(errno));
    int r = add_paths(set, rules, attr.fs, err);
    if (r == 0 && syscall(SYS_landlock_restrict_self, set, 0))
        r = err_set(err, errno, "sandbox: Landlock refuses its rules: %s",
                    strerror(errno));
    close(set);
    return r < 0 ? r : (int)abi;
}
