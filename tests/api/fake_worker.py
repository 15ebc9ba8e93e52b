"""An inference server that generates what it is told to, for tests of everything around it.

Stands in for berth-worker: `--inspect` says that the model generates and chats, else it serves on descriptor 3. The last
text of an item says what to do, as words:

    count=N      so many tokens; token i is the text "wI " (with a seed: "sS-wI "), its log-probability is -I / 4
    ms=N         at least so many milliseconds between two of them
    die=N        exits after N tokens
    spend=N      sends chunks of N bytes, whatever the credit is
    hold=1       says nothing at all until it is cancelled
    refuse=CODE  answers with that error; after=N: after so many tokens
    special=1    ends with the token "</s>"
    text=WORD    every token has this text; %20 is a space; repeat=N: so many times

It spends no more than its credit, and writes what happens to the file that is its first argument: "job ID task parts
params", "cancel ID", "credit ID bytes", "stall ID", "over ID".
"""
import json
import os
import pathlib
import select
import socket
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import cbor2  # noqa: E402

from framing import VERSION, Channel, Frame  # noqa: E402

CHUNK_MAX = 4096
TASKS = ["text-generation", "chat", "image-text-to-text"]


def say(*words):
    with open(sys.argv[1], "a") as said:
        print(*words, file=said)


class Stream:
    """One item of a job, as far as it has come."""

    def __init__(self, job, index, parts):
        self.job, self.index, self.sent = job, index, 0
        texts = [p["d"].decode() for p in parts if p["k"] == "text"]
        self.prompt = texts[-1] if texts else ""
        said = dict(w.split("=", 1) for w in self.prompt.split() if "=" in w)
        params = job.params
        self.ms = int(said.get("ms", 0))
        self.die, self.after = int(said.get("die", -1)), int(said.get("after", 0))
        self.spend, self.hold, self.refuse = int(said.get("spend", 0)), "hold" in said, said.get("refuse")
        self.due = time.monotonic()
        self.seed = params["seed"] + index if "seed" in params else None
        mark = "" if self.seed is None else f"s{self.seed}-"
        word = said.get("text")
        count = int(said.get("count", 5))
        most = params.get("max_new_tokens", 256)
        word = urllib.parse.unquote(word) * int(said.get("repeat", 1)) if word else None
        self.words = [word or f"{mark}w{i} " for i in range(min(count, most))]
        self.finish = "length" if count > most else "stop"
        self.cut(params.get("stop", []))
        self.special, self.echo = "special" in said, bool(params.get("echo"))
        self.n = len(self.words) + self.special
        self.prompt_tokens = [self.token(i, w + " ") for i, w in enumerate(self.prompt.split())]

    def at(self, i):
        """Token i of the answer; the prompt first, where it is wanted."""
        if self.echo and i == 0:
            return self.token(0, self.prompt) | {"logprob": None}
        i -= self.echo
        return self.token(i, self.words[i]) if i < len(self.words) else self.token(i, "</s>", special=True)

    def token(self, i, text, special=False):
        entry = {"id": 100 + i, "text": text, "logprob": -i / 4, "special": special}
        top = self.job.params.get("logprobs", 0)
        if top:
            others = [(100 + i, text, -i / 4), (7, "other", -9.5), (8, "other", -10.5), (9, "é", float("-inf"))]
            entry["top"] = [{"id": n, "text": t, "logprob": p} for n, t, p in others[:top]]
        return entry

    def cut(self, stops):
        """The text ends before the first stop text."""
        text = "".join(self.words) if stops else ""
        found = [text.index(s) for s in stops if s in text]
        if not found:
            return
        self.finish, kept, left = "stop_sequence", [], min(found)
        while left > 0:
            kept.append(self.words[len(kept)][:left])
            left -= len(kept[-1])
        self.words = kept

    def text(self):
        return self.prompt * self.echo + "".join(self.words)


class Job:
    def __init__(self, frame):
        self.id, self.params, self.credit = frame.job, frame.body.get("params", {}), frame.body.get("credit")
        self.details = self.params.get("details") or "logprobs" in self.params
        self.streams = [Stream(self, i, parts) for i, parts in enumerate(frame.body["items"])]
        self.stalled = False
        shown = [[p["k"], p.get("role", ""), p.get("media", ""), p["d"].decode() if p["k"] == "text" else len(p["d"])]
                 for p in frame.body["items"][0]]
        say("job", self.id, frame.body["task"], json.dumps(shown), json.dumps(self.params))


