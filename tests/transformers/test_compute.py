"""The compute thread with a ledger and a channel that only writes down: failures in a batch, generation beside batches,
credit for chunks. The model is one small layer; no process, no socket."""
import gc
import threading
import time
import types
import weakref

import cbor2
import numpy
import pytest
import tokenizers
import torch

from berth_transformers import compute, devices, frames, tasks
from berth_transformers.jobs import Answer, Item, Job, Part, Refused
from berth_transformers.ledger import Ledger

DEADLINE_S = 60


class Channel:
    """Keeps what would be sent, as (type, job, body)."""

    def __init__(self):
        self.sent, self.more = [], threading.Condition()

    def send(self, name, body, job=0):
        self.send_bytes(frames.write(name, body, job))

    def send_bytes(self, data, fd=-1):
        _, name, _, job = frames.read_header(data)
        with self.more:
            self.sent.append((name, job, cbor2.loads(data[16:])))
            self.more.notify_all()

    def wait(self, credits):
        """Everything sent, once so many jobs have given their credit back."""
        with self.more:
            done = self.more.wait_for(lambda: sum(s[0] == "CREDIT" for s in self.sent) >= credits, DEADLINE_S)
            assert done, self.sent
            return list(self.sent)


class Doubler(tasks.Task):
    """Twice a number; run() does to a batch what the item's text says."""

    def __init__(self, model):
        super().__init__(model)
        self.ran, self.gate = [], threading.Event()
        self.gate.set()

    def read(self, item):
        return tasks.Request(item, cost=1, inputs=item.text())

    def run(self, requests):
        self.gate.wait(DEADLINE_S)
        texts = [r.inputs for r in requests]
        self.ran.append(texts)
        self.model.model(torch.zeros(1, 2))
        if "poison" in texts:
            raise ValueError("a bad item")
        if "big" in texts and len(texts) > 1:
            raise MemoryError
        return [Refused("invalid_request", "no") if t == "no" else Answer(result=t * 2) for t in texts]


class Generator:
    """Says each of the letters of its prompt in a chunk of its own."""

    def __init__(self, model, out):
        self.model, self.out, self.streams, self.steps, self.fails = model, out, {}, 0, False

    def add(self, request):
        self.streams[request.item.job.id] = [request.item, list(request.inputs)]

    def items(self):
        return [s[0] for s in self.streams.values()]

    def active(self):
        return any(s[0].job.credit > 40 for s in self.streams.values())

    def step(self):
        self.steps += 1
        with self.out.computing(self.items()):
            self.model.model(torch.zeros(1, 2))
        if self.fails:
            raise ValueError("a step that fails")
        for item, letters in list(self.streams.values()):
            if letters and not self.out.chunk(item, [Part("text", letters[0])]):
                continue
            if letters:
                letters.pop(0)
            if not letters:
                del self.streams[item.job.id]
                self.out.done(item, Answer(result="end", generated=3), 1)

    def cancel(self, job_id):
        self.streams.pop(job_id, None)

    def credit(self, job_id):
        pass

    def expire(self, now_ns):
        pass


class Generation(Doubler):
    generates = True


@pytest.fixture
def made(monkeypatch):
    """(compute, channel, ledger, the batched task); the thread runs until the test ends."""
    module = types.ModuleType("berth_transformers.generation")
    module.Generator = Generator
    monkeypatch.setitem(__import__("sys").modules, "berth_transformers.generation", module)
    model = types.SimpleNamespace(model=torch.nn.Sequential(torch.nn.Linear(2, 2)),
                                  placement=devices.Placement("cpu", torch.device("cpu")))
    model.tasks = {"double": Doubler(model), "spell": Generation(model)}
    channel = Channel()
    ledger = Ledger(channel)
    made = compute.Compute(model, ledger)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made, channel, ledger, model.tasks["double"]
    made.drain()
    thread.join(DEADLINE_S)
    assert not thread.is_alive() and len(ledger) == 0


def submit(made, ledger, number, texts, task="double", **more):
    job = Job(number, task, {}, [], **more)
    job.items = [Item(job, i, [Part("text", t)]) for i, t in enumerate(texts)]
    ledger.take(job, 10)
    made.submit(job)
    return job


def results(sent):
    return {(job, body.get("item")): body.get("result", body.get("code")) for name, job, body in sent
            if name in ("DONE", "ERROR")}


