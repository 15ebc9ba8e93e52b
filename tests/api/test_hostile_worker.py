"""A daemon whose inference servers lie: what they claim is checked, and what they send is bounded."""
import json
import shutil
import stat
import sys

import pytest

from daemon import BUILD, MINILM, MODELS, ROOT, Daemon, until

# berth-worker, as far as the daemon can tell. The inspector is the real one.
LIAR = """#!{python}
import os, sys
if sys.argv[1:]:
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
sys.path.insert(0, {tests!r})
import socket
from framing import VERSION, Channel
c = Channel(socket.socket(fileno=3))
c.recv()
task, kind = "feature-extraction", "native"
more = {{}}  # of READY

def ready():
    c.send("READY", {{"tasks": [task], "task": task, "dim": 384, "max_tokens": 256, "memory": 1, "dtype": "f32", "isa": "t",
                     **more}})
    c.send("CREDIT", {{"jobs": 8, "bytes": 1 << 20}})

def tensor(item, job, rows):
    n = rows * 384 * 4
    fd = os.memfd_create("parts", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fd, n)
    import fcntl
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    c.send("DONE", {{"item": item, "data": n, "parts": [
        {{"k": "tensor", "dtype": "f32", "shape": [rows, 384], "o": 0, "n": n}}]}}, job, [fd])
    os.close(fd)

def on_load():
    ready()

{behaviour}
c.send("HELLO", {{"version": VERSION, "build": "t", "kind": kind, "pid": os.getpid()}})
while (f := c.recv(60)) is not None:
    if f.type == "LOAD":
        on_load()
    elif f.type == "PING":
        c.send("PONG", {{"time_ns": f.body["time_ns"], "threads": [1]}})
    elif f.type == "JOB":
        on_job(f)
    elif f.type == "DRAIN":
        break
"""


@pytest.fixture
def lying(tmp_path):
    """lying(behaviour): a daemon with such workers, and MiniLM added."""
    daemons = []

    def start(behaviour):
        programs = tmp_path / "programs"
        programs.mkdir()
        shutil.copy(BUILD / "berthd", programs)
        (programs / "berth-fetch").symlink_to(BUILD / "berth-fetch")
        liar = programs / "berth-worker"
        liar.write_text(LIAR.format(python=sys.executable, real=str(BUILD / "berth-worker"), tests=str(ROOT / "tests"),
                                    behaviour=behaviour))
        liar.chmod(liar.stat().st_mode | stat.S_IXUSR)
        d = Daemon(tmp_path, build=programs).start()
        daemons.append(d)
        d.add(MINILM, MODELS / MINILM)
        return d

    yield start
    for d in daemons:
        d.stop()


def test_an_answer_has_an_end(lying):
    """48 MiB for each of 16 texts: refused, and not held."""
    d = lying("""
def on_job(f):
    for i in range(len(f.body["items"])):
        tensor(i, f.job, 32768 if len(f.body["items"]) > 1 else 2)
""")
    status, _, said = d.ask("POST", f"/models/{MINILM}", {"inputs": ["text"] * 16})
    assert status == 413 and "fewer" in said["error"]
    assert d.rss_anon() < 300 << 20
    status, _, said = d.ask("POST", f"/models/{MINILM}", {"inputs": "text"})
    assert status == 200 and said == [[0] * 384] * 2


def test_one_long_item_arrives_whole(lying):
    d = lying("""
def on_job(f):
    tensor(0, f.job, 32768)
""")
    status, _, said = d.ask("POST", f"/models/{MINILM}", {"inputs": "text"})
    assert status == 200 and len(said) == 32768 and all(len(row) == 384 for row in said)


def answered(text):
    """A DONE that one text makes of the first item."""
    return f"""
def on_job(f):
    {text}
"""


CHUNK = """c.send("CHUNK", {"item": 0, "parts": [{"k": "text", "d": b"a"}]}, %s)"""
DONE = """c.send("DONE", {"item": 0, "parts": [{"k": "tensor", "dtype": "f32", "shape": [384], "d": bytes(1536)}]}, %s)"""


@pytest.mark.parametrize("behaviour, words", [
    ("kind = 'transformers'", "it says it is \"transformers\", not native"),
    ("def on_load():\n    " + CHUNK % 7, "CHUNK of an unknown job"),
    ("def on_load():\n    " + DONE % 7, "DONE of an unknown job"),
    ("def on_load():\n    ready()\n    ready()", "READY in state ready"),
    ("def on_load():\n    c.send('PLAN', {'architecture': 'a', 'model_type': 'b', 'task': 'c', 'tasks': [], 'tensors': 0, "
     "'parameters': 0, 'bytes': {}, 'context': 0, 'unsupported': [], 'weights': 0, 'runtime': []})", "PLAN from a worker"),
    ("def on_load():\n    c.send('READY', {'tasks': []})", "READY frame without"),
], ids=["kind", "chunk", "done", "ready", "plan", "fields"])
def test_what_is_out_of_turn_ends_the_worker_and_is_said(lying, behaviour, words):
    d = lying(behaviour)
    load = d.connect()
    load.request("POST", "/berth/load", json.dumps({"model": MINILM}), {"Content-Type": "application/json"})
    said = until(lambda: d.get(f"/berth/models/{MINILM}")["reason"], what="the reason")
    assert "broke the protocol" in said and words in said, said
    d.post("/berth/unload", model=MINILM)


@pytest.mark.parametrize("then", [CHUNK % "f.job", DONE % "f.job", DONE % "f.job + 1",
                                  "c.send('ERROR', {'code': 'internal', 'text': 'no', 'item': 1}, f.job)"])
def test_what_was_not_asked_for_costs_the_worker_its_life(lying, then):
    """A chunk of a job that wants none, an answer twice, to another job, to an item that is not there."""
    d = lying(answered("f.body['items'].pop() and " + (DONE % "f.job") + "; " + then))
    d.post("/berth/load", model=MINILM)
    status, _, _ = d.ask("POST", f"/models/{MINILM}", {"inputs": "text"})
    assert status in (200, 500)
    until(lambda: d.get("/berth/status")["worker_deaths"] > 0, what="its end")
    d.post("/berth/unload", model=MINILM)


def test_ready_may_say_as_much_as_a_frame_holds(lying):
    d = lying("""
more = {"tasks": [f"{i:-<60}" for i in range(1023)] + [task], "task": f"{0:-<60}", "extra": {"all": "\\x01" * 190000},
        "dtype": "x" * 64, "isa": "\\r\\nX-Evil: 1", "limits": {"device_bytes": 2**64 - 1}}
""")
    m = d.post("/berth/load", model=MINILM)
    assert m["state"] == "ready" and len(m["instances"][0]["extra"]["all"]) == 190000
    assert len(d.get("/berth/models")["models"]) == 1
    status, headers, answer = d.ask("POST", f"/models/{MINILM}", {"inputs": "text"})
    assert status == 422 and "cannot do" in answer["error"] and "X-Evil" not in headers


def test_a_flood_of_lines_is_counted_and_not_kept(lying):
    d = lying("""
def on_load():
    for i in range(20000):
        c.send("LOG", {"level": "error", "text": f"{i} " + "x" * 4000})
    ready()
""")
    before = d.rss_anon()
    d.post("/berth/load", model=MINILM)
    assert d.rss_anon() - before < 32 << 20
    d.post("/berth/unload", model=MINILM)  # what was left out of the last second is said at the end
    assert len(d.log()) < 16 << 20 and "more lines in one second" in d.log()
