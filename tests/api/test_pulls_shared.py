"""Several clients and one pull: it ends with the last of them, whatever name each gave it."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hub"))

from daemon import Daemon, until  # noqa: E402
from repos import hub, root  # noqa: E402,F401


class Watcher:
    """One client that follows a pull."""

    def __init__(self, daemon, model):
        self.connection = daemon.connect()
        body = json.dumps({"model": model, "stream": True})
        self.connection.request("POST", "/berth/pull", body, {"Content-Type": "application/json"})
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200

    def leave(self):
        self.answer.close()
        self.connection.close()

    def last_event(self):
        name = None
        for line in self.answer:
            if line.startswith(b"event: "):
                name = line[7:].strip().decode()
            if name and line.startswith(b"data: "):
                return name, json.loads(line[6:])
        raise EOFError


def test_one_that_leaves_does_not_end_the_pull_of_another_name(hub, tmp_path):  # noqa: F811
    hub.fault("stall", "_cdn/.*model.safetensors", after=1 << 20)
    with Daemon(tmp_path, HF_ENDPOINT=hub.url) as d:
        first, second = Watcher(d, "acme/tiny"), Watcher(d, "acme/tiny@main")
        until(lambda: sum(p.stat().st_size for p in d.cache.rglob("*.incomplete")) >= 1 << 20)
        first.leave()
        until(lambda: 'route="/berth/pull",method="POST",code="200"' in d.get("/metrics"))
        hub.clear()
        name, said = second.last_event()
        assert name == "done", said
        assert said["model_state"] == "registered"
        second.leave()
