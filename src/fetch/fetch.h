/* fetch/fetch.h - the jobs that berth-fetch does, one JOB a process.
 *
 * Spawned with its end of a socketpair as descriptor 3, no arguments, an empty
 * environment. The daemon's HELLO comes first, berth-fetch answers with its own
 * (kind "fetch"), reads one JOB, shuts itself in (STATUS "sandbox"), works,
 * answers DONE or ERROR, and exits 0. CANCEL stops it between two
 * bytes: ERROR cancelled, partial files stay for the next time. DRAIN is what
 * it does anyway: finish, then exit. When the daemon goes, it goes.
 *
 * JOB params, text unless said otherwise:
 *   pull, headers
 *     repo      "org/name"
 *     revision  branch, tag or commit; "" = main
 *     endpoint  "https://huggingface.co"
 *     token     "" = none; never logged, never given to another host
 *     cache     the cache's folder, absolute (pull)
 *     offline   bool: nothing may be asked of the network (pull: answers with
 *               the snapshot that the cache has, if it is whole and its bytes
 *               hash to what their blobs are called)
 *     files     array of text: take these instead of hub_select()'s choice
 *     proxy, no_proxy, ca_file   what the daemon's environment says, or ""
 *   verify
 *     cache, repo, commit        a snapshot in the cache, or
 *     folder                     a plain folder
 *   remove
 *     cache, repo, commit        the snapshot; its blobs unless others link
 * them
 *
 * STATUS while it works, at most ten a second: phase ("resolving",
 * "downloading", "verifying", "placing",
 * "removing"), done, all (bytes), rate (bytes a
 * second), file.
 *
 * DONE.result:
 *   pull     {repo, revision, commit, snapshot: path, bytes, downloaded,
 *             gated: bool, licence, files: [{name, size, hash, kind}]}
 *             kind: "sha256" or "git-sha1"
 *   headers  {repo, revision, commit, bytes: of all that a pull would take,
 *             gated, licence, files: [{name, size, fd}]}; fd: index among the
 *             frame's descriptors (sealed memfds that hold the whole file, or
 *             the beginning of a *.safetensors, at least up to the end of its
 *             header); -1: larger than 1 MiB, only named
 *   verify   {files: [{name, size, state, hash, kind}], wrong: n, unknown: n}
 *             state: "ok", "wrong", "unknown" (nothing says what it must be);
 *             hash, kind: what the bytes are
 *   remove   {removed: files, freed: bytes}
 *
 * ERROR codes: invalid_request, model_not_found, gated, unauthorized,
 * hub_unreachable, wrong_hash, damaged_file, disk_full,
 * unsupported_architecture, too_large, cancelled, internal.
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H
#include "base/err.h"

/* Serves one job on the channel at fd; what main() returns. */
int fetch_serve(int fd);

#endif
