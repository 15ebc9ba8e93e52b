"""A stand-in for berth-worker and its inspector: what the daemon's protocols make of jobs and results, without a model.

    with standin(tmp_path, {"question-answering": {"result": [{"answer": ...}]}}) as d:
        d.post("/models/question-answering", inputs=...)
        d.jobs()            # what its workers were asked: [{"task", "params", "items"}]

Each is a model of its own, of that name, which is its task too unless it has "tasks". An answer is what goes into DONE: "result", or "parts" (a part's bytes
under "d"); the same for every item, or a list under "each".
"""
import contextlib
import json
import shutil
import stat
import sys

import cbor2

from daemon import BUILD, ROOT, Daemon

PROGRAM = """#!{python}
import os, sys
if sys.argv[1:] not in ([], ["--inspect"]):
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
sys.path.insert(0, {tests!r})
import socket
import cbor2
from framing import VERSION, Channel
answers = cbor2.loads(open({answers!r}, "rb").read())
inspects = "--inspect" in sys.argv
c = Channel(socket.socket(fileno=3))
c.recv()
c.send("HELLO", {{"version": VERSION, "build": "t", "kind": "inspect" if inspects else "native", "pid": os.getpid()}})
while (f := c.recv(600)) is not None:
    if f.type == "LOAD":
        answer = answers[f.body["model"]]
        tasks = answer.get("tasks", [f.body["model"]])
        for fd in f.fds:
            os.close(fd)
        if inspects:
            c.send("PLAN", {{"architecture": "StandIn", "model_type": "standin", "task": tasks[0], "tasks": tasks,
                            "tensors": 1, "parameters": 1, "bytes": {{"F32": 4}}, "context": 0, "unsupported": [],
                            "weights": 4, "runtime": []}})
            continue
        c.send("READY", {{"tasks": tasks, "task": tasks[0], "dim": 0, "max_tokens": 0, "memory": 1,
                         "dtype": "f32", "isa": "t"}})
        c.send("CREDIT", {{"jobs": 8, "bytes": 1 << 26}})
    elif f.type == "PING":
        c.send("PONG", {{"time_ns": f.body["time_ns"], "threads": [1]}})
    elif f.type == "JOB":
        data = os.pread(f.fds[0], f.body["data"], 0) if f.fds else b""
        for part in (p for item in f.body["items"] for p in item if "o" in p):
            part["d"] = data[part["o"]:part["o"] + part["n"]]
        with open({jobs!r}, "ab") as out:
            cbor2.dump({{k: f.body.get(k) for k in ("task", "params", "items")}}, out)
        for i in range(len(f.body["items"])):
            c.send("DONE", {{"item": i, "usage": {{"tokens": 3}}}} | (answer["each"][i] if "each" in answer else
                   {{k: answer[k] for k in ("result", "parts") if k in answer}}), f.job)
        for fd in f.fds:
            os.close(fd)
    elif f.type == "DRAIN":
        break
"""


@contextlib.contextmanager
def standin(folder, answers, **config):
    """A daemon whose models are the tasks of answers."""
    programs = folder / "programs"
    programs.mkdir()
    shutil.copy(BUILD / "berthd", programs)
    (programs / "berth-fetch").symlink_to(BUILD / "berth-fetch")
    (folder / "answers").write_bytes(cbor2.dumps(answers))
    worker = programs / "berth-worker"
    worker.write_text(PROGRAM.format(python=sys.executable, real=str(BUILD / "berth-worker"), tests=str(ROOT / "tests"),
                                     answers=str(folder / "answers"), jobs=str(folder / "jobs")))
    worker.chmod(worker.stat().st_mode | stat.S_IXUSR)
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (model / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))

    def jobs():
        """All since the last call."""
        path, found = folder / "jobs", []
        if path.exists():
            with open(path, "rb") as f:
                while f.tell() < path.stat().st_size:
                    found.append(cbor2.load(f))
            path.unlink()
        return found

    with Daemon(folder, build=programs, **config) as d:
        d.jobs = jobs
        for task in answers:
            d.add(task, model)
        yield d
