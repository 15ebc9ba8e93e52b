"""Which waiting items run together.

Jobs wait; a round takes items from them: the highest priority first (waiting raises it, so nobody starves), then the
nearest deadline, then as they came, each job a few items in its turn, so that one of thousands does not block one of a
single text. Only what a round takes is read (tokenized). The round's requests are sorted by cost and cut into batches
where the padding of a batch would cost more than a forward of its own. A caller's jobs begin in the order in which they
came; the batches of a round are computed one after the other, and nothing waits for more to come.

The compute thread only.
"""
import itertools
import time
from collections import deque

BUDGET = 2048  # padded tokens of a batch, as devices.py has it for a CPU
# What a forward costs beside its tokens, in tokens: all-MiniLM-L6-v2 on a core of Zen 4 takes 0.2 ms for each token and
# 10 ms for reading its weights and walking its modules.
FORWARD_COST = 48
ROUND_BUDGETS = 4  # of a round
BATCH_ITEMS = 64
TURN_ITEMS = 16  # of a job, before the next job's
AGE_NS = 2_000_000_000  # of waiting is worth one step of priority


class _Waiting:
    """A job and the items of it that no round has taken."""

    def __init__(self, job, arrived_ns):
        self.job, self.arrived_ns, self.items = job, arrived_ns, deque(job.items)

    def order(self, now):
        return -(self.job.priority + (now - self.arrived_ns) // AGE_NS), self.job.deadline_ns or 2**64


class Batcher:
    def __init__(self, budget=BUDGET):
        self.budget, self.round_cost = budget, ROUND_BUDGETS * budget
        self._jobs = []  # of _Waiting, as they came
        self._batches = deque()  # of this round, lists of Request

    def add(self, job):
        self._jobs.append(_Waiting(job, time.monotonic_ns()))

    def __bool__(self):
        return bool(self._batches or self._jobs)

    def next_deadline(self):
        """Of the jobs whose items have not all been taken; None: there is none."""
        return min((w.job.deadline_ns for w in self._jobs if w.job.deadline_ns), default=None)

    def expire(self, now):
        """Takes out the items that nobody waits for any more: those of cancelled jobs are dropped, those past their
        deadline are returned."""
        late = []
        for w in self._jobs:
            if w.job.cancelled:
                w.items.clear()
            elif w.job.deadline_ns and now >= w.job.deadline_ns:
                late += w.items
                w.items.clear()
        self._jobs = [w for w in self._jobs if w.items]
        return late

    def next(self, read):
        """The next batch: a list of Requests with one key; [] when nothing is left. read(item): a Request, or None for
        an item that has been answered already."""
        while not self._batches and self._jobs:
            self._round(read)
        return self._batches.popleft() if self._batches else []

    def _round(self, read):
        now = time.monotonic_ns()
        taken = {}
        room = self.round_cost
        ordered = sorted(self._jobs, key=lambda w: w.order(now))
        for _, level in itertools.groupby(ordered, key=lambda w: w.order(now)[0]):
            for item in _in_turn(list(level)):
                request = read(item)
                if request:
                    taken.setdefault((request.item.job.task, request.key), []).append(request)
                    room -= request.cost
                if room <= 0:
                    break
            if room <= 0:
                break
        self._jobs = [w for w in self._jobs if w.items]
        for requests in taken.values():
            self._batches.extend(cut(requests, self.budget))


def _in_turn(jobs):
    """Takes a few items of each job in turn, until none is left."""
    while jobs:
        for w in jobs:
            for _ in range(min(TURN_ITEMS, len(w.items))):
                yield w.items.popleft()
        jobs = [w for w in jobs if w.items]


def cut(requests, budget=BUDGET, forward_cost=FORWARD_COST):
    """Requests with one key to batches: of all ways to cut them where they are sorted by cost, the one whose padded
    tokens and forwards cost least; no batch over the budget but for a single request."""
    if len(requests) == 1:
        return [requests]
    ordered = sorted(requests, key=lambda r: r.cost)  # stable: equal costs stay as they came
    best, begin = [0], [0]  # best[i]: the least cost of the first i; begin[i]: where their last batch begins
    for end in range(1, len(ordered) + 1):
        longest = ordered[end - 1].cost
        most = max(1, min(BATCH_ITEMS, budget // max(longest, 1), end))
        costs = [best[end - n] + forward_cost + n * longest for n in range(1, most + 1)]
        least = min(range(most), key=costs.__getitem__)
        best.append(costs[least])
        begin.append(end - 1 - least)
    batches, end = [], len(ordered)
    while end:
        batches.append(ordered[begin[end]:end])
        end = begin[end]
    first = {id(r): i for i, r in enumerate(requests)}
    return sorted(batches, key=lambda b: min(first[id(r)] for r in b))
