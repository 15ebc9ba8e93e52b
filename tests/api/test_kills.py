"""What a client sees of kill -9 and SIGTERM under load: nothing, or its whole answer."""
import json
import os
import signal
import socket
import threading
import time

import pytest

from daemon import MINILM, MODELS, Daemon, alive, until

CLIENTS, KILLS, JOBS_BETWEEN = 8, 20, 100


class Load:
    """Closed-loop clients, each on its own kept-alive connection, until stopped."""

    def __init__(self, daemon, clients=CLIENTS):
        self.daemon, self.errors, self.done = daemon, [], 0
        self.lock, self.stopped = threading.Lock(), threading.Event()
        self.more = threading.Condition(self.lock)
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for t in self.threads:
            t.join()

    def run(self, client):
        connection, n = self.daemon.connect(), 0
        while not self.stopped.is_set():
            n += 1
            body = {"model": MINILM, "input": f"client {client} asks for the {n}th time " + "and goes on " * (n % 7)}
            try:
                status, _, answer = self.daemon.ask("POST", "/v1/embeddings", body, connection=connection)
                good = status == 200 and len(answer["data"][0]["embedding"]) == 384
                problem = None if good else (status, answer)
            except OSError as e:
                problem = repr(e)
                connection = self.daemon.connect()
            with self.lock:
                self.done += problem is None
                if problem:
                    self.errors.append(problem)
                self.more.notify_all()

    def wait_for(self, jobs, seconds=60):
        """Until that many more jobs have finished (or an error has come)."""
        with self.lock:
            target = self.done + jobs
            assert self.more.wait_for(lambda: self.done >= target or self.errors, seconds), "the load stands still"


@pytest.mark.timeout(300)
def test_killed_workers_cost_no_request(tmp_path):
    with Daemon(tmp_path) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        with Load(d) as load:
            for _ in range(KILLS):
                load.wait_for(JOBS_BETWEEN)
                (pid,) = until(d.workers, what="a worker")
                os.kill(pid, signal.SIGKILL)
            load.wait_for(JOBS_BETWEEN)
        deaths = d.get("/berth/status")["worker_deaths"]
        print(f"{KILLS} kills under {CLIENTS} clients: {len(load.errors)} errors among {load.done} requests")
        assert load.errors == []
        assert deaths == KILLS


@pytest.mark.timeout(120)
def test_a_killed_daemon_takes_its_children_along(tmp_path):
    with Daemon(tmp_path) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        with Load(d) as load:
            load.wait_for(50)
            children = d.children()
            assert children
            d.process.kill()
            killed = time.monotonic()
            d.process.wait()
            load.stopped.set()
            until(lambda: not any(alive(p) for p in children), 0.1 - (time.monotonic() - killed), "the children's end")
            print(f"children gone {1000 * (time.monotonic() - killed):.0f} ms after the daemon's SIGKILL")
        d.start()
        assert len(d.post("/v1/embeddings", model=MINILM, input="again")["data"]) == 1


def one_request(port, sent, results, started):
    """A whole request on a connection of its own; notes when its last byte had gone out and what came back."""
    body = json.dumps({"model": MINILM, "input": ["a text of some length " * 12] * 8}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    try:
        s = socket.create_connection(("127.0.0.1", port), timeout=60)
        s.sendall(head.encode() + body)
    except OSError:
        return
    with sent:
        at = time.monotonic()
        started.append(at)
        sent.notify_all()
    answer = b""
    try:
        while chunk := s.recv(1 << 16):
            answer += chunk
    except OSError as e:
        answer = repr(e).encode()
    s.close()
    results.append((at, answer))


def whole(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return False
    try:
        return len(json.loads(body)["data"]) == 8
    except ValueError:
        return False


@pytest.mark.timeout(120)
def test_sigterm_answers_what_was_sent(tmp_path):
    with Daemon(tmp_path) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        sent, results, started = threading.Condition(), [], []
        threads = [threading.Thread(target=one_request, args=(d.port, sent, results, started)) for _ in range(32)]
        for t in threads:
            t.start()
        with sent:
            assert sent.wait_for(lambda: len(started) >= 24, 30)
        at = time.monotonic()
        d.process.send_signal(signal.SIGTERM)
        for t in threads:
            t.join()
        assert d.process.wait(60) == 0
        owed = [answer for when, answer in results if when < at]
        broken = [answer[:300] for answer in owed if not whole(answer)]
        print(f"SIGTERM: {len(owed)} requests had been sent whole, {len(owed) - len(broken)} answered whole; "
              f"exit {time.monotonic() - at:.2f} s later")
        assert len(owed) >= 24
        assert broken == []
