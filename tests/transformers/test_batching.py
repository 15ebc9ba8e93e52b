"""Which items run together, and in which order: without a model, with costs made up here."""
import random
import time

import pytest

from berth_transformers import batching
from berth_transformers.jobs import Item, Job
from berth_transformers.tasks import Request


def job(number, costs, **more):
    made = Job(number, "t", {}, [], **more)
    made.items = [Item(made, i, [c]) for i, c in enumerate(costs)]
    return made


def read(item):
    return Request(item, cost=item.parts[0])


def drain(batcher, reader=read):
    batches = []
    while batch := batcher.next(reader):
        batches.append([(r.item.job.id, r.item.index) for r in batch])
    return batches


def cost(batches, forward_cost=batching.FORWARD_COST):
    return sum(forward_cost + len(b) * max(r.cost for r in b) for b in batches)


def all_cuts(ordered, budget):
    """Every way to cut a sorted list into runs within the budget."""
    if not ordered:
        yield []
    for n in range(1, len(ordered) + 1):
        if n == 1 or n * ordered[n - 1].cost <= budget:
            for rest in all_cuts(ordered[n:], budget):
                yield [ordered[:n], *rest]


@pytest.mark.parametrize("seed", range(20))
def test_no_cut_costs_less(seed):
    chance = random.Random(seed)
    requests = [Request(None, cost=chance.randint(1, 200)) for _ in range(chance.randint(1, 9))]
    batches = batching.cut(requests, budget=400)
    assert sorted(map(id, requests)) == sorted(id(r) for b in batches for r in b)
    assert all(len(b) == 1 or len(b) * max(r.cost for r in b) <= 400 for b in batches)
    ordered = sorted(requests, key=lambda r: r.cost)
    assert cost(batches) == min(cost(c) for c in all_cuts(ordered, 400))


def test_short_ones_run_together_and_a_long_one_alone():
    batcher = batching.Batcher()
    batcher.add(job(1, [10, 400, 11, 12]))
    assert drain(batcher) == [[(1, 0), (1, 2), (1, 3)], [(1, 1)]]


def test_over_the_budget_alone_and_no_more_than_fit():
    batcher = batching.Batcher(budget=100)
    batcher.add(job(1, [5000]))
    batcher.add(job(2, [30] * 7))
    batches = drain(batcher)
    assert sorted(map(len, batches)) == [1, 1, 3, 3] or sorted(map(len, batches)) == [1, 2, 2, 3]
    assert max(len(b) for b in batches) * 30 <= 100


def test_equal_ones_stay_as_they_came_and_the_items_are_few():
    batcher = batching.Batcher()
    batcher.add(job(1, [1] * 200))
    batches = drain(batcher)
    assert [i for b in batches for i in b] == [(1, i) for i in range(200)]
    assert max(map(len, batches)) <= batching.BATCH_ITEMS


def test_only_equal_keys_and_equal_tasks_share_a_batch():
    batcher = batching.Batcher()
    batcher.add(job(1, [8, 8, 8, 8]))
    keyed = drain(batcher, lambda item: Request(item, cost=8, key=item.index % 2))
    assert keyed == [[(1, 0), (1, 2)], [(1, 1), (1, 3)]]


def test_priority_first_then_the_nearest_deadline_then_as_they_came():
    batcher = batching.Batcher(budget=10)
    far = time.monotonic_ns() + 10**12
    batcher.add(job(1, [10], priority=5))
    batcher.add(job(2, [10], priority=5, deadline_ns=far))
    batcher.add(job(3, [10], priority=9))
    batcher.add(job(4, [10], priority=5, deadline_ns=far - 1))
    batcher.add(job(5, [10], priority=5))
    assert [b[0][0] for b in drain(batcher)] == [3, 4, 2, 1, 5]


def test_waiting_raises_priority(monkeypatch):
    now = [0]
    monkeypatch.setattr(batching.time, "monotonic_ns", lambda: now[0])
    batcher = batching.Batcher(budget=10)
    batcher.add(job(1, [10], priority=0))
    now[0] = 10 * batching.AGE_NS
    batcher.add(job(2, [10], priority=9))
    assert [b[0][0] for b in drain(batcher)] == [1, 2]


def test_a_job_of_thousands_does_not_block_one_of_a_single_text():
    batcher = batching.Batcher()
    batcher.add(job(1, [100] * 1000))
    first = batcher.next(read)
    batcher.add(job(2, [100]))
    before = len(first)
    while not any(r.item.job.id == 2 for r in first):
        first = batcher.next(read)
        before += len(first)
    # What was at hand already, and what is taken before it in its turn: not all thousand.
    assert before <= 2 * batching.HAND_BUDGETS * batching.BUDGET // 100 + batching.TURN_ITEMS


def test_a_callers_jobs_begin_in_order():
    batcher = batching.Batcher(budget=64)
    chance = random.Random(5)
    for n in range(40):
        batcher.add(job(n, [chance.randint(1, 60) for _ in range(3)], caller="one"))
    rounds, began = [], []
    while batcher:
        batch = batcher.next(read)
        rounds.append(batch)
        began += [r.item.job.id for r in batch if r.item.job.id not in began]
    # Of what is at hand items go by length; a job that is taken later never begins before all that were at hand.
    most = batching.HAND_BUDGETS * 64
    assert all(began.index(a) < began.index(b) for a in range(40) for b in range(a + most, 40))
    assert len({(r.item.job.id, r.item.index) for b in rounds for r in b}) == 120


def test_only_what_can_soon_run_is_read():
    seen = []
    batcher = batching.Batcher(budget=100)
    batcher.add(job(1, [50] * 1000))
    batcher.next(lambda item: seen.append(item) or read(item))
    assert len(seen) == batching.HAND_BUDGETS * 100 // 50


def test_items_that_were_answered_while_read_take_no_place():
    batcher = batching.Batcher()
    batcher.add(job(1, [10, 10, 10]))
    batcher.add(job(2, [10]))
    assert drain(batcher, lambda item: None if item.job.id == 1 else read(item)) == [[(2, 0)]]
    assert not batcher


def test_deadlines_and_cancels_take_items_out():
    batcher = batching.Batcher()
    late, gone, good = job(1, [1, 1], deadline_ns=1000), job(2, [1]), job(3, [1], deadline_ns=5000)
    for j in (late, gone, good):
        batcher.add(j)
    assert batcher.next_deadline() == 1000
    gone.cancelled = True
    assert batcher.expire(999) == []
    assert batcher.expire(1000) == late.items
    assert batcher.next_deadline() == 5000
    assert drain(batcher) == [[(3, 0)]]


def test_what_comes_meanwhile_runs_with_what_waits():
    batcher = batching.Batcher(budget=400)
    batcher.add(job(1, [300]))
    batcher.add(job(2, [10]))
    assert [r.item.job.id for r in batcher.next(read)] == [1]
    batcher.add(job(3, [11]))
    assert sorted(r.item.job.id for r in batcher.next(read)) == [2, 3]
    batcher.add(job(4, [10], priority=1))
    batcher.add(job(5, [300], priority=9))
    assert [r.item.job.id for r in batcher.next(read)] == [5]
    assert [r.item.job.id for r in batcher.next(read)] == [4] and not batcher
