"""The Transformers backend beside a plain FastAPI script, its own single stream, and a direct call; outputs compared first.

  clients   16 clients, MiniLM: requests a second; sentences of 8 to 64 tokens; 8 to 256 tokens as they come (each length as
            likely as one twice as long), and all lengths alike
  streams   8 chat streams of SmolLM2-135M-Instruct against one at a time: tokens a second
  overhead  one client, one short text: milliseconds through berth against a direct call of the pipeline
"""
import http.client
import json
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

import numpy as np  # noqa: E402

from daemon import CACHE, MINILM, MODELS, Daemon, until  # noqa: E402
from rows import row  # noqa: E402

CLIENTS, REQUESTS, TURNS = 16, 320, 3
STREAMS, STREAM_TOKENS = 8, 64
CALLS = 200
SMOL = "HuggingFaceTB/SmolLM2-135M-Instruct"
WORDS = ("time year people way day man thing woman life child world school state family student group country problem "
         "hand part place case week company system program question work government number night point home water").split()


LENGTHS = {"sentences": lambda r: r.randint(6, 60), "as they come": lambda r: round(6 * (250 / 6) ** r.random()),
           "all alike": lambda r: r.randint(6, 250)}


def texts(n, length, seed=1):
    r = random.Random(seed)
    return [" ".join(r.choices(WORDS, k=length(r))) for _ in range(n)]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Plain:
    """The peer, as a process of its own."""

    def __enter__(self):
        self.port = free_port()
        self.process = subprocess.Popen([CACHE / "bench/bin/python", ROOT / "bench/plain_server.py", MODELS / MINILM,
                                         str(self.port)])

        def answers():
            assert self.process.poll() is None, "the plain server ended"
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0

        until(answers, 120, "the plain server")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def post(connection, path, body):
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status == 200, data[:500]
    return data


def load(port, path, bodies):
    """All bodies by CLIENTS clients, each as soon as its last was answered: seconds in all, answers as bytes,
    milliseconds. The clients share the cores with the servers: they encode before and decode after."""
    answers, took, left, lock = [None] * len(bodies), [0.0] * len(bodies), iter(range(len(bodies))), threading.Lock()
    encoded = [json.dumps(b).encode() for b in bodies]

    def client():
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        while True:
            with lock:
                i = next(left, None)
            if i is None:
                return
            began = time.perf_counter()
            answers[i] = post(c, path, encoded[i])
            took[i] = 1e3 * (time.perf_counter() - began)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return time.perf_counter() - began, answers, took


def compare(daemon, plain, case, bodies):
    """The same bodies to both, in turns."""
    path, sample = f"/models/{MINILM}/pipeline/feature-extraction", bodies[:32]
    _, mine, _ = load(daemon.port, path, sample)
    _, theirs, _ = load(plain.port, "/embed", sample)
    a, b = (np.array([json.loads(d) for d in v], dtype=np.float32).reshape(len(sample), -1) for v in (mine, theirs))
    far = float(np.abs(a - b).max())
    assert far < 1e-5, f"the vectors differ by {far}"
    rates, tails = {"berth": [], "plain": []}, {"berth": [], "plain": []}
    for _ in range(TURNS):
        for name, port, where in (("berth", daemon.port, path), ("plain", plain.port, "/embed")):
            seconds, _, took = load(port, where, bodies)
            rates[name].append(len(bodies) / seconds)
            tails[name].append(statistics.quantiles(took, n=100)[98])
    row("served", case, "req/s", statistics.median(rates["berth"]), "FastAPI script", statistics.median(rates["plain"]),
        lower_is_better=False, largest_difference=f"{far:.1e}", p99_ms=round(statistics.median(tails["berth"])),
        peer_p99_ms=round(statistics.median(tails["plain"])))


def clients(daemon):
    with Plain() as plain:
        for name, length in LENGTHS.items():
            compare(daemon, plain, name, [{"inputs": t, "truncate": True} for t in texts(REQUESTS, length)])


def stream(port, prompt, got):
    """One chat, streamed: appends its text, its tokens and the seconds to the first piece."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    body = {"model": SMOL, "messages": [{"role": "user", "content": prompt}], "stream": True, "temperature": 0,
            "max_tokens": STREAM_TOKENS, "stream_options": {"include_usage": True}}
    began = time.perf_counter()
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = c.getresponse()
    assert answer.status == 200, answer.read()[:500]
    text, tokens, first = "", 0, 0.0
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        piece = json.loads(line[6:])
        if piece.get("usage"):
            tokens = piece["usage"]["completion_tokens"]
        for choice in piece["choices"]:
            delta = choice["delta"].get("content") or ""
            first = first or (time.perf_counter() - began if delta else 0.0)
            text += delta
    got.append((prompt, text, tokens, first))


def run_streams(port, prompts, together):
    got = []
    began = time.perf_counter()
    if together:
        threads = [threading.Thread(target=stream, args=(port, p, got)) for p in prompts]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    else:
        for p in prompts:
            stream(port, p, got)
    seconds = time.perf_counter() - began
    assert len(got) == len(prompts)
    return sum(g[2] for g in got) / seconds, {p: t for p, t, _, _ in got}, statistics.median(g[3] for g in got)


def streams(daemon):
    prompts = [f"Tell me about the {w}." for w in WORDS[:STREAMS]]
    _, alone_texts, _ = run_streams(daemon.port, prompts, False)
    alone, together, firsts = [], [], []
    for _ in range(TURNS):
        rate, said, _ = run_streams(daemon.port, prompts, False)
        assert said == alone_texts
        alone.append(rate)
        rate, said, first = run_streams(daemon.port, prompts, True)
        assert said == alone_texts, "the texts of streams together are not those of one at a time"
        together.append(rate)
        firsts.append(first)
    row("served", f"{STREAMS} streams", "tok/s", statistics.median(together), "one at a time", statistics.median(alone),
        lower_is_better=False, first_piece_ms=round(1e3 * statistics.median(firsts)))


DIRECT = """
import json, sys, time
import torch
from transformers import pipeline
torch.set_num_threads(2)
run = pipeline("feature-extraction", model=sys.argv[1])
text, calls = sys.argv[2], int(sys.argv[3])
run(text)
took = []
for _ in range(calls):
    began = time.perf_counter()
    run(text)
    took.append(1e3 * (time.perf_counter() - began))
print(json.dumps(took))
"""


def overhead(daemon):
    text = "A man is eating a piece of bread."
    path = f"/models/{MINILM}/pipeline/feature-extraction"
    ours, theirs = [], []
    for _ in range(TURNS):
        c = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=60)
        for _ in range(CALLS):
            began = time.perf_counter()
            post(c, path, json.dumps({"inputs": text}).encode())
            ours.append(1e3 * (time.perf_counter() - began))
        out = subprocess.run([CACHE / "bench/bin/python", "-c", DIRECT, MODELS / MINILM, text, str(CALLS)], check=True,
                             capture_output=True, text=True).stdout
        theirs += json.loads(out.splitlines()[-1])
    row("served", "overhead", "ms", statistics.median(ours), "direct call", statistics.median(theirs), berth_min=round(min(ours), 2),
        peer_min=round(min(theirs), 2))


def main():
    with tempfile.TemporaryDirectory() as folder:
        with Daemon(folder) as d:
            for name in MINILM, SMOL:
                d.add(name, MODELS / name)
                if name == SMOL:
                    d.post("/berth/unload", model=MINILM)
                d.post("/berth/load", model=name, backend="transformers")
                if name == MINILM:
                    clients(d)
                    overhead(d)
                else:
                    streams(d)


main()
