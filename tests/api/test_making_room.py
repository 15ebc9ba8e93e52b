"""Three deployments where two fit, used in turn by eight clients: every answer is right, each move is an event, and the
memory stays within its budget throughout."""
import json
import threading
import time

import numpy as np
import pytest

from daemon import MINILM, MODELS, Daemon

NAMES = ["one", "two", "three"]
CLIENTS, ROUNDS = 8, {"native": 6, "transformers": 2}
ROOM = 2.5  # of what one needs


class Events(threading.Thread):
    """Follows /berth/events until the daemon ends the stream."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.connection = daemon.connect()
        self.connection.request("GET", "/berth/events")
        self.answer = self.connection.getresponse()
        self.seen = []
        self.start()

    def run(self):
        for line in self.answer:
            if line.startswith(b"data: "):
                self.seen.append(json.loads(line[6:]))


class Watch(threading.Thread):
    """Looks at the memory that is reserved, and at how many are loaded, again and again."""

    def __init__(self, daemon):
        super().__init__()
        self.daemon_, self.over, self.most, self.budget = daemon, threading.Event(), 0, 0
        self.start()

    def run(self):
        connection = self.daemon_.connect()
        while not self.over.wait(0.01):
            memory = self.daemon_.ask("GET", "/berth/status", connection=connection)[2]["memory"]
            self.most, self.budget = max(self.most, memory["reserved"]), memory["budget"]


def use_in_turn(d, rounds, want, errors, client):
    connection = d.connect()
    for i in range(rounds * len(NAMES)):
        name = NAMES[(i + client) % len(NAMES)]
        status, _, answer = d.ask("POST", "/v1/embeddings", {"model": name, "input": f"text {client}"}, connection=connection)
        if status != 200:
            errors.append((name, status, answer))
        elif not np.allclose(answer["data"][0]["embedding"], want[client], atol=5e-6):
            errors.append((name, "another vector"))


def run(tmp_path, backend):
    with Daemon(tmp_path / "first") as d:
        d.add("one", MODELS / MINILM)
        need = d.post("/berth/load", model="one", backend=backend)["need_bytes"]
        want = [d.post("/v1/embeddings", model="one", input=f"text {c}")["data"][0]["embedding"] for c in range(CLIENTS)]
    with Daemon(tmp_path / "second", config=f"memory: {int(ROOM * need)}\nqueue_jobs: 64\n") as d:
        for name in NAMES:
            d.add(name, MODELS / MINILM)
        for name in NAMES:
            d.post("/berth/load", model=name, backend=backend)
        events, watch, errors = Events(d), Watch(d), []
        clients = [threading.Thread(target=use_in_turn, args=(d, ROUNDS[backend], want, errors, c)) for c in range(CLIENTS)]
        began = time.monotonic()
        for c in clients:
            c.start()
        for c in clients:
            c.join()
        seconds = time.monotonic() - began
        watch.over.set()
        watch.join()
        assert errors == []
        moves = [e for e in events.seen if e["type"] == "deployment"]
        evicted = [e for e in moves if e["to"] == "draining"]
        assert evicted and all(e["reason"].startswith("to make room for ") for e in evicted), evicted
        assert 0 < watch.most <= watch.budget
        print(f"{backend}: {CLIENTS * ROUNDS[backend] * len(NAMES)} answers in {seconds:.1f} s, {len(evicted)} made room, at most "
              f"{watch.most} of {watch.budget} bytes reserved")
        for before, after in zip(evicted, evicted[1:]):
            assert before["seq"] < after["seq"]


@pytest.mark.timeout(300)
def test_native_deployments_make_room_in_turn(tmp_path):
    run(tmp_path, "native")


@pytest.mark.timeout(600)
def test_transformers_deployments_make_room_in_turn(tmp_path):
    run(tmp_path, "transformers")


def test_priority_and_pins_decide_who_goes(tmp_path):
    with Daemon(tmp_path / "first") as d:
        d.add("one", MODELS / MINILM)
        need = d.post("/berth/load", model="one")["need_bytes"]
    with Daemon(tmp_path / "second", config=f"memory: {int(ROOM * need)}\n") as d:
        for name in NAMES:
            d.add(name, MODELS / MINILM)
        state = lambda name: d.get(f"/berth/models/{name}")["state"]  # noqa: E731
        d.post("/berth/load", model="one", priority=2)
        d.post("/berth/load", model="two", priority=7)
        d.post("/v1/embeddings", model="one", input="used last")
        d.post("/berth/load", model="three")
        assert [state(n) for n in NAMES] == ["idle", "ready", "ready"], "the lowest priority goes first"
        d.post("/berth/unload", model="three")
        d.post("/berth/load", model="one", pin=True)
        d.post("/berth/load", model="two", priority=5)
        d.post("/berth/load", model="three", priority=5)
        assert [state(n) for n in NAMES] == ["ready", "idle", "ready"], "a pinned one stays"
        d.post("/berth/load", model="three", pin=True)
        status, _, answer = d.ask("POST", "/berth/load", {"model": "two"})
        assert status == 507 and "needs" in answer["error"]["message"], answer
        assert [state(n) for n in NAMES] == ["ready", "failed", "ready"]


def test_an_idle_deployment_goes_after_its_time(tmp_path):
    with Daemon(tmp_path) as d:
        d.add("one", MODELS / MINILM)
        events = Events(d)
        d.post("/berth/load", model="one", keep_alive="1")
        deadline = time.monotonic() + 30
        while d.get("/berth/models/one")["state"] != "idle":
            assert time.monotonic() < deadline
        [gone] = [e for e in events.seen if e["type"] == "deployment" and e["to"] == "draining"]
        assert gone["reason"] == "idle for 1 s"
