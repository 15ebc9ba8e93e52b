"""The process's life: HELLO, LOAD, JOB, CANCEL, CREDIT, PING, DRAIN, and the end.

The main thread reads the channel and answers PING; LOAD starts the compute thread, which loads the model and then
serves it. The daemon hears why a load failed as an ERROR of job 0, then the process exits. Ends by os._exit(): everything is
given back with the process, and no library's farewell can hang or crash it.
"""
import json
import os
import signal
import sys
import threading
import time
import traceback

from . import __version__, errors, frames, parts, sandbox
from .compute import Compute
from .jobs import Item, Job, Part, Refused
from .ledger import BYTES_MAX, JOBS_MAX, Ledger

FEATURES = ["cancel", "credit", "deadline", "drain"]
DEFAULT_PRIORITY = 5
PROGRESS_NS = 100_000_000  # between two STATUS of one phase
NOTE_MAX = 400  # characters of a note in READY


class Server:
    def __init__(self, channel, hello):
        """hello: the daemon's, already heard; the imports are done."""
        self._channel, self._hello = channel, hello
        self._ledger = Ledger(channel)
        self._memory = sandbox.Memory()
        self._compute = None  # once the model is ready
        self._load = None
        self._draining = False
        self._told = ("", 0)  # the phase last told, and when

    # ---- the main thread ----

    def serve(self):
        """Until the daemon hangs up; returns the exit status."""
        self._say_hello()
        signal.signal(signal.SIGTERM, lambda number, frame: self._drain())
        try:
            while (frame := self._channel.recv()) is not None:
                try:
                    self._hear(frame)
                finally:
                    frame.close_fds()
            return 0
        except frames.BadFrame as e:
            self._give_up(Refused("invalid_request", str(e)))
            return 1
        except OSError as e:  # the daemon is gone
            print(f"berth: the daemon is gone: {e.strerror}", file=sys.stderr)
            return 1

    def _hear(self, frame):
        heard = {"LOAD": self._hear_load, "JOB": self._hear_job, "CANCEL": self._hear_cancel,
                 "CREDIT": self._hear_credit, "PING": self._hear_ping, "DRAIN": lambda f: self._drain()}
        if frame.type not in heard:
            raise frames.BadFrame("a second HELLO" if frame.type == "HELLO" else f"{frame.type} from the daemon")
        heard[frame.type](frame)

    def _hear_ping(self, frame):
        self._channel.send("PONG", {"time_ns": frame.body["time_ns"],
                                    "threads": [self._compute.progress] if self._compute else [],
                                    "busy": len(self._ledger), "memory": self._memory.resident()})

    def _hear_cancel(self, frame):
        if self._compute:
            self._compute.cancel(frame.job)

    def _hear_credit(self, frame):
        if self._compute:
            self._compute.credit(frame.job, frame.body.get("bytes", 0))

    def _drain(self):
        """No job is taken any more; the process exits once what it has is answered. Also SIGTERM."""
        self._draining = True
        if self._compute:
            self._compute.drain()
        else:
            leave(0)  # nobody waits for this model any more

    def _hear_job(self, frame):
        if frame.job == 0 or self._ledger.has(frame.job):
            raise frames.BadFrame("a JOB with a number that is 0 or taken")
        items, size = parts.read_items(frame.body, frame.fds)
        body, now = frame.body, time.monotonic_ns()
        job = Job(frame.job, body["task"], body.get("params", {}), [], body.get("deadline_ns", 0),
                  body.get("priority", DEFAULT_PRIORITY), body.get("caller", ""), body.get("credit"))
        job.items = [Item(job, i, some, now) for i, some in enumerate(items)]
        refused = self._why_not(job)
        if refused:
            job.items = ()  # see Ledger._close()
            self._ledger.refuse(job.id, refused, size)
            return
        self._ledger.take(job, size)
        self._compute.submit(job)

    def _why_not(self, job):
        if self._draining:
            return Refused("draining", "the model is being unloaded")
        if not self._compute:
            return Refused("loading", "the model is still loading")
        if len(self._ledger) >= JOBS_MAX:
            return Refused("queue_full", f"more than {JOBS_MAX} jobs at once")
        if not job.items:
            return Refused("invalid_request", "there is nothing to work on")
        tasks = self._compute.model.tasks
        if job.task not in tasks:
            return Refused("unsupported_task", f"the model does not do {job.task}; it does {', '.join(tasks)}")
        return None

    def _hear_load(self, frame):
        if self._load:
            raise frames.BadFrame("a second LOAD")
        self._load = frame.body
        try:
            self._confine(frame.body)
        except Refused as e:
            self._give_up(e)
            leave(1)
        threading.Thread(target=self._work, name="compute", daemon=True).start()

    def _confine(self, load):
        """Before any thread but this one exists, and before a byte of the model is read."""
        folder = load.get("folder")
        if not folder or not os.path.isdir(folder):
            raise Refused("damaged_file", "the model's folder is not there")
        try:
            sandbox.narrow(load.get("root") or folder, load["device"])
        except Refused:
            if not self._hello.get("degraded"):
                raise
            self._log("warn", "the sandbox could not be narrowed to the model's folder; a weaker one is allowed")

    # ---- the compute thread ----

    def _work(self):
        try:
            self._open()
            self._compute.run()
            leave(0)
        except OSError as e:
            print(f"berth: the daemon is gone: {e.strerror}", file=sys.stderr)
            leave(1)
        except Refused as e:
            self._give_up(e)
            leave(1)
        except BaseException:
            traceback.print_exc()
            self._give_up(Refused("internal", "the Transformers server has failed; the log has the details"))
            leave(1)

    def _open(self):
        """LOAD to a model that answers. Jobs may come as soon as READY has gone out."""
        from . import checkpoint, loading
        load, began = self._load, time.monotonic_ns()
        folder, promised = load["folder"], load.get("memory", 0)
        self._progress("imports")
        used = self._memory.data()
        files = checkpoint.weight_bytes(folder) if promised else 0  # mapped while they are read
        on_host = load["device"] in ("cpu", "auto")
        self._limit(used, promised + files if promised and on_host else 0)
        options = dict(load.get("options") or {})
        model = loading.load(folder, options.pop("task", None), load["dtype"], load["device"], options,
                             0 if on_host else promised, self._progress)
        self._limit(used, promised if on_host else 0)  # the files need not be mapped any more
        self._progress("warming")
        warm(model)
        self._compute = Compute(model, self._ledger)
        self._say_ready(model, time.monotonic_ns() - began)

    def _limit(self, used, promised):
        try:
            sandbox.limit_memory(used, promised)
        except (OSError, ValueError) as e:
            self._log("warn", f"the memory limit is not in force: {e}")

    # ---- saying ----

    def _say_hello(self):
        from .tasks import TABLE
        self._channel.send("HELLO", {"version": frames.VERSION, "build": __version__, "kind": "transformers",
                                     "pid": os.getpid(), "tasks": list(TABLE), "features": FEATURES,
                                     "limits": {"jobs": JOBS_MAX, "bytes": BYTES_MAX}})
        self._channel.send("STATUS", {"phase": "sandbox", "sandbox": in_force()})

    def _progress(self, phase, done=0, all=0):
        """At most one STATUS of a phase in PROGRESS_NS, but its first and its last."""
        if self._draining:
            leave(0)
        now = time.monotonic_ns()
        if phase == self._told[0] and now - self._told[1] < PROGRESS_NS and done < all:
            return
        self._told = (phase, now)
        self._channel.send("STATUS", {"phase": phase, "done": done, "all": all})

    def _say_ready(self, model, load_ns):
        tasks = list(model.tasks)
        basic = {"notes": [n[:NOTE_MAX] for n in model.notes], "versions": versions(), "device": model.placement.name}
        extra = dict(basic)
        for task in reversed(tasks):
            extra |= model.tasks[task].extra()
        body = {"tasks": tasks, "task": tasks[0], "dim": dimension(model), "max_tokens": model.max_tokens,
                "memory": self._memory.resident() + model.placement.used(), "dtype": model.short_dtype,
                "isa": instruction_set(model), "load_ns": load_ns, "extra": extra,
                "limits": {"jobs": JOBS_MAX, "bytes": BYTES_MAX}}
        try:
            self._channel.send("READY", body)
        except frames.TooLarge:
            basic["notes"].append("labels and prompts are too many to be listed")
            self._channel.send("READY", body | {"extra": basic})
        self._channel.send("CREDIT", {"jobs": JOBS_MAX, "bytes": BYTES_MAX})

    def _log(self, level, text):
        self._channel.send("LOG", {"level": level, "text": text})

    def _give_up(self, refused):
        """The daemon hears why, unless it is the daemon that is gone."""
        try:
            self._log("error", refused.sentence)
            self._channel.send("ERROR", {"code": refused.code, "text": refused.sentence})
        except OSError:
            print(f"berth: {refused.sentence}", file=sys.stderr)