def test_one_item_that_fails_does_not_take_the_others_along(made, capfd):
    compute, channel, ledger, task = made
    submit(compute, ledger, 1, ["a", "poison", "b", "no", "c"])
    assert results(channel.wait(1)) == {(1, 0): "aa", (1, 1): "internal", (1, 2): "bb", (1, 3): "invalid_request",
                                        (1, 4): "cc"}
    assert "a bad item" in capfd.readouterr().err


def test_a_batch_that_does_not_fit_is_run_in_halves(made):
    compute, channel, ledger, task = made
    submit(compute, ledger, 1, ["a", "b", "big", "c"])
    assert set(results(channel.wait(1)).values()) == {"aa", "bb", "bigbig", "cc"}
    assert ["big"] in task.ran


def test_what_waits_runs_together(made):
    compute, channel, ledger, task = made
    task.gate.clear()
    submit(compute, ledger, 1, ["first"])
    while not compute._running:
        pass
    for n in range(2, 8):
        submit(compute, ledger, n, [f"t{n}"])
    task.gate.set()
    channel.wait(7)
    assert task.ran == [["first"], [f"t{n}" for n in range(2, 8)]]


def test_a_cancelled_job_of_a_batch_does_not_stop_the_others(made):
    compute, channel, ledger, task = made
    task.gate.clear()
    submit(compute, ledger, 1, ["gone"])
    while not compute._running:
        pass
    compute.cancel(1)
    submit(compute, ledger, 2, ["a"])
    submit(compute, ledger, 3, ["b"])
    compute.cancel(2)
    task.gate.set()
    assert results(channel.wait(3)) == {(1, 0): "cancelled", (2, 0): "cancelled", (3, 0): "bb"}
    assert task.ran == [["gone"], ["b"]]


def test_streams_and_batches_take_turns(made):
    compute, channel, ledger, task = made
    task.gate.clear()
    submit(compute, ledger, 1, ["hold"])
    while not compute._running:
        pass
    submit(compute, ledger, 2, ["abcdefgh"], "spell", credit=10_000)
    for n in range(3, 6):
        submit(compute, ledger, n, ["x"] * 64)
    task.gate.set()
    sent = channel.wait(5)
    kinds = [name for name, job, _ in sent if (job, name) in [(2, "CHUNK"), (3, "DONE"), (4, "DONE"), (5, "DONE")]]
    assert kinds.count("CHUNK") == 8 and kinds.count("DONE") == 192
    first, last = kinds.index("DONE"), len(kinds) - 1 - kinds[::-1].index("DONE")
    assert "CHUNK" in kinds[first:last], "the stream waited for all batches"


def test_chunks_are_paid_for_and_credit_lets_a_stream_go_on(made):
    compute, channel, ledger, task = made
    job = submit(compute, ledger, 1, ["abc"], "spell", credit=50)
    with channel.more:
        assert channel.more.wait_for(lambda: len(channel.sent) == 1, DEADLINE_S)
    name, _, body = channel.sent[0]
    cost = len(cbor2.dumps(body))
    assert name == "CHUNK" and job.credit == 50 - cost
    compute.credit(1, 1000)
    sent = channel.wait(1)
    assert [s[0] for s in sent] == ["CHUNK", "CHUNK", "CHUNK", "DONE", "CREDIT"]
    assert sent[3][2]["usage"] == {"tokens": 0, "generated": 3}
    assert job.credit == 1050 - 3 * cost


def test_a_stream_that_stalls_holds_up_nobody_and_can_be_cancelled(made):
    compute, channel, ledger, task = made
    submit(compute, ledger, 1, ["abc"], "spell", credit=0)
    submit(compute, ledger, 2, ["a"])
    assert results(channel.wait(1)) == {(2, 0): "aa"}
    compute.cancel(1)
    assert results(channel.wait(2))[1, 0] == "cancelled"
    while compute._generator.streams:
        pass


def test_a_step_that_fails_ends_its_streams_and_nothing_else(made, capfd):
    compute, channel, ledger, task = made
    compute._generator.fails = True
    submit(compute, ledger, 1, ["abc"], "spell", credit=1000)
    assert results(channel.wait(1)) == {(1, 0): "internal"}
    submit(compute, ledger, 2, ["a"])
    assert results(channel.wait(2))[2, 0] == "aa"
    assert "a step that fails" in capfd.readouterr().err


