"""The thread that computes: batches and generation in turn, one forward at a time.

The reading thread calls submit(), cancel(), credit() and drain(); everything else runs in the compute thread. A hook
before each layer of the model counts progress for PONG, ends a forward whose jobs have all been cancelled, and answers
jobs whose deadline passes while they wait.

Generation goes step by step beside the batches. Its class, made once with (model, out) where out is this Compute:

    class Generator:
        def add(self, request)          # of a task with generates = True; nothing is computed yet
        def items(self)                 # the items of all its streams, stalled and waiting ones included
        def active(self) -> bool        # whether a stream can go a step now
        def step(self)                  # one step of all that can: forwards, chunks, answers
        def cancel(self, job_id)        # that job has been answered: its streams are forgotten
        def credit(self, job_id)        # job.credit has grown: a stalled stream may go on
        def expire(self, now_ns)        # streams past job.deadline_ns are answered with the refusal "deadline"

and what it calls of out:

    with out.computing(items): ...      # around a forward; raises Stopped when the jobs of all items are cancelled
    out.chunk(item, parts, result=None) -> bool     # False: job.credit does not last; nothing was sent
    out.done(item, answer, began_ns)
    out.fail(item, refused)
    out.failed(item, error)             # of whatever was raised
"""
import contextlib
import gc
import sys
import threading
import time
from collections import deque

from . import errors
from .batching import Batcher
from .jobs import Refused

EXPIRE_S = 0.1  # how often stalled streams are looked at
LATE = "the deadline passed while the input waited for its turn"


class Stopped(BaseException):
    """Nobody waits any more for what is being computed. It comes out of a forward, and leaves the model usable. No
    Exception, so that no task takes it for a failure."""


