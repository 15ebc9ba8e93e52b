"""berth-worker --launch: what it confines the Transformers server to, tried from inside a real interpreter, and what
the library itself is still able to do there."""
import contextlib
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys

import cbor2
import pytest

from daemon import BUILD, CACHE, MINILM, MODELS, ROOT, until

WORKER = BUILD / "berth-worker"
PROBES = ROOT / "tests" / "faults" / "python_probes.py"
REFERENCE = pathlib.Path(os.environ.get("BERTH_REFERENCE") or CACHE / "backends/transformers")  # as script/setup makes it
ANSWER_S = 60
FRAME = {1: "HELLO", 8: "ERROR", 14: "LOG"}


def backend(folder, main, python=sys.executable, packages=()):
    """A backend whose server is main: a virtual environment with the package in it."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python3*/site-packages"))
    shutil.copytree(ROOT / "python" / "berth_transformers", site / "berth_transformers")
    (site / "berth_transformers" / "__main__.py").write_text(main)
    (site / "more.pth").write_text("".join(f"{p}\n" for p in packages))
    return folder


@pytest.fixture(scope="module")
def probes(tmp_path_factory):
    return backend(tmp_path_factory.mktemp("backend") / "transformers", PROBES.read_text())


@pytest.fixture
def models(tmp_path):
    """Two models side by side: the folder of one, its file, the other's file."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text(name)
    return tmp_path / "a", tmp_path / "a" / "model.safetensors", tmp_path / "b" / "model.safetensors"


def hello(**fields):
    body = cbor2.dumps({"version": 1, "build": "test", "kind": "daemon", **fields})
    return struct.pack("<IHHQ", len(body), 1, 0, 0) + body


