"""berth-worker, asked in frames: what sentence-transformers computes around a model, what the worker
refuses, and how it behaves when it is cancelled, late, told to end or lied to.
"""
import json
import os
import signal
import struct
import time
from collections import Counter

import numpy as np
import pytest
import tokenizers

from daemon import BUILD, MINILM, MODELS, ROOT
from framing import VERSION, Child

MODULES = ROOT / "tests/golden/modules"
TINY = ROOT / "tests/golden/bert"
GOLDEN = json.loads((MODULES / "vectors.json").read_text())
# The reference sums in f32: its own error grows with the size of what it sums.
NEAR = 1e-5
MINILM_FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "modules.json",
                "1_Pooling/config.json", "sentence_bert_config.json"]
SENTENCES = ["That is a happy person", "That is a happy dog", "Today is a sunny day"]


def text(s, role=None):
    return {"k": "text", "d": s.encode()} | ({"role": role} if role else {})


class Worker(Child):
    def __init__(self, *arguments, **hello):
        super().__init__(BUILD / "berth-worker", *arguments)
        self.said = self.hello(threads=2, degraded=False, **hello)
        self.sandbox = self.recv().body["sandbox"]
        self.job = 0

    def load(self, files, **more):
        """files: {name in the snapshot: path or bytes}."""
        fds, listed = [], []
        for i, (name, content) in enumerate(files.items()):
            if isinstance(content, bytes):
                fd = os.memfd_create("file")
                os.write(fd, content)
            else:
                fd = os.open(content, os.O_RDONLY)
            fds.append(fd)
            listed.append({"name": name, "size": os.fstat(fd).st_size, "fd": i})
        self.send("LOAD", {"model": "m", "revision": "main", "dtype": "exact", "device": "cpu", "files": listed} | more,
                  fds=fds)
        for fd in fds:
            os.close(fd)
        frame, _ = self.recv_until("READY", "ERROR", "PLAN")
        if frame.type == "READY":
            assert self.recv().type == "CREDIT"
        return frame

    def post(self, task, items, **more):
        self.job += 1
        self.send("JOB", {"task": task, "items": items} | more, job=self.job)
        return self.job

    def ask(self, task, items, **params):
        """The answers by item, and what the whole job failed with, if it did."""
        self.post(task, items, params=params)
        last, seen = self.recv_until("CREDIT")
        assert last.body["jobs"] == 1
        assert all(f.job == self.job and f.type in ("DONE", "ERROR") for f in seen)
        return {f.body.get("item", "all"): f for f in seen}

    def vectors(self, texts, **params):
        got = self.ask("feature-extraction", [[text(t)] for t in texts], **params)
        return np.array([tensor(got[i]) for i in range(len(texts))])

    def error(self, task, items, **params):
        got = list(self.ask(task, items, **params).values())
        assert [f.type for f in got] == ["ERROR"]
        return got[0].body["code"], got[0].body["text"]


def tensor(frame):
    part = frame.body["parts"][0]
    data = part["d"] if "d" in part else os.pread(frame.fds[0], part["n"], part["o"])
    for fd in frame.fds:
        os.close(fd)
    return np.frombuffer(data, "<f4").reshape(part["shape"])