class Compute:
    def __init__(self, model, ledger):
        self.model, self._ledger = model, ledger
        self.progress = 0  # layers begun
        self._wake = threading.Condition()
        self._arrived = deque()  # jobs, from the reading thread
        self._calls = deque()  # what else it has for the compute thread, between two steps
        self._draining = False
        self._running = ()  # jobs of the forward that runs
        self._stop = False  # all of them have been cancelled
        self._batcher = Batcher(model.placement.batch_tokens)
        self._next_deadline = None
        self._generator = None
        if any(task.generates for task in model.tasks.values()):
            from .generation import Generator
            self._generator = Generator(model, self)
        for layer in layers(model.model):
            layer.register_forward_pre_hook(self._tick)

    # ---- the reading thread ----

    def submit(self, job):
        self._post(self._arrived, job)

    def cancel(self, job_id):
        job = self._ledger.cancel(job_id, Refused("cancelled", "the job was cancelled"))
        with self._wake:
            if self._running and all(j.cancelled for j in self._running):
                self._stop = True
        if job and self._generator:
            self._post(self._calls, lambda: self._generator.cancel(job_id))

    def credit(self, job_id, count):
        if self._ledger.credit(job_id, count) and self._generator:
            self._post(self._calls, lambda: self._generator.credit(job_id))

    def drain(self):
        """run() returns once everything that was submitted has been answered. Safe in a signal handler."""
        self._draining = True
        self._post(self._calls, lambda: None)

    def _post(self, queue, what):
        queue.append(what)
        with self._wake:
            self._wake.notify()

    # ---- the compute thread ----

    def run(self):
        """Until drained."""
        import torch
        with torch.inference_mode():
            while True:
                while self._calls:
                    self._calls.popleft()()
                self._take()
                worked = self._turn()
                if worked or self._calls or self._arrived:
                    continue
                streams = self._generator is not None and bool(self._generator.items())
                if self._draining and not streams:
                    return
                with self._wake:
                    if not self._calls and not self._arrived:
                        self._wake.wait(EXPIRE_S if streams else None)

    def _turn(self):
        """One step of the streams, one batch. False when there was nothing to do."""
        worked = False
        if self._generator is not None:
            self._generator.expire(time.monotonic_ns())
            if self._generator.active():
                self._step()
                worked = True
        self._expire()
        batch = self._batcher.next(self._read)
        if batch:
            self._run(batch)
        begun = self._generator is not None and self._generator.active()
        return worked or bool(batch) or bool(self._batcher) or begun

    def _take(self):
        while self._arrived:
            self._batcher.add(self._arrived.popleft())
            self._next_deadline = self._batcher.next_deadline()

    def _tick(self, module, args):
        """Before each layer."""
        self.progress += 1
        if self._stop:
            raise Stopped
        if self._arrived:
            self._take()
        if self._next_deadline and time.monotonic_ns() >= self._next_deadline:
            self._expire()

    def _expire(self):
        for item in self._batcher.expire(time.monotonic_ns()):
            self.fail(item, Refused("deadline", LATE))
        self._next_deadline = self._batcher.next_deadline()

    def _read(self, item):
        """A Request to be batched; None: it has been answered, or went to the generator."""
        if self._ledger.answered(item):
            return None
        task = self.model.tasks[item.job.task]
        self.progress += 1  # decoding many pictures is no standing still
        try:
            with errors.no_panic():
                request = task.read(item)
        except Exception as e:
            self.failed(item, e)
            return None
        if not task.generates:
            return request
        self._generator.add(request)
        return None

    def _run(self, batch):
        now = time.monotonic_ns()
        for item in [r.item for r in batch if r.item.job.deadline_ns and now >= r.item.job.deadline_ns]:
            self.fail(item, Refused("deadline", LATE))
        batch = [r for r in batch if not self._ledger.answered(r.item)]
        if not batch:
            return
        items = [r.item for r in batch]
        held = self._ledger.begin(items)
        try:
            began_ns = time.monotonic_ns()
            with self.computing(items), errors.no_panic():
                answers = self.model.tasks[items[0].job.task].run(batch)
            for item, answer in zip(items, answers, strict=True):
                self._answer(item, answer, began_ns)
        except Stopped:
            pass
        except Exception as e:
            self._run_apart(batch, e)
        finally:
            self._ledger.end(held)

    def _run_apart(self, batch, error):
        """A batch that failed: one item of it must not take the others along."""
        if len(batch) == 1:
            self.failed(batch[0].item, error)
            return
        error.__traceback__ = None  # it holds the tensors that did not fit
        gc.collect()
        middle = len(batch) // 2
        self._run(batch[:middle])
        self._run(batch[middle:])

    def _step(self):
        try:
            self._generator.step()
        except Stopped:
            pass
        except Exception as e:
            for item in list(self._generator.items()):
                self.failed(item, e)
                self._generator.cancel(item.job.id)

    def _answer(self, item, answer, began_ns):
        if isinstance(answer, Refused):
            self.fail(item, answer)
            return
        try:
            self.done(item, answer, began_ns)
        except OSError:
            raise
        except Exception as e:  # an answer that no frame can hold
            self.failed(item, e)

    # ---- for the generator too ----

    @contextlib.contextmanager
    def computing(self, items):
        with self._wake:
            self._running = [i.job for i in items]
            self._stop = all(j.cancelled for j in self._running)
        try:
            if self._stop:
                raise Stopped
            yield
        finally:
            with self._wake:
                self._running, self._stop = (), False
            self.model.placement.step()

    def chunk(self, item, parts, result=None):
        return self._ledger.chunk(item, parts, result)

    def done(self, item, answer, began_ns):
        self._ledger.done(item, answer, began_ns)

    def fail(self, item, refused):
        self._ledger.fail(item, refused)

    def failed(self, item, error):
        refused = errors.of_job(error)
        if refused.code == "internal":
            print(f"berth: {item.job.task} failed:\n{errors.trace(error, item)}", file=sys.stderr, flush=True)
        self.fail(item, refused)


def layers(module):
    """The modules before which a forward can be stopped: the model itself and the elements of its lists of layers."""
    import torch
    found = [module]
    for m in module.modules():
        if isinstance(m, (torch.nn.ModuleList, torch.nn.Sequential)):
            found += m.children()
    return list(dict.fromkeys(found))