class Child:
    """A process whose descriptor 3 is our end of a socketpair."""

    def __init__(self, arguments, environment=None):
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(ANSWER_S)

        def place():
            os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)
        self.process = subprocess.Popen(arguments, env=environment or {}, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=place,
                                        close_fds=False)
        theirs.close()
        self.stream = self.channel.makefile("rb")

    def say(self, data):
        self.channel.sendall(data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n")

    def line(self):
        line = self.stream.readline()
        assert line, f"no answer, but: {self.errors()}"
        return json.loads(line)

    def frames(self):
        """All that it says until its end, as (type, body)."""
        with contextlib.suppress(ConnectionResetError):  # it ended without reading all that was sent
            while header := self.stream.read(16):
                length, kind = struct.unpack("<IH10x", header)
                yield FRAME[kind], cbor2.loads(self.stream.read(length))

    def errors(self):
        """Its standard error until its end."""
        return self.process.stderr.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.channel.close()
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


def launch(backend, *read, device="cpu"):
    return Child([WORKER, "--launch", "--backend", backend, "--device", device, *(x for r in read for x in
                                                                                 ("--read", r))])


def alive(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def has_filter():
    """False in a build without the filter, which could deny little."""
    return b"-DBERTH_SECCOMP=1" in (BUILD / "compile_commands.json").read_bytes()


def order(models, narrow):
    model, file, other = models
    return {"parent": os.getpid(), "model": str(model), "file": str(file), "other": str(other), "narrow": narrow}


def inside(probes, models, narrow):
    with launch(probes, models[0].parent if narrow else models[0]) as child:
        child.say(hello(threads=1) + json.dumps(order(models, narrow)).encode() + b"\n")
        return child.line(), child.errors()


# ---- the probes ----

@pytest.mark.skipif(not has_filter(), reason="a build without the filter")
@pytest.mark.parametrize("narrow", [False, True], ids=["as launched", "narrowed to the model, as LOAD does"])
def test_what_must_be_denied_is(probes, models, narrow):
    answer, _ = inside(probes, models, narrow)
    for name, outcome, why in answer["results"]:
        print(f"{outcome}: {name}: {why}")
    through = [name for name, outcome, _ in answer["results"] if outcome != "denied"]
    print(f"{len(answer['results'])} probes, {len(through)} let through")
    assert len(answer["results"]) >= 100
    assert through == []


def test_without_the_sandbox_the_probes_get_through(models):
    """Or their denial inside would say nothing about the sandbox."""
    with Child([sys.executable, PROBES]) as child:
        child.say(order(models, False))
        results = child.line()["results"]
    denied = [name for name, outcome, _ in results if outcome == "denied"]
    print(f"{len(results)} probes, {len(results) - len(denied)} let through; denied to everybody: {denied}")
    assert len(denied) <= len(results) * 0.15


# ---- what the server is given ----

def test_the_server_is_given_what_it_needs_and_nothing_else(probes, models):
    answer, errors = inside(probes, models, False)
    state = answer["state"]
    sandbox = json.loads(state["environment"].pop("BERTH_SANDBOX"))
    assert state["environment"].pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python's own
    assert state["environment"] == {"TORCHINDUCTOR_CACHE_DIR": "/", "HF_HUB_OFFLINE": "1", "OPENBLAS_NUM_THREADS": "1",
                                    "OMP_NUM_THREADS": "1"}
    assert sandbox.pop("landlock_abi") >= 1
    assert sandbox == {"no_new_privs": True, "rlimits": True, "landlock": True, "seccomp": has_filter(),
                       "exec_memory": True, "device_files": False, "degraded": not has_filter()}
    # 0 to 2, and one for each file of /proc that it may read; the channel is not counted.
    assert len(state["descriptors"]) == 3 + 2
    assert state["files"][0] == state["files"][1] <= 1024
    assert state["core"] == [0, 0]
    assert state["cwd"] == "/"
    assert "a word on standard output" in errors  # which leads to the log


def test_memory_is_limited_by_what_hello_says(tmp_path):
    main = ("import socket, struct\nc = socket.socket(fileno=3)\nc.recv(1000)\n"
            "try: bytearray(2 << 30); c.send(b'true\\n')\nexcept MemoryError: c.send(b'false\\n')\n")
    server = backend(tmp_path / "transformers", main)
    for memory, there in ((1 << 20, False), (0, True)):
        with launch(server) as child:
            child.say(hello(threads=1, memory=memory))
            assert child.line() is there


def test_a_hello_in_pieces_is_waited_for(probes, models):
    with launch(probes, models[0]) as child:
        greeting = hello(threads=1)
        for i in range(len(greeting)):
            child.say(greeting[i:i + 1])
        child.say(order(models, False))
        assert child.line()["results"]


DAEMON = """
import json, os, socket, subprocess, sys
ours, theirs = socket.socketpair()
p = subprocess.Popen(sys.argv[2:], env={}, preexec_fn=lambda: os.dup2(theirs.fileno(), 3), close_fds=False)
ours.sendall(bytes.fromhex(sys.argv[1]))
print(p.pid, ours.recv(3), flush=True)
p.wait()
"""


def test_it_dies_with_the_daemon(tmp_path):
    """PR_SET_PDEATHSIG survives the exec: an interpreter that would wait for ever goes when its daemon does."""
    server = backend(tmp_path / "transformers", "import os\nos.write(3, b'up\\n')\nwhile True: os.read(3, 4096)\n")
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, hello().hex(), WORKER, "--launch", "--backend", server,
                               "--device", "cpu"], stdout=subprocess.PIPE)
    try:
        pid = int(daemon.stdout.readline().split()[0])
        assert alive(pid)
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stdout.close()
    until(lambda: not alive(pid), what="the end of the interpreter")


def test_an_orphan_does_not_start(probes):
    """Started by another process than the one that made the channel."""
    script = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], env={}, pass_fds=[3]).returncode)"
    with Child([sys.executable, "-c", script, WORKER, "--launch", "--backend", probes, "--device", "cpu"]) as child:
        child.say(hello())
        assert list(child.frames())[-1] == ("ERROR", {"code": "internal", "text": "the parent is gone already"})


# ---- what it refuses ----

