"""The jobs that were taken: each item answered exactly once, credit given back when the last is.

The reading thread takes jobs and cancels them, the compute thread answers them; a lock keeps the books, and no frame is
sent under it. An item that has been answered (by a cancel, say) is not answered again: done(), fail() and chunk() of it
do nothing.
"""
import os
import threading
import time
from dataclasses import dataclass

from . import frames, parts
from .jobs import Refused

JOBS_MAX = 64  # taken at once
BYTES_MAX = 64 << 20  # of their inputs


@dataclass(slots=True)
class _Entry:
    job: object
    bytes: int  # of its inputs: credit that goes back with it
    left: set  # indices of the items that have not been answered
    held: int = 0  # items being computed, answers being sent: the job's credit waits for them
    telling: int = -1  # the item of which a chunk is being sent
    owed: object = None  # Refused: what answers that item, once the chunk is sent


class Ledger:
    def __init__(self, channel):
        self._channel = channel
        self._lock = threading.Lock()
        self._entries = {}  # job's id to _Entry

    def __len__(self):
        return len(self._entries)

    def has(self, job_id):
        return job_id in self._entries

    def take(self, job, size):
        """A new job, of size bytes of inputs; its id is not taken."""
        with self._lock:
            self._entries[job.id] = _Entry(job, size, set(range(len(job.items))))

    def refuse(self, job_id, refused, size=0):
        """A job that is not taken: its error, and its credit back."""
        self._error(job_id, None, refused)
        self._channel.send("CREDIT", {"jobs": 1, "bytes": size})

    def begin(self, items):
        """These items are about to be computed: until end() of what this returns, their jobs' credit stays out."""
        with self._lock:
            entries = [e for e in (self._entries.get(i.job.id) for i in items) if e]
            for entry in entries:
                entry.held += 1
        return entries

    def end(self, entries):
        for entry in entries:
            self._release(entry)

    def answered(self, item):
        entry = self._entries.get(item.job.id)
        return entry is None or item.index not in entry.left

    def cancel(self, job_id, refused):
        """Answers every item that has no answer yet with the refusal; the Job, or None when it has ended."""
        with self._lock:
            entry = self._entries.get(job_id)
            if not entry:
                return None
            entry.job.cancelled = True
            left, entry.left = sorted(entry.left), set()
            if entry.telling in left:  # no chunk may come after the answer
                left.remove(entry.telling)
                entry.owed = refused
        for index in left:
            self._error(job_id, index, refused)
        self._close(entry)
        return entry.job

    def credit(self, job_id, count):
        """Its client can hold so many bytes of chunks more. True when the job is still there."""
        with self._lock:
            entry = self._entries.get(job_id)
            if entry:
                entry.job.credit = (entry.job.credit or 0) + count
            return entry is not None

    def done(self, item, answer, began_ns):
        """The item's result. began_ns: when its computing began (CLOCK_MONOTONIC)."""
        body = {"item": item.index}
        fd = -1
        try:
            if answer.parts:
                body["parts"], size, fd = parts.write_parts(answer.parts)
                if size:
                    body["data"] = size
            else:
                body["result"] = answer.result
            now = time.monotonic_ns()
            body["usage"] = {"tokens": answer.tokens}
            if answer.generated:
                body["usage"]["generated"] = answer.generated
            if answer.truncated:
                body["flags"] = ["truncated"]
            body["times"] = {"queue_ns": max(began_ns - item.arrived_ns, 0), "run_ns": now - began_ns}
            data = frames.write("DONE", body, item.job.id, 0 if fd < 0 else 1)
            if not answer.parts:
                frames.check(data[frames.HEADER.size:])
            self._settle(item, data, fd)
        except frames.TooLarge:
            self.fail(item, Refused("too_large", "the answer is too large for one message; ask for less of it (top_k)"))
        finally:
            if fd >= 0:
                os.close(fd)

    def fail(self, item, refused):
        self._settle(item, self._error_bytes(item.job.id, item.index, refused))

    def chunk(self, item, some_parts, result=None):
        """Sends part of an item's result, and pays for it out of job.credit. False: the credit does not last and
        nothing was sent. frames.TooLarge: over CHUNK_MAX."""
        body = {"item": item.index, "parts": parts.inline(some_parts)}
        if result is not None:
            body["result"] = result
        data = frames.write("CHUNK", body, item.job.id, limit=frames.CHUNK_MAX)
        cost = len(data) - frames.HEADER.size
        with self._lock:
            entry = self._entries.get(item.job.id)
            if not entry or item.index not in entry.left:
                return True
            if cost > entry.job.credit:
                return False
            entry.job.credit -= cost
            entry.held += 1
            entry.telling = item.index
        try:
            self._channel.send_bytes(data)
        finally:
            self._told(entry)
        return True

    # ---- inside ----

    def _settle(self, item, data, fd=-1):
        with self._lock:
            entry = self._entries.get(item.job.id)
            if not entry or item.index not in entry.left:
                return
            entry.left.discard(item.index)
            entry.held += 1  # so that its credit does not overtake the answer
        try:
            self._channel.send_bytes(data, fd)
        finally:
            self._release(entry)

    def _told(self, entry):
        """A chunk has been sent: the item's answer, if it was cancelled meanwhile."""
        with self._lock:
            index, owed = entry.telling, entry.owed
            entry.telling, entry.owed = -1, None
        if owed:
            self._error(entry.job.id, index, owed)
        self._release(entry)

    def _release(self, entry):
        with self._lock:
            entry.held -= 1
        self._close(entry)

    def _close(self, entry):
        """Forgets a job that has been answered and is not being computed any more."""
        with self._lock:
            if entry.left or entry.held or self._entries.get(entry.job.id) is not entry:
                return
            del self._entries[entry.job.id]
        entry.job.items = ()  # they name each other, and may hold much: what goes now does not wait for a collection
        self._channel.send("CREDIT", {"jobs": 1, "bytes": entry.bytes})

    @staticmethod
    def _error_bytes(job_id, index, refused):
        body = {"code": refused.code, "text": refused.sentence[:frames.TEXT_MAX // 4]}
        if index is not None:
            body["item"] = index
        return frames.write("ERROR", body, job_id)

    def _error(self, job_id, index, refused):
        self._channel.send_bytes(self._error_bytes(job_id, index, refused))
