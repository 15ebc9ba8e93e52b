"""Drives berth-fetch by frames, as the daemon does."""

import os
from pathlib import Path

from framing import Child

BUILD = Path(os.environ.get("BERTH_BUILD") or Path(__file__).resolve().parents[2] / "build")


class Fetch:
    """One job. done(): DONE's result; fails(code): ERROR's sentence."""

    def __init__(self, task, stderr=None, **params):
        self.child = Child(BUILD / "berth-fetch", stderr=stderr)
        self.pid = self.child.process.pid
        self.child.hello()
        params = {k: str(v) if isinstance(v, Path) else v for k, v in params.items()}
        self.child.send("JOB", {"task": task, "params": params}, job=7)
        self.status = []

    def until_bytes(self, n):
        """Until the job says that n bytes are done."""
        while True:
            frame = self.child.recv()
            assert frame and frame.type == "STATUS", frame
            self.status.append(frame.body)
            if frame.body.get("done", 0) >= n:
                return frame.body["done"]

    def answer(self):
        frame, seen = self.child.recv_until("DONE", "ERROR", timeout=120)
        self.status += [f.body for f in seen]
        assert frame is not None, "it ended without an answer"
        assert frame.job in (7, 0)
        self.fds = frame.fds
        assert self.child.end() == 0
        return frame

    def done(self):
        frame = self.answer()
        assert frame.type == "DONE", frame.body
        return frame.body["result"]

    def fails(self, code):
        frame = self.answer()
        assert frame.type == "ERROR", frame.body
        assert frame.body["code"] == code, frame.body
        assert frame.body["text"][-1:] and "\n" not in frame.body["text"]
        return frame.body["text"]

    def kill(self):
        self.child.process.kill()
        self.child.process.wait()
        self.child.close()


def pull(hub, cache, repo="acme/tiny", task="pull", **params):
    return Fetch(task, repo=repo, endpoint=hub if isinstance(hub, str) else hub.url,
                 **({"cache": cache} if task != "headers" else {}), **params)


def snapshot_files(folder):
    folder = Path(folder)
    return {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if not p.is_dir()}


def everything(cache):
    """All that is below a folder, links and their targets included."""
    cache = Path(cache)
    if not cache.exists():
        return []
    return sorted(p.relative_to(cache).as_posix() for p in cache.rglob("*"))


def blobs(cache):
    """Names in blobs/ of every model: finished ones and partial ones."""
    return sorted(p.name for p in Path(cache).glob("models--*/blobs/*"))
