"""Which waiting items run together.

Jobs wait; items are taken from them: the highest priority first (waiting raises it, so nobody starves), then the nearest
deadline, then as they came, each job a few items in its turn, so that one of thousands does not block one of a single
text. Only what a few batches can hold is read (tokenized). Before every batch what has come meanwhile is taken too; all
that is at hand is sorted by cost and cut where the padding of a batch would cost more than a forward of its own, and the
batch that holds the first one in the order above is computed. So a caller's jobs begin in the order in which they came,
but for those that ride along, and nothing waits for more to come.

The compute thread only.
"""
import itertools
import time
from collections import deque

BUDGET = 2048  # padded tokens of a batch, as devices.py has it for a CPU
# What a forward costs beside its tokens, in tokens: all-MiniLM-L6-v2 on two cores takes 0.105 ms for each token and 6.3 ms
# for reading its weights and walking its modules.
FORWARD_COST = 60
HAND_BUDGETS = 4  # of what is read and waits
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
        self.budget, self.hand_cost = budget, HAND_BUDGETS * budget
        self._jobs = []  # of _Waiting, as they came
        self._hand = []  # of (_Waiting, Request): read, in the order in which they were taken

    def add(self, job):
        self._jobs.append(_Waiting(job, time.monotonic_ns()))

    def __bool__(self):
        return bool(self._hand or self._jobs)

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
        self._hand = [(w, r) for w, r in self._hand if not w.job.cancelled]
        self._take(read)
        if not self._hand:
            return []
        now = time.monotonic_ns()
        first = min(self._hand, key=lambda h: h[0].order(now))[1]  # of equal ones the one that was taken first
        kind = (first.item.job.task, first.key)
        alike = [r for _, r in self._hand if (r.item.job.task, r.key) == kind]
        batch = next(b for b in cut(alike, self.budget) if any(r is first for r in b))
        chosen = set(map(id, batch))
        self._hand = [(w, r) for w, r in self._hand if id(r) not in chosen]
        return batch

    def _take(self, read):
        """Fills the hand from what waits."""
        now = time.monotonic_ns()
        room = self.hand_cost - sum(r.cost for _, r in self._hand)
        ordered = sorted(self._jobs, key=lambda w: w.order(now))
        for _, level in itertools.groupby(ordered, key=lambda w: w.order(now)[0]):
            for w in _in_turn(list(level)) if room > 0 else ():
                request = read(w.items.popleft())
                if request:
                    self._hand.append((w, request))
                    room -= request.cost
                if room <= 0:
                    break
        self._jobs = [w for w in self._jobs if w.items]


def _in_turn(jobs):
    """Each job for a few items in its turn, until none is left; whoever iterates takes one each time."""
    while jobs:
        for w in jobs:
            for _ in range(min(TURN_ITEMS, len(w.items))):
                yield w
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
