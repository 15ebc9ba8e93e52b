/* base/fs.h - files and folders, the few things that libc has no word for. */
#ifndef BASE_FS_H
#define BASE_FS_H
#include "base/buf.h"
#include "base/err.h"
#include <sys/stat.h>
#include <sys/types.h>

enum { FS_PATH_MAX = 4096 };

/* Joins with '/' into out[FS_PATH_MAX]; -ENAMETOOLONG if it does not fit. */
int fs_join(char *out, const char *dir, const char *name) MUST_CHECK;
/* mkdir -p. */
int fs_mkdir_p(const char *path, mode_t mode, struct err *err) MUST_CHECK;
/* Reads a whole file or descriptor (from its start) up to out->max bytes. */
int fs_read(int dir_fd, const char *path, struct buf *out,
            struct err *err) MUST_CHECK;
int fs_read_fd(int fd, struct buf *out, struct err *err) MUST_CHECK;
/* Writes beside, fsyncs, renames over path, fsyncs the folder. */
int fs_write_atomic(const char *path, struct str bytes, mode_t mode,
                    struct err *err) MUST_CHECK;
/* All of n bytes to fd, through short writes and EINTR. */
int fs_write_all(int fd, const void *p, size_t n) MUST_CHECK;
/* fstat() by its own system call. libc's goes by newfstatat(), which a worker's
 * filter denies, since it takes any path. 0, or -1 with errno. */
int fs_fstat(int fd, struct stat *st) MUST_CHECK;
/* The folder that holds the running program, into out[FS_PATH_MAX]. */
int fs_program_dir(char *out) MUST_CHECK;

#endif