def tiny_files(case=None):
    files = {"config.json": TINY / "config.json", "model.safetensors": TINY / "model.safetensors",
             "vocab.txt": MODULES / "vocab.txt", "tokenizer_config.json": MODULES / "tokenizer_config.json"}
    if case:
        folder = MODULES / case
        files |= {str(p.relative_to(folder)): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return files


@pytest.fixture(scope="module")
def minilm():
    w = Worker()
    w.ready = w.load({n: MODELS / MINILM / n for n in MINILM_FILES})
    assert w.ready.type == "READY", w.ready
    yield w
    w.send("DRAIN", {})
    assert w.recv() is None and w.end() == 0


def test_everything_is_given_up_before_the_model_comes(minilm):
    assert minilm.said["version"] == VERSION and minilm.said["kind"] == "native"
    assert minilm.sandbox["no_new_privs"] and minilm.sandbox["seccomp"] and minilm.sandbox["landlock"]
    assert not minilm.sandbox["degraded"]
    status = dict(line.split(":\t", 1) for line in open(f"/proc/{minilm.process.pid}/status") if ":\t" in line)
    assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert open(f"/proc/{minilm.process.pid}/environ").read() == ""


def test_ready_says_what_a_protocol_wants_to_know(minilm):
    body = minilm.ready.body
    assert body["dim"] == 384 and body["max_tokens"] == 256 and body["dtype"] == "f32"
    assert "sentence-similarity" in body["tasks"] and body["task"] in body["tasks"]
    assert body["extra"]["pooling"] == "mean" and body["extra"]["normalize"] is True


def test_tokenize_gives_the_ids_that_the_reference_has(minilm):
    texts = [json.loads(line) for line in (ROOT / "tests/golden/texts.jsonl").read_text().splitlines()[:64]]
    texts = [t if isinstance(t, str) else t["text"] for t in texts]
    want = tokenizers.Tokenizer.from_file(str(MODELS / MINILM / "tokenizer.json"))
    want.no_padding(), want.no_truncation()
    for specials in True, False:
        got = minilm.ask("tokenize", [[text(t)] for t in texts], add_special_tokens=specials)
        ids = [got[i].body["result"]["ids"] for i in range(len(texts))]
        assert ids == [want.encode(t, add_special_tokens=specials).ids for t in texts]
    assert minilm.error("tokenize", [[text("a"), text("b")]])[0] == "invalid_request"


@pytest.mark.parametrize("case", sorted(GOLDEN["vectors"]))
def test_modules_are_those_of_sentence_transformers(case):
    w = Worker()
    ready = w.load(tiny_files(case))
    assert ready.type == "READY", ready.body
    for prompt, want in GOLDEN["vectors"][case].items():
        params = {"prompt_name": prompt} if prompt else {}
        got = w.vectors(GOLDEN["texts"], truncate=True, **params)
        want = np.array(want)
        assert got.shape == want.shape and got.shape[1] == ready.body["dim"]
        far = float((np.abs(got - want) / np.maximum(np.abs(want), 1)).max())
        print(f"{case} {prompt or '-'}: {far:.1e}")
        assert far <= NEAR
    w.send("DRAIN", {})
    assert w.recv() is None and w.end() == 0


def test_a_batch_changes_no_bit(minilm):
    texts = SENTENCES + ["", "word " * 200] * 10
    together = minilm.vectors(texts)
    alone = np.array([minilm.vectors([t])[0] for t in texts])
    assert np.array_equal(together, alone)


def test_similarity_is_the_cosine(minilm):
    a, *rest = minilm.vectors(SENTENCES)
    item = [text(SENTENCES[0], "source")] + [text(s, "sentence") for s in SENTENCES[1:]]
    got = minilm.ask("sentence-similarity", [item])[0]
    assert np.abs(tensor(got) - [a @ b for b in rest]).max() < 1e-6
    assert got.body["usage"]["tokens"] > 10 and got.body["times"]["run_ns"] > 0


def test_token_vectors_travel_in_a_sealed_memfd(minilm):
    got = minilm.ask("feature-extraction", [[text("a b c " * 60)]], pooled=False)[0]
    assert len(got.fds) == 1
    rows = tensor(got)
    assert rows.shape == (182, 384) == (got.body["usage"]["tokens"], 384)
    mean = rows.mean(axis=0)
    assert np.abs(mean / np.linalg.norm(mean) - minilm.vectors(["a b c " * 60])[0]).max() < 1e-6


def test_too_long_is_refused_or_cut_and_flagged(minilm):
    long = " ".join(str(i) for i in range(400))
    code, sentence = minilm.error("feature-extraction", [[text(long)]])
    assert code == "input_too_long" and "256" in sentence
    cut = {d: minilm.ask("feature-extraction", [[text(long)]], truncate=True, truncation_direction=d)[0]
           for d in ("right", "left")}
    assert all(f.body["flags"] == ["truncated"] and f.body["usage"]["tokens"] == 256 for f in cut.values())
    assert not np.array_equal(tensor(cut["left"]), tensor(cut["right"]))


def test_token_ids_are_taken_as_they_are(minilm):
    ids = struct.pack("<4I", 101, 7592, 2088, 102)
    got = minilm.ask("feature-extraction", [[{"k": "tokens", "d": ids}]])[0]
    assert np.array_equal(tensor(got), minilm.vectors(["hello world"])[0])


@pytest.mark.parametrize("code, words, task, items, params", [
    ("unsupported_task", "fill-mask", "fill-mask", [[text("a")]], {}),
    ("unsupported_task", "x", "x", [[text("a")]], {}),
    ("unsupported_option", "colour", "feature-extraction", [[text("a")]], {"colour": 1}),
    ("unsupported_option", "384", "feature-extraction", [[text("a")]], {"dimensions": 100}),
    ("invalid_request", "normalize", "feature-extraction", [[text("a")]], {"normalize": "yes"}),
    ("invalid_request", "prompt", "feature-extraction", [[text("a")]], {"prompt_name": "x"}),
    ("invalid_request", "up", "feature-extraction", [[text("a")]], {"truncation_direction": "up"}),
    ("invalid_request", "nothing", "feature-extraction", [], {}),
    ("invalid_request", "empty", "feature-extraction", [[{"k": "tokens", "d": b""}]], {}),
    ("invalid_request", "40000", "feature-extraction", [[{"k": "tokens", "d": struct.pack("<I", 40000)}]], {}),
    ("unsupported_type", "files", "feature-extraction", [[{"k": "bytes", "media": "image/png", "d": b"x"}]], {}),
    ("invalid_request", "source", "sentence-similarity", [[text("a"), text("b")]], {}),
])
def test_what_it_refuses_it_names(minilm, code, words, task, items, params):
    got, sentence = minilm.error(task, items, **params)
    assert got == code
    assert words in sentence or words == "up"


def test_one_bad_item_leaves_the_others(minilm):
    got = minilm.ask("feature-extraction", [[text("a")], [text("b " * 400)], [text("c")]])
    assert [got[i].type for i in range(3)] == ["DONE", "ERROR", "DONE"]


def test_cancel_ends_a_job_within_a_batch(minilm):
    items = [[text("a " * 240)]] * 400
    job = minilm.post("feature-extraction", items)
    first, _ = minilm.recv_until("DONE")
    begin = time.monotonic()
    minilm.send("CANCEL", {}, job=job)
    _, seen = minilm.recv_until("CREDIT")
    seconds = time.monotonic() - begin
    answers = Counter(f.body.get("code", "done") for f in [first, *seen])
    assert answers["cancelled"] > 300 and sum(answers.values()) == 400
    assert len({f.body["item"] for f in [first, *seen]}) == 400
    print(f"cancelled after {seconds * 1000:.0f} ms: {dict(answers)}")
    assert minilm.vectors(["still here"]).shape == (1, 384)


def test_the_deadline_spares_what_has_not_begun(minilm):
    items = [[text("a " * 240)]] * 400
    minilm.post("feature-extraction", items, deadline_ns=time.monotonic_ns() + 100 * 10**6)
    _, seen = minilm.recv_until("CREDIT")
    answers = Counter(f.body.get("code", "done") for f in seen)
    assert answers["deadline"] > 300 and sum(answers.values()) == 400


def test_priority_overtakes(minilm):
    slow = minilm.post("feature-extraction", [[text("a " * 240)]] * 100)
    fast = minilm.post("feature-extraction", [[text("b")]], priority=9)
    _, seen = minilm.recv_until("CREDIT")
    assert fast in {f.job for f in seen}
    before = [f.job for f in seen].index(fast)
    _, rest = minilm.recv_until("CREDIT")
    assert before < 20 and {f.job for f in rest} == {slow}


def test_a_slow_reader_stalls_its_own_job_alone(minilm):
    size = 384 * 4
    job = minilm.post("feature-extraction", [[text("a")]] * 2000)
    minilm.send("CREDIT", {"bytes": size}, job=job)
    minilm.send("PING", {"time_ns": 1})
    minilm.recv_until("PONG")
    other = minilm.post("feature-extraction", [[text("b")]])
    frame, before = minilm.recv_until("CREDIT")
    assert other in {f.job for f in before}, "the other job waits too"
    minilm.send("PING", {"time_ns": 2})
    pong, _ = minilm.recv_until("PONG")
    assert pong.body["busy"] == 1
    minilm.send("CREDIT", {"bytes": 2000 * size}, job=job)
    minilm.recv_until("CREDIT")


def test_counters_move_while_it_works(minilm):
    minilm.post("feature-extraction", [[text("a " * 200)]] * 50)
    counts = []
    for i in range(3):
        minilm.recv_until("DONE")
        minilm.send("PING", {"time_ns": i})
        pong, _ = minilm.recv_until("PONG")
        assert pong.body["busy"] == 1 and pong.body["memory"] > 1 << 20
        counts.append(sum(pong.body["threads"]))
    # Two items may have ended together, between the same two PINGs.
    assert counts == sorted(counts) and counts[-1] > counts[0], "no progress is seen"
    minilm.recv_until("CREDIT")


def test_sigterm_drains():
    w = Worker()
    w.load(tiny_files("last"))
    w.post("feature-extraction", [[text("a")]] * 500)
    w.recv_until("DONE")
    w.process.send_signal(signal.SIGTERM)
    _, seen = w.recv_until("no such frame")
    assert Counter(f.type for f in seen) == {"DONE": 499, "CREDIT": 1}
    assert w.end() == 0


def test_it_goes_with_its_daemon():
    w = Worker()
    w.load(tiny_files("last"))
    w.post("feature-extraction", [[text("a")]] * 500)
    assert w.end() == 0


def test_a_fault_is_named_on_standard_error(tmp_path):
    with open(tmp_path / "err", "w") as err:
        c = Child(BUILD / "berth-worker", stderr=err)
        c.hello(threads=2)
        c.process.send_signal(signal.SIGSEGV)
        assert c.process.wait(10) == -signal.SIGSEGV
    assert "SIGSEGV" in (tmp_path / "err").read_text()
    c.close()


@pytest.mark.parametrize("send", [
    lambda w: w.send("JOB", {"task": "feature-extraction", "items": [[text("a")]]}, job=0),
    lambda w: w.send_bytes(b"\xff" * 64),
    lambda w: w.send("HELLO", {"version": VERSION, "build": "x", "kind": "daemon"}),
    lambda w: w.send("PONG", {"time_ns": 1, "threads": []}),
    lambda w: w.send("JOB", {"task": "t", "items": [[{"k": "text", "d": b"\xff"}]]}, job=1),
])
def test_a_daemon_that_lies_is_left(send):
    w = Worker()
    w.load(tiny_files("last"))
    send(w)
    frame, seen = w.recv_until("no such frame")
    assert frame is None and [f.type for f in seen] == ["LOG", "ERROR"]
    assert w.end() == 1


def test_another_version_is_refused_with_a_sentence():
    c = Child(BUILD / "berth-worker")
    c.send("HELLO", {"version": 99, "build": "x", "kind": "daemon"})
    frame, _ = c.recv_until("ERROR")
    assert "version 99" in frame.body["text"]
    assert c.end() == 1


@pytest.mark.parametrize("name, change, code, words", [
    ("modules.json", b'[{"type": "sentence_transformers.models.Transformer", "path": ""}, '
     b'{"type": "evil.Pooling", "path": "x"}]', "unsupported_option", "evil.Pooling"),
    ("modules.json", b"[]", "damaged_file", "modules.json"),
    ("1_Pooling/config.json", b'{"embedding_dimension": 32, "pooling_mode": "median"}', "unsupported_option", "median"),
    ("1_Pooling/config.json", b'{"embedding_dimension": 31, "pooling_mode": "mean"}', "damaged_file", "31"),
    ("2_Dense/config.json", b'{"in_features": 192, "out_features": 16, "activation_function": "my.Act"}',
     "unsupported_option", "my.Act"),
    ("2_Dense/config.json", b'{"in_features": 191, "out_features": 16}', "damaged_file", "191"),
    ("2_Dense/model.safetensors", b"\0" * 8, "damaged_file", "2_Dense"),
    ("vocab.txt", b"", "unsupported_option", "vocab.txt"),
    ("config.json", b"{", "damaged_file", "config.json"),
])
def test_a_model_that_is_not_right_is_refused_by_name(name, change, code, words):
    w = Worker()
    frame = w.load(tiny_files("everything") | {name: change})
    assert frame.type == "ERROR" and frame.body["code"] == code, frame.body
    assert words in frame.body["text"]
    assert w.recv() is None and w.end() == 1


@pytest.mark.parametrize("more, words", [({"dtype": "int4"}, "int4"), ({"device": "cuda"}, "cuda"),
                                         ({"options": {"speed": 11}}, "speed")])
def test_an_option_that_it_does_not_have_is_refused_by_name(more, words):
    w = Worker()
    frame = w.load(tiny_files(), **more)
    assert frame.body["code"] == "unsupported_option" and words in frame.body["text"]
    assert w.end() == 1


def test_the_inspector_answers_with_a_plan():
    w = Worker("--inspect")
    assert w.said["kind"] == "inspect"
    plan = w.load(tiny_files("everything"))
    assert plan.type == "PLAN" and plan.body["model_type"] == "bert" and plan.body["unsupported"] == []
    assert w.recv() is None and w.end() == 0


def test_the_inspector_describes_what_the_worker_does_not_serve():
    w = Worker("--inspect")
    config = json.loads(tiny_files()["config.json"].read_text()) | {"architectures": ["BertForTokenClassification"]}
    plan = w.load(tiny_files() | {"config.json": json.dumps(config).encode(),
                                  "README.md": b"---\npipeline_tag: token-classification\n---\n"}).body
    assert (plan["task"], plan["tasks"]) == ("token-classification", ["token-classification"])
    assert [u["what"] for u in plan["unsupported"]] == ["task"]
    assert plan["extra"] == {"auto_map": False, "pipeline_tag": "token-classification"}
    assert plan["weights"] == 0 and plan["runtime"] == [] and plan["bytes"]["F32"] == 4 * plan["parameters"]
    assert w.recv() is None and w.end() == 0


def test_the_inspector_says_which_module_it_does_not_know():
    w = Worker("--inspect")
    plan = w.load(tiny_files("everything") | {"1_Pooling/config.json":
                                              b'{"embedding_dimension": 32, "pooling_mode": "median"}'})
    assert plan.type == "PLAN"
    assert ["median" in u["why"] for u in plan.body["unsupported"]] == [True]
    assert w.recv() is None and w.end() == 0
