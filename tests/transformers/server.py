"""The server as a process, its daemon played by the test; tests/framing.py is the daemon's side of the frames."""
import os
import sys
import time

import framing
import numpy
from conftest import ROOT

STAND_IN = ROOT / "tests/transformers/stand_in.py"
START_S = 120  # imports on a busy machine


class Server(framing.Child):
    def __init__(self, *argv, env=None, **popen):
        """argv: nothing for the stand-in tasks, else as of python."""
        env = {"PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"} | (env or {})
        super().__init__(sys.executable, *(argv or (STAND_IN,)), env=env, **popen)
        self.jobs = 0

    def greet(self, **extra):
        self.send("HELLO", {"version": framing.VERSION, "build": "test", "kind": "daemon", "threads": 1, "cores": 1,
                            "memory": 0, "isa": "", "degraded": False} | extra)
        hello = self.recv(START_S)
        assert hello and hello.type == "HELLO", hello
        return hello.body, self.recv().body

    def load(self, folder, **more):
        """READY's body, or ERROR's; and the STATUS that came before."""
        self.send("LOAD", {"model": "m", "revision": "r", "dtype": "exact", "device": "cpu", "options": {}, "files": [],
                           "folder": str(folder), "root": str(folder)} | more)
        frame, seen = self.recv_until("READY", "ERROR", timeout=START_S)
        return frame, [f.body for f in seen if f.type == "STATUS"]

    def ready(self, folder, **more):
        self.greet()
        frame, seen = self.load(folder, **more)
        assert frame.type == "READY", frame
        credit = self.recv()
        assert (credit.type, credit.job, credit.body["jobs"]) == ("CREDIT", 0, 64)
        return frame.body

    def ask(self, texts, task="feature-extraction", params=None, **more):
        """Sends a job of one text an item; its number."""
        self.jobs += 1
        self.send("JOB", {"task": task, "params": params or {}, **more,
                          "items": [[{"k": "text", "d": t.encode()}] for t in texts]}, job=self.jobs)
        return self.jobs

    def answers(self, *jobs, timeout=60):
        """{(job, item): frame} of everything until the last of these jobs has given its credit back."""
        got, left, end = {}, len(jobs), time.monotonic() + timeout
        while left:
            frame = self.recv(max(end - time.monotonic(), 0.001))
            assert frame is not None, "the server has ended"
            if frame.type == "CREDIT":
                left -= 1
            elif frame.type in ("DONE", "ERROR"):
                key = frame.job, frame.body.get("item")
                assert key not in got, f"{key} was answered twice"
                got[key] = frame
        return got

    def vectors(self, texts, **more):
        job = self.ask(texts, **more)
        got = self.answers(job)
        return numpy.stack([vector(got[job, i]) for i in range(len(texts))])

    def ping(self):
        self.send("PING", {"time_ns": 7})
        frame, _ = self.recv_until("PONG")
        return frame.body


def vector(frame):
    assert frame.type == "DONE", frame
    part = frame.body["parts"][0]
    raw = part["d"] if "d" in part else os.pread(frame.fds[0], part["n"], part["o"])
    for fd in frame.fds:
        os.close(fd)
    return numpy.frombuffer(raw, "<f4")