class Server:
    def __init__(self, channel):
        self.c, self.jobs, self.steps = channel, {}, 0

    def chunk(self, job, stream, text, result):
        body = {"item": stream.index, "parts": [{"k": "text", "d": text.encode()}]} | ({"result": result} if result else {})
        cost = len(cbor2.dumps(body))
        assert stream.spend or cost <= min(CHUNK_MAX, job.credit), (cost, job.credit)
        job.credit -= cost
        self.c.send("CHUNK", body, job.id)

    def begin(self, job, stream):
        if job.params.get("prefill") and job.credit is not None:
            self.chunk(job, stream, "", {"prefill": stream.prompt_tokens})

    def step(self, job, s):
        """One token of one stream; True when something was done."""
        if s.hold or s.due > time.monotonic():
            return False
        if job.credit is not None and job.credit < CHUNK_MAX and not s.spend:
            if not job.stalled:
                say("stall", job.id)
            job.stalled = True
            return False
        job.stalled = False
        if s.sent == 0:
            self.begin(job, s)
        if s.sent == s.die:
            os._exit(3)
        if s.refuse and s.sent == s.after:
            self.c.send("ERROR", {"code": s.refuse, "text": "as it was told", "item": s.index}, job.id)
            return self.over(job, s)
        if s.spend:
            self.chunk(job, s, "x" * s.spend, None)
            return True
        if s.sent == s.n + s.echo:
            return self.done(job, s)
        token = s.at(s.sent)
        if job.credit is not None:
            text = "" if token["special"] else token["text"]
            self.chunk(job, s, text, {"tokens": [token]} if job.details else None)
        s.sent += 1
        s.due = time.monotonic() + s.ms / 1000
        return True

    def done(self, job, s):
        text = s.text()
        if job.params.get("return_full_text"):
            text = s.prompt + text
        result = {"text": text, "finish": s.finish} | ({} if s.seed is None else {"seed": s.seed})
        self.c.send("DONE", {"item": s.index, "result": result, "usage": {
            "tokens": len(s.prompt_tokens), "generated": s.n}}, job.id)
        return self.over(job, s)

    def over(self, job, stream):
        job.streams.remove(stream)
        if not job.streams:
            self.end(job)
        return True

    def end(self, job):
        say("over", job.id)
        del self.jobs[job.id]
        self.c.send("CREDIT", {"jobs": 1, "bytes": 1000})

    def hear(self, f: Frame):
        if f.type == "LOAD":
            self.c.send("READY", {"tasks": TASKS, "task": "text-generation", "dim": 0, "max_tokens": 4096, "memory": 1,
                                  "dtype": "float32", "isa": "fake"})
            self.c.send("CREDIT", {"jobs": 64, "bytes": 1 << 24})
        elif f.type == "PING":
            self.steps += 1
            self.c.send("PONG", {"time_ns": f.body["time_ns"], "threads": [self.steps]})
        elif f.type == "JOB":
            self.jobs[f.job] = Job(f)
        elif f.type == "CREDIT" and f.job in self.jobs:
            say("credit", f.job, f.body["bytes"])
            self.jobs[f.job].credit += f.body["bytes"]
        elif f.type == "CANCEL" and f.job in self.jobs:
            say("cancel", f.job)
            self.c.send("ERROR", {"code": "cancelled", "text": "cancelled"}, f.job)
            self.end(self.jobs[f.job])
        return f.type != "DRAIN"

    def wait_s(self):
        """Until the next token is due; None: only a frame can bring something."""
        now = time.monotonic()
        due = [s.due - now for j in self.jobs.values() for s in j.streams if not s.hold and not j.stalled]
        return max(min(due), 0) if due else None

    def run(self):
        draining = False
        while not (draining and not self.jobs):
            readable = self.c.data or select.select([self.c.sock], [], [], self.wait_s())[0]
            if readable:
                f = self.c.recv(60)
                if f is None:
                    return
                draining |= not self.hear(f)
            for job in list(self.jobs.values()):
                for stream in list(job.streams):
                    if job.id in self.jobs:
                        self.step(job, stream)


def inspect(c):
    c.recv(60)
    c.send("PLAN", {"architecture": "FakeForCausalLM", "model_type": "fake", "task": "text-generation", "tasks": TASKS,
                    "tensors": 1, "parameters": 1, "bytes": {"f32": 4}, "context": 4096, "dim": 0, "unsupported": [],
                    "weights": 4, "runtime": [[1, 1 << 20]]})
    c.recv(60)


def main():
    c = Channel(socket.socket(fileno=3))
    c.recv(60)
    kind = "inspect" if "--inspect" in sys.argv else "native"
    c.send("HELLO", {"version": VERSION, "build": "t", "kind": kind, "pid": os.getpid()})
    if kind == "inspect":
        inspect(c)
    else:
        Server(c).run()


if __name__ == "__main__":
    main()