@pytest.mark.parametrize("data, sentence", [
    (struct.pack("<IHHQ", 0, 13, 0, 0), "DRAIN before HELLO"),
    (struct.pack("<IHHQ", 4, 99, 0, 0), "frame"),
    (struct.pack("<IHHQ", 1 << 17, 1, 0, 0), "a HELLO of"),
    (struct.pack("<IHHQ", 3, 1, 0, 0) + b"\xff\xff\xff", ""),
], ids=["another frame", "an unknown frame", "too long", "malformed"])
def test_a_daemon_that_does_not_greet_is_told(probes, data, sentence):
    with launch(probes) as child:
        child.say(data)
        kind, body = list(child.frames())[-1]
        assert kind == "ERROR" and sentence in body["text"]
        assert child.process.wait() == 1


def test_a_daemon_that_leaves_ends_it(probes):
    for some in (b"", hello()[:7]):
        with launch(probes) as child:
            child.say(some)
            child.channel.shutdown(socket.SHUT_RDWR)
            assert child.process.wait() == 1


def broken_backends(folder):
    script = folder / "script"
    (script / "bin").mkdir(parents=True)
    (script / "bin" / "python").write_text("#!/bin/sh\n")
    (script / "bin" / "python").chmod(0o755)
    return {folder / "nothing": "cannot open the backend", script: "berth backend install transformers"}


def test_a_backend_that_is_none_is_named(tmp_path):
    for folder, sentence in broken_backends(tmp_path).items():
        with launch(folder) as child:
            child.say(hello())
            kind, body = list(child.frames())[-1]
            assert kind == "ERROR" and sentence in body["text"]
            assert str(folder) in body["text"]
            print(body["text"])


def test_arguments_that_are_none_are_answered_with_the_usage():
    for arguments in ([], ["--backend"], ["--backend", "/x", "--device"], ["--backend", "/x", "--write", "/y"],
                      ["--device", "cpu"]):
        done = subprocess.run([WORKER, "--launch", *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and "usage" in done.stderr


# ---- what the library can still do ----

EMBEDS = """
import hashlib, json, os, struct, socket, time
channel = socket.socket(fileno=3)
stream = channel.makefile("rb")
length, = struct.unpack("<I12x", stream.read(16))
stream.read(length)
folder = stream.readline().decode().strip()
began = time.monotonic()
import torch
from transformers import AutoModel, AutoTokenizer
imported = time.monotonic()
tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
batch = tokenizer(["a text of some words", "another, which is longer than that"] * 8, padding=True, return_tensors="pt")
times = []
with torch.inference_mode():
    for _ in range(15):
        at = time.process_time()
        vectors = model(**batch).last_hidden_state
        times.append(time.process_time() - at)
    half = model.to(torch.bfloat16)(**batch).last_hidden_state
told = {"bits": hashlib.sha256(vectors.numpy().tobytes() + half.float().numpy().tobytes()).hexdigest(),
        "level": torch.backends.cpu.get_cpu_capability(), "threads": torch.get_num_threads(),
        "import_s": imported - began, "ready_s": time.monotonic() - began, "ms": sorted(times)[len(times) // 4] * 1e3,
        "resident_mb": int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") >> 20}
channel.sendall(json.dumps(told).encode() + b"\\n")
"""


@pytest.mark.skipif(not (MODELS / MINILM).exists(), reason="no real weights")
@pytest.mark.timeout(300)
def test_torch_computes_inside_what_it_does_outside(tmp_path):
    """The same bits of the same kernels: torch without /proc/cpuinfo, say, would be slower and not tell. The times that
    are printed are the processor's."""
    python = REFERENCE / "bin" / "python"
    packages = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                              capture_output=True, text=True).stdout.strip()
    server = backend(tmp_path / "transformers", EMBEDS, python, [packages])
    script = tmp_path / "embeds.py"
    script.write_text(EMBEDS)
    environment = {"TORCHINDUCTOR_CACHE_DIR": "/", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    told = {}
    for name, start in {"outside": lambda: Child([python, "-I", "-B", script], environment=environment),
                        "inside": lambda: launch(server, MODELS / MINILM, REFERENCE)}.items():
        with start() as child:
            child.say(hello(threads=1) + f"{MODELS / MINILM}\n".encode())
            told[name] = child.line()
        print(name, told[name])
    for same in ("bits", "level", "threads"):
        assert told["inside"][same] == told["outside"][same]
