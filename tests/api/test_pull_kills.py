"""A pull killed at system calls of every kind that leaves something on the disk.

strace kills berth-fetch on entry of the N-th such call. Whatever is there then,
nothing is under a final name that does not hash to it, and the next pull ends
well, leaves no temporary file, and fetches no byte twice but what was on its way.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "hub")]

from fetching import BUILD, Fetch, everything, pull, snapshot_files  # noqa: E402
from framing import Child  # noqa: E402
from repos import TAKEN, hub, root  # noqa: E402,F401

CALLS = {"mkdirat": 9, "openat": 60, "flock": 8, "pwrite64": 20, "fsync": 14, "renameat": 13,
         "symlinkat": 6, "unlinkat": 8, "write": 4, "sendmsg": 5}
STEP = {"openat": 7, "pwrite64": 3, "fsync": 2}
CASES = [(call, n) for call, most in CALLS.items() for n in range(1, most + 1, STEP.get(call, 1))]


class Killed(Fetch):
    """A pull that strace ends; or it ends first, when there is no N-th call."""

    def __init__(self, hub, cache, call, n, log):
        self.child = Child(shutil.which("strace"), "-f", "-qq", "-o", log, "-e", f"trace={call}",
                           "-e", f"inject={call}:signal=KILL:when={n}", BUILD / "berth-fetch")
        try:
            self.child.send("HELLO", {"version": 1, "build": "t", "kind": "daemon",
                                      "degraded": True})
            self.child.send("JOB", {"task": "pull", "params": {
                "repo": "acme/tiny", "endpoint": hub.url, "cache": str(cache)}}, job=7)
            while self.child.recv(10) is not None:
                pass
        except ConnectionError:
            pass
        self.child.end()


def check_names(cache):
    for blob in cache.glob("models--*/blobs/*"):
        if "." in blob.name:
            continue
        data = blob.read_bytes()
        assert blob.name in (hashlib.sha256(data).hexdigest(),
                             hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())
    for link in cache.glob("models--*/snapshots/*/**/*"):
        assert link.is_dir() or link.exists(), f"{link} leads nowhere"


@pytest.mark.skipif(not shutil.which("strace"), reason="no strace here")
@pytest.mark.parametrize("call, n", CASES)
def test_killed_at(hub, root, tmp_path, call, n):
    cache = tmp_path / "cache"
    Killed(hub, cache, call, n, tmp_path / "strace")
    check_names(cache)
    weights = (root / "acme/tiny/model.safetensors").stat().st_size
    result = pull(hub, cache).done()
    check_names(cache)
    files = snapshot_files(result["snapshot"])
    assert set(files) == TAKEN
    assert not [p for p in everything(cache) if os.path.basename(p) in (".link", ".ref")
                or p.endswith(".incomplete")]
    assert hub.sent("_cdn") <= weights + (8 << 20)