def test_a_chunk_over_its_limit_is_refused(made):
    _, channel, ledger, _ = made
    job = Job(1, "spell", {}, [], credit=100_000)
    job.items = [Item(job, 0, [])]
    ledger.take(job, 1)
    with pytest.raises(frames.TooLarge):
        ledger.chunk(job.items[0], [Part("text", "x" * frames.CHUNK_MAX)])
    ledger.fail(job.items[0], Refused("internal", "no"))
    assert [s[0] for s in channel.sent] == ["ERROR", "CREDIT"] and job.credit == 100_000


def test_layers_are_the_elements_of_lists():
    block = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU())
    module = torch.nn.ModuleDict({"layers": torch.nn.ModuleList([block, block]), "head": torch.nn.Linear(2, 2)})
    assert compute.layers(module) == [module, block, block[0], block[1]]


@pytest.mark.parametrize("kind", [ValueError, KeyError])
def test_a_failure_is_logged_without_the_words_of_its_input(made, capfd, kind):
    compute, channel, ledger, task = made

    def read(item):
        raise (kind(f"no token for {item.text()}") if item.text() != "why" else kind("shapes differ")) from kind(item.text())
    task.read = read
    submit(compute, ledger, 1, ["a confidential sentence", "why"])
    assert set(results(channel.wait(1)).values()) == {"internal"}
    said = capfd.readouterr().err
    assert "confidential" not in said and "sentence" not in said
    assert "shapes differ" in said and kind.__name__ in said and __file__ in said


class Gated(Channel):
    """Holds back chunks until it is told to send them."""

    def __init__(self):
        super().__init__()
        self.begun, self.gate = threading.Event(), threading.Event()

    def send_bytes(self, data, fd=-1):
        if frames.read_header(data)[1] == "CHUNK":
            self.begun.set()
            assert self.gate.wait(DEADLINE_S)
        super().send_bytes(data, fd)


def test_no_chunk_comes_after_the_answer_of_a_cancelled_item():
    channel = Gated()
    ledger = Ledger(channel)
    job = Job(1, "spell", {}, [], credit=10_000)
    job.items = [Item(job, i, []) for i in range(2)]
    ledger.take(job, 5)
    telling = threading.Thread(target=ledger.chunk, args=(job.items[0], [Part("text", "a")]))
    telling.start()
    assert channel.begun.wait(DEADLINE_S)
    ledger.cancel(1, Refused("cancelled", "the job was cancelled"))
    channel.gate.set()
    telling.join(DEADLINE_S)
    assert [(name, body.get("item")) for name, _, body in channel.sent] == [
        ("ERROR", 1), ("CHUNK", 0), ("ERROR", 0), ("CREDIT", None)]
    assert len(ledger) == 0


def test_what_a_job_brought_is_let_go_with_its_last_answer():
    ledger = Ledger(Channel())
    data = numpy.zeros(1)
    job = Job(1, "double", {}, [])
    job.items = [Item(job, 0, [Part("bytes", data)])]
    ledger.take(job, 8)
    gone, item = weakref.ref(data), job.items[0]
    gc.disable()
    try:
        ledger.done(item, Answer(result=1), time.monotonic_ns())
        del data, item, job
        assert gone() is None
    finally:
        gc.enable()


def test_a_deadline_passes_between_batches_of_a_round(made):
    compute, channel, ledger, task = made
    task.read = lambda item: tasks.Request(item, key=item.text(), inputs=item.text())
    task.gate.clear()
    submit(compute, ledger, 1, ["x", "y"])
    while not compute._running:
        pass
    ledger._entries[1].job.deadline_ns = time.monotonic_ns()
    task.gate.set()
    assert results(channel.wait(1)) == {(1, 0): "xx", (1, 1): "deadline"}
    assert task.ran == [["x"]]


def test_a_panic_in_a_tokenizer_is_one_items_failure(made):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex("(a|aa)+$"), "isolated")
    compute, channel, ledger, task = made
    task.read = lambda item: tasks.Request(item, inputs=item.text() if len(item.text()) < 9
                                           else tokenizer.encode(item.text()))
    submit(compute, ledger, 1, ["a", "a" * 5000 + "b", "b"])
    assert results(channel.wait(1)) == {(1, 0): "aa", (1, 1): "invalid_request", (1, 2): "bb"}