def leave(status):
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def in_force():
    """The launcher's word on the sandbox, for STATUS. exec_memory: true is what is weaker than for the native worker:
    torch's kernels are compiled at run time."""
    try:
        said = json.loads(os.environ.get("BERTH_SANDBOX", "{}"))
    except ValueError:
        said = {}
    return {"no_new_privs": False, "rlimits": False, "landlock": False, "seccomp": False} | said | {"exec_memory": True}


def versions():
    import torch
    import transformers
    return {"transformers": transformers.__version__, "torch": torch.__version__,
            "python": ".".join(map(str, sys.version_info[:3]))}


def instruction_set(model):
    """What torch computes with."""
    import torch
    if model.device.type == "cuda":
        return "cuda {}.{}".format(*torch.cuda.get_device_capability(model.device))
    return torch.backends.cpu.get_cpu_capability().lower() if model.device.type == "cpu" else model.device.type


def dimension(model):
    """Of an embedding; 0 when the model makes none."""
    said = next((t.dim for t in model.tasks.values() if t.dim), 0)
    return said or (getattr(model.config, "hidden_size", 0) if "feature-extraction" in model.tasks else 0)


def warm(model):
    """One text through the default task, so that the first caller does not pay for kernels and threads. A task that
    takes something else, or steps, is left as it is."""
    import torch
    task = model.tasks[model.task]
    if task.generates:
        return
    job = Job(0, model.task, {}, [])
    item = Item(job, 0, [Part("text", "A few words, to begin with.")])
    try:
        with torch.inference_mode(), errors.no_panic():
            task.run([task.read(item)])
    except Exception as e:
        if errors.is_memory(e):
            raise errors.of_load(e) from e
