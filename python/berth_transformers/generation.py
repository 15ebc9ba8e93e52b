"""Streams that join and leave between steps (the class Generator; compute.py says what it is to do).

A step reads a piece of the prompts that came last, up to PREFILL_CHUNK tokens, and goes one token on in every lane. A
stream whose reader has no credit leaves its lane, with its keys and values, and comes back. Streams for whose keys and
values there is no room wait in the order in which they came.
"""
import resource
import sys
from collections import deque

import torch

from . import errors
from .jobs import Refused
from .lanes import PREFILL_CHUNK, ROWS_MAX, Lane, Prompt, lanes_agree, mergeable
from .stream import Stream

KV_BYTES = 1 << 30  # of keys and values, of all streams together; less where less memory is free for the model
KV_SHARE = 0.5  # of the memory that is left beside the weights
STREAMS_MAX = 64  # begun and not ended
ALONE_MAX = 4  # of them where each is a forward of its own, and its size is not known beforehand
LATE = "the deadline passed while the answer was being generated"


class Generator:
    def __init__(self, model, out):
        self._model, self._out, self._network = model, out, model.model
        self._waiting, self._reading = deque(), deque()  # Streams that have not begun; whose prompts are being read
        self._running, self._stalled = [], []  # not in a lane because they are alone: also in _running
        self._lanes = []
        self._token_bytes = self._agreed()
        self._kv_bytes = kv_bytes(model)
        weights = sum(p.numel() * p.element_size() for p in self._network.parameters())
        self._padding_bytes = min(weights, self._kv_bytes) // 2

    def _agreed(self):
        """Bytes of a token in a lane; 0: streams run alone."""
        try:
            with torch.inference_mode():
                agreed = lanes_agree(self._network) if mergeable(self._network) else 0
        except Exception as e:
            print(f"berth: streams cannot share a forward: {errors.plain(e)}", file=sys.stderr, flush=True)
            agreed = 0
        if not agreed:
            self._model.notes.append("streams of this model are generated one at a time: its cache is not one of keys "
                                     "and values that can be put side by side")
        return agreed

    # ---- what Compute calls ----

    def add(self, request):
        try:
            self._waiting.append(Stream(request, self._model, self._out))
        except Exception as e:  # one of generate()'s processors does not take what it is given
            self._out.failed(request.item, e)

    def _streams(self):
        return [*self._waiting, *self._reading, *self._running, *self._stalled]

    def items(self):
        return [s.item for s in self._streams()]

    def active(self):
        return any(s.ready for s in self._reading) or bool(self._running) or self._admits()

    def step(self):
        while self._admits():
            self._begin(self._waiting.popleft())
        self._read_prompts()
        for lane in list(self._lanes):
            self._step_lane(lane)
        for stream in [s for s in self._running if s.prompt]:
            self._step_alone(stream)

    def cancel(self, job_id):
        for stream in self._streams():
            if stream.item.job.id == job_id:
                self._forget(stream)

    def credit(self, job_id):
        for stream in [s for s in self._stalled if s.item.job.id == job_id]:
            if not stream.tell():
                continue
            if stream.finish:
                self._finish(stream)
            elif stream.ready:
                self._stalled.remove(stream)
                self._run(stream)

    def expire(self, now_ns):
        for stream in self._streams():
            if stream.item.job.deadline_ns and now_ns >= stream.item.job.deadline_ns:
                self._out.fail(stream.item, Refused("deadline", LATE))
                self._forget(stream)

    # ---- beginning ----

    def _admits(self):
        """Whether the first of those that wait may begin: there is room for all that it may come to hold."""
        if not self._waiting or not self._waiting[0].ready:
            return False
        begun = [*self._reading, *self._running, *self._stalled]
        if not begun:
            return True
        if not self._token_bytes:
            return len(begun) < ALONE_MAX
        tokens = sum(s.most for s in begun) + self._waiting[0].most
        return len(begun) < STREAMS_MAX and tokens * self._token_bytes <= self._kv_bytes

    def _begin(self, stream):
        stream.prompt = Prompt(self._network, stream.ids, whole=not self._token_bytes)
        self._reading.append(stream)
        stream.begin()

    def _read_prompts(self):
        """Pieces of prompts, up to PREFILL_CHUNK tokens together; the first alone may have more."""
        room = PREFILL_CHUNK
        for stream in [s for s in self._reading if s.ready]:
            while room > 0 and stream in self._reading and (room == PREFILL_CHUNK or stream.prompt.cost <= room):
                room -= stream.prompt.cost
                self._guarded(stream, self._read_piece)

    def _read_piece(self, stream):
        prompt, every = stream.prompt, stream.wanted.prompt_details
        start = prompt.done
        with self._out.computing([stream.item]):
            logits = prompt.forward(every)
        if every:
            stream.read(start, logits[0].float())
        if prompt.left:
            return
        self._reading.remove(stream)
        if not stream.wanted.limit:
            stream.finish = "length"
        else:
            stream.accept(logits[0, -1].float())
        self._go_on(stream)

    def _guarded(self, stream, what):
        """A stream that fails by itself does not take the others along."""
        try:
            what(stream)
        except Exception as e:
            self._forget(stream)
            self._out.failed(stream.item, e)

    # ---- going on ----

    def _go_on(self, stream):
        """After a token: it runs, stalls or ends."""
        if stream.ready:
            self._run(stream)
        elif stream.finish and stream.told:
            self._finish(stream)
        else:
            self._stall(stream)

    def _run(self, stream):
        if stream in self._running:
            return
        self._running.append(stream)
        if not self._token_bytes:
            return
        layers = stream.kept or stream.prompt.take()
        stream.prompt = stream.kept = None
        lane = self._lane_for(stream.length)
        lane.join(layers, stream.length)
        lane.streams.append(stream)
        stream.lane = lane

    def _lane_for(self, length):
        """The lane with the least padding, if all padding stays within its bounds; else a new one."""
        room = [lane for lane in self._lanes if len(lane.streams) < ROWS_MAX]
        best = min(room, key=lambda lane: lane.padding_with(length), default=None)
        if best is not None and best.padding_with(length) * self._token_bytes <= self._padding_bytes:
            return best
        lane = Lane(self._network)
        self._lanes.append(lane)
        return lane

    def _step_lane(self, lane):
        for stream in [s for s in lane.streams if not s.ready]:  # another item has spent the job's credit
            self._stall(stream)
        streams = list(lane.streams)
        if not streams:
            return
        with self._out.computing([s.item for s in streams]):
            logits = lane.step([s.token for s in streams])[:, -1].float()
        for stream, row in zip(streams, logits):
            self._guarded(stream, lambda s: s.accept(row))
            if stream in self._running:
                self._go_on(stream)

    def _step_alone(self, stream):
        with self._out.computing([stream.item]):
            logits = stream.prompt.step(stream.token)[0, -1].float()
        self._guarded(stream, lambda s: s.accept(logits))
        if stream in self._running:
            self._go_on(stream)

    # ---- ending ----

    def _stall(self, stream):
        if stream in self._running:
            self._leave(stream, keep=not stream.finish)
        elif stream.prompt and not stream.finish and self._token_bytes:
            stream.kept, stream.prompt = stream.prompt.take(), None
        self._stalled.append(stream)

    def _finish(self, stream):
        self._forget(stream)
        try:
            stream.done()
        except OSError:
            raise
        except Exception as e:  # an answer that no frame can hold
            self._out.failed(stream.item, e)

    def _forget(self, stream):
        if stream in self._running:
            self._leave(stream)
        for place in (self._waiting, self._reading, self._stalled):
            if stream in place:
                place.remove(stream)
        stream.prompt = stream.kept = None

    def _leave(self, stream, keep=False):
        self._running.remove(stream)
        lane = stream.lane
        if not lane:
            return
        row = lane.streams.index(stream)
        stream.kept, stream.lane = lane.leave(row, keep), None
        lane.streams[row] = lane.streams[-1]
        lane.streams.pop()
        if not lane.streams:
            self._lanes.remove(lane)


def kv_bytes(model):
    """How much the keys and values of all streams may take: a share of what the device, or the process's limit, leaves
    beside the weights."""
    left = None
    module = getattr(model.placement, "module", None)
    if module is not None:
        left = module.mem_get_info(model.placement.index)[0]
    else:
        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
        if limit != resource.RLIM_INFINITY:
            left = limit - sum(p.numel() * p.element_size() for p in model.model.parameters())
    return KV_BYTES if left is None else max(0, min(KV_BYTES, int(left * KV_SHARE)))
