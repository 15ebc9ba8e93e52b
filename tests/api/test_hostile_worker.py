"""A daemon whose inference servers lie: what they claim is checked, and what they send is bounded."""
import shutil
import stat
import sys

import pytest

from daemon import BUILD, MINILM, MODELS, ROOT, Daemon

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
c.send("HELLO", {{"version": VERSION, "build": "t", "kind": "native", "pid": os.getpid()}})
task = "feature-extraction"

def ready():
    c.send("READY", {{"tasks": [task], "task": task, "dim": 384, "max_tokens": 256, "memory": 1, "dtype": "f32", "isa": "t"}})
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

{behaviour}
while (f := c.recv(60)) is not None:
    if f.type == "LOAD":
        ready()
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
