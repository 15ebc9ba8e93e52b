"""Deployments that do not fit together make room for each other: whose turn it is, who goes first, who stays, and what
makes room by itself. Every answer is there and right, each move is an event, and the memory stays inside the budget."""
import contextlib
import http.client
import json
import threading
import time

import numpy as np
import pytest

from daemon import MINILM, MODELS, Daemon, alive, until

NAMES = ("one", "two", "three")
CLIENTS, ROUNDS = 8, {"native": 30, "transformers": 6}
NEAR = 5e-6  # how far the vectors of one text may be apart, computed beside others


@contextlib.contextmanager
def two_and_a_half(folder, backend):
    """A daemon that knows MiniLM under three names, and has memory for two and a half."""
    with Daemon(folder / "first") as d:
        d.add("one", MODELS / MINILM)
        need = d.post("/berth/load", model="one", backend=backend)["need_bytes"]
    with Daemon(folder / "second", config=f"memory: {need * 5 // 2}\n") as d:
        for name in NAMES:
            d.add(name, MODELS / MINILM)
        yield d


@pytest.fixture
def two_fit(tmp_path):
    with two_and_a_half(tmp_path, "native") as d:
        yield d


def state(daemon, name):
    return daemon.get(f"/berth/models/{name}")["state"]


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
        with contextlib.suppress(OSError, http.client.HTTPException):
            for line in self.answer:
                if line.startswith(b"data: "):
                    self.seen.append(json.loads(line[6:]))

    def unloads(self):
        return [e for e in list(self.seen) if e["type"] == "deployment" and e["to"] == "draining"]


class Watch(threading.Thread):
    """Looks at the memory that is reserved, again and again: the most of it, as a part of the budget."""

    def __init__(self, daemon):
        super().__init__()
        self.daemon_, self.over, self.most = daemon, threading.Event(), 0
        self.start()

    def run(self):
        connection = self.daemon_.connect()
        while not self.over.wait(0.01):
            memory = self.daemon_.ask("GET", "/berth/status", connection=connection)[2]["memory"]
            self.most = max(self.most, memory["reserved"] / memory["budget"])

    def end(self):
        self.over.set()
        self.join()
        return self.most


def ask_in_turn(d, client, rounds, texts, wanted, wrong):
    c = d.connect()
    for i in range(rounds):
        name = NAMES[(i + client) % len(NAMES)]
        status, _, answer = d.ask("POST", "/v1/embeddings", {"model": name, "input": texts[client]}, connection=c)
        if status != 200 or not np.allclose(answer["data"][0]["embedding"], wanted[client], atol=NEAR):
            wrong.append((name, status, str(answer)[:300]))
    c.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", ["native", "transformers"])
def test_three_that_fit_two_at_a_time_take_turns(tmp_path, backend):
    with two_and_a_half(tmp_path, backend) as d:
        for name in NAMES:
            d.post("/berth/load", model=name, backend=backend)
        texts = [f"client {i} asks" for i in range(CLIENTS)]
        wanted = [v["embedding"] for v in d.post("/v1/embeddings", model="one", input=texts)["data"]]
        events, watch, wrong = Events(d), Watch(d), []
        before = sum(m["unloads"]["evicted"] for m in d.get("/berth/models")["models"])
        clients = [threading.Thread(target=ask_in_turn, args=(d, i, ROUNDS[backend], texts, wanted, wrong))
                   for i in range(CLIENTS)]
        began = time.monotonic()
        for c in clients:
            c.start()
        for c in clients:
            c.join()
        took, most = time.monotonic() - began, watch.end()
        models = d.get("/berth/models")["models"]
        assert not wrong, wrong[:3]
        assert 0 < most <= 1.0
        assert {m["backend"] for m in models} == {backend}
        assert sum(m["unloads"]["crashed"] for m in models) == 0
        evicted = sum(m["unloads"]["evicted"] for m in models) - before
        moves = until(lambda: len(events.unloads()) >= evicted and events.unloads(), what="each move as an event")
        assert evicted > 0 and len(moves) == evicted
        assert all(e["reason"].startswith("to make room for ") for e in moves), moves
        assert all(a["seq"] < b["seq"] for a, b in zip(moves, moves[1:]))
        print(f"{backend}: {CLIENTS * ROUNDS[backend]} answers in {took:.1f} s, {evicted} made room, at most {most:.2f} of the "
              f"budget")


