"""A Transformers server's life in the real daemon: loaded and unloaded, killed, stopped, short of memory, made to wait."""
import os
import pathlib
import resource
import signal
import statistics
import threading
import time

import pytest

from daemon import MINILM, MODELS, Daemon, alive, until
from test_kills import Load

CYCLES = int(os.environ.get("BERTH_CYCLES", 12))
WARM = 4
GROWTH_BYTES = 64 * 1024
NO_STANDBY = "transformers:\n  standby: 0\n"


@pytest.fixture
def daemon(tmp_path):
    with Daemon(tmp_path) as d:
        d.add(MINILM, MODELS / MINILM)
        yield d


def load(daemon):
    return daemon.post("/berth/load", model=MINILM, backend="transformers")


def standby(daemon):
    """Process ids of the interpreters that wait: children that serve no model."""
    return sorted(set(daemon.children()) - set(daemon.workers()))


def one_waits(daemon):
    return until(lambda: daemon.get("/berth/status")["standby"]["ready"] == 1 and standby(daemon), 60, "a standby")


def files_of(daemon):
    return {p for top in (daemon.home, daemon.cache, pathlib.Path("/dev/shm")) for p in top.rglob("*")}


@pytest.mark.timeout(900)
def test_cycles_of_load_run_unload_leave_nothing_behind(daemon):
    """BERTH_CYCLES=50 for the long form. After an unload one interpreter waits, and that is all there is."""
    daemon.keep_connection()
    seen, took = {}, []
    for cycle in range(1, CYCLES + 1):
        began = time.monotonic()
        load(daemon)
        took.append(time.monotonic() - began)
        (pid,) = daemon.workers()
        answer = daemon.post("/v1/embeddings", model=MINILM, input=[f"cycle {cycle}", "and a second text"])
        assert [len(v["embedding"]) for v in answer["data"]] == [384, 384]
        daemon.post("/berth/unload", model=MINILM)
        assert not alive(pid), "the server outlived the answer of unload"
        one_waits(daemon)
        assert len(daemon.children()) == 1
        seen[cycle] = (daemon.descriptors(), daemon.threads(), files_of(daemon)), daemon.rss_anon()
    print(f"{CYCLES} cycles: descriptors {seen[WARM][0][0]} and {seen[CYCLES][0][0]}, threads {seen[CYCLES][0][1]}, "
          f"RssAnon {seen[WARM][1]} and {seen[CYCLES][1]}; loads from a standby: median "
          f"{statistics.median(took[1:]):.2f} s, the first {took[0]:.2f} s")
    assert seen[CYCLES][0] == seen[WARM][0]
    assert seen[CYCLES][1] - seen[WARM][1] <= GROWTH_BYTES


@pytest.mark.timeout(300)
def test_killed_servers_cost_no_request(daemon):
    load(daemon)
    one_waits(daemon)
    with Load(daemon) as clients:
        for _ in range(3):
            clients.wait_for(20)
            (pid,) = until(daemon.workers, what="a server")
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            clients.wait_for(1)
            print(f"kill -9 to the next answer: {time.monotonic() - killed:.2f} s")
        clients.wait_for(20)
    assert clients.errors == []
    shown = daemon.get(f"/berth/models/{MINILM}")
    assert shown["restarts"] == 3 and daemon.get("/berth/status")["worker_deaths"] == 3


@pytest.mark.timeout(120)
def test_a_hang_is_healed_and_reported(daemon):
    load(daemon)
    one_waits(daemon)
    (pid,) = daemon.workers()
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    answer = daemon.post("/v1/embeddings", model=MINILM, input="asked of a process that stands still")
    assert len(answer["data"][0]["embedding"]) == 384
    print(f"SIGSTOP to the answer: {time.monotonic() - began:.1f} s")
    assert not alive(pid)
    assert "made no progress" in daemon.log()


@pytest.mark.timeout(120)
def test_too_little_memory_is_an_error_and_no_death(daemon):
    load(daemon)
    one_waits(daemon)
    (pid,) = daemon.workers()
    _, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
    resource.prlimit(pid, resource.RLIMIT_DATA, (4096, hard))  # nothing more can be had
    status, _, answer = daemon.ask("POST", "/v1/embeddings", {"model": MINILM, "input": "many words " * 120})
    assert status == 507 and answer["error"]["code"] == "insufficient_memory", (status, answer)
    resource.prlimit(pid, resource.RLIMIT_DATA, (hard, hard))
    assert len(daemon.post("/v1/embeddings", model=MINILM, input="a short one")["data"]) == 1
    assert daemon.workers() == [pid]


@pytest.mark.timeout(120)
def test_unload_in_the_midst_of_a_load_leaves_nothing(tmp_path):
    with Daemon(tmp_path, config=NO_STANDBY) as d:
        d.add(MINILM, MODELS / MINILM)
        asked = threading.Thread(target=d.ask, args=("POST", "/berth/load", {"model": MINILM, "backend": "transformers"}))
        asked.start()
        until(d.children, what="a child")
        d.post("/berth/unload", model=MINILM)
        asked.join()
        assert until(lambda: not d.children(), what="no child") and d.get(f"/berth/models/{MINILM}")["state"] == "idle"


@pytest.mark.timeout(120)
def test_the_daemons_end_takes_all_of_them_along(daemon):
    load(daemon)
    one_waits(daemon)
    children = daemon.children()
    assert len(children) == 2
    daemon.process.kill()
    killed = time.monotonic()
    daemon.process.wait()
    until(lambda: not any(alive(p) for p in children), 1 - (time.monotonic() - killed), "the children's end")
    daemon.start()


@pytest.mark.timeout(120)
def test_start_with_and_without_a_standby(tmp_path):
    """Figures, not limits: time from the load to ready and to the first answer, and what the processes hold."""
    def rss(pid, key="VmRSS"):
        return next(int(line.split()[1]) / 1024 for line in open(f"/proc/{pid}/status") if line.startswith(key))

    def load_and_ask(d):
        began = time.monotonic()
        load(d)
        ready = time.monotonic() - began
        d.post("/v1/embeddings", model=MINILM, input="the first")
        return ready, time.monotonic() - began

    with Daemon(tmp_path) as d:
        d.add(MINILM, MODELS / MINILM)
        print("without a standby: ready in %.2f s, first answer after %.2f s" % load_and_ask(d))
        for _ in range(3):
            d.post("/berth/unload", model=MINILM)
            (waiting,) = one_waits(d)
            memory = f"RSS of the standby {rss(waiting):.0f} MiB (anonymous {rss(waiting, 'RssAnon'):.0f})"
            print("from a standby: ready in %.2f s, first answer after %.2f s" % load_and_ask(d), memory)
            assert d.workers() == [waiting], "the interpreter that waited serves the model"
        print(f"RSS of the server {rss(waiting):.0f} MiB (anonymous {rss(waiting, 'RssAnon'):.0f})")
