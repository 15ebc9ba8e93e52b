/* manager/supervisor.h - the real world's children: spawn, listen, reap.
 *
 * The main thread alone forks (PR_SET_PDEATHSIG follows the thread). A child
 * gets its end of a socketpair as descriptor 3, a pipe as standard error,
 * /dev/null as its other two, an empty environment and nothing else. Its end is
 * seen through a pidfd in the loop; there is no SIGCHLD handler.
 */
#ifndef MANAGER_SUPERVISOR_H
#define MANAGER_SUPERVISOR_H
#include "manager/world.h"

struct supervisor;

/* programs: the folder of berth-worker and berth-fetch; copied. */
struct supervisor *supervisor_open(struct loop *loop, const char *programs);
/* Kills and reaps whatever still lives, without telling anybody. */
void supervisor_close(struct supervisor *s);

/* As in struct manager_world. */
struct world_child *supervisor_spawn(struct supervisor *s,
                                     enum world_program program,
                                     const struct world_launch *launch,
                                     const struct world_ears *ears, void *ctx,
                                     int *ret_pid, struct err *err);
struct buf *supervisor_begin(struct world_child *c, enum frame_type type,
                             uint64_t job);
int supervisor_send(struct world_child *c, const int *fds, int n_fds);
void supervisor_signal(struct world_child *c, int signal);

#endif