def test_the_lowest_priority_goes_first(two_fit):
    d = two_fit
    d.post("/berth/load", model="one", priority=2)
    d.post("/berth/load", model="two", priority=7)
    d.post("/v1/embeddings", model="one", input="used last")
    d.post("/berth/load", model="three")
    assert [state(d, n) for n in NAMES] == ["idle", "ready", "ready"]


def test_what_is_pinned_stays_and_what_cannot_fit_says_so(two_fit):
    d = two_fit
    d.post("/berth/load", model="one", pin=True)
    d.post("/berth/load", model="two")
    d.post("/v1/embeddings", model="two", input="used last")
    d.post("/berth/load", model="three")
    assert [state(d, n) for n in NAMES] == ["ready", "idle", "ready"]
    assert d.post("/berth/load", model="three", pin=True)["pin"] is True
    status, _, answer = d.ask("POST", "/berth/load", {"model": "two"})
    assert status == 507 and "MiB of the budget of" in answer["error"]["message"], answer
    assert d.ask("POST", "/v1/embeddings", {"model": "two", "input": "x"})[0] == 507
    assert [state(d, n) for n in NAMES] == ["ready", "failed", "ready"]
    d.post("/berth/load", model="one", pin=False)
    assert d.post("/berth/load", model="two")["state"] == "ready"
    assert [state(d, n) for n in NAMES] == ["idle", "ready", "ready"]
    metrics = d.get("/metrics")
    assert 'berth_model_unloads_total{model="one",reason="evicted"} 1' in metrics
    assert "berth_standby 0" in metrics


def test_a_wish_is_checked_and_shown(two_fit):
    d = two_fit
    m = d.post("/berth/load", model="one", keep_alive="10m", priority=7, backend="native", dtype="float32")
    assert (m["keep_alive"], m["priority"], m["backend"]) == (600, 7, "native")
    assert (m["backend_wanted"], m["backend_reason"]) == ("native", "native: asked for")
    for bad, code in (({"keep_alive": "soon"}, 400), ({"keep_alive": 0}, 400), ({"priority": 10}, 400), ({"pin": "yes"}, 400),
                      ({"backend": "onnx"}, 400), ({"dtype": 8}, 400), ({"device": "gpu"}, 400),
                      ({"dtype": "bf16"}, 409), ({"backend": "transformers"}, 409)):
        status, _, answer = d.ask("POST", "/berth/load", {"model": "one", **bad})
        assert status == code, (bad, answer)
        assert next(iter(bad)) in answer["error"]["message"]


def test_an_idle_model_goes_and_comes_back(two_fit):
    d = two_fit
    events = Events(d)
    d.post("/berth/load", model="two", keep_alive=1)
    [gone] = until(events.unloads, what="two to go")
    assert (gone["model"], gone["reason"]) == ("two", "idle for 1 s")
    until(lambda: state(d, "two") == "idle", what="its end")
    assert len(d.post("/v1/embeddings", model="two", input="x")["data"]) == 1


@pytest.mark.timeout(240)
def test_an_interpreter_that_waits_goes_before_anybody_else(tmp_path):
    with Daemon(tmp_path, config="memory: 1000 MiB\n") as d:
        for name in NAMES:
            d.add(name, MODELS / MINILM)

        def waiting():
            return d.get("/berth/status")["standby"]

        m = d.post("/berth/load", model="one", backend="transformers")
        assert (m["backend"], m["backend_reason"]) == ("transformers", "transformers: asked for")
        until(lambda: waiting()["ready"] == 1, 120, "an interpreter to wait")
        pid = waiting()["pid"]
        assert alive(pid) and "berth_standby 1\n" in d.get("/metrics")
        d.post("/berth/load", model="two")
        d.post("/berth/load", model="two#native")
        d.post("/berth/load", model="three")  # three of this size have no room beside it
        assert not alive(pid)
        status = d.get("/berth/status")
        assert status["standby"]["waiting"] == 0 and status["memory"]["reserved"] <= status["memory"]["budget"]
        listed = {m["name"]: m["state"] for m in d.get("/berth/models")["models"]}
        assert listed == {"one": "ready", "two": "ready", "two#native": "ready", "three": "ready"}
        for name in ("two", "two#native", "three"):
            d.post("/berth/unload", model=name)
        until(lambda: waiting()["waiting"] == 1, 10, "another to start")
        assert "two#native" not in {m["name"] for m in d.get("/berth/models")["models"]}
