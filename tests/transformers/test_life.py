"""The whole life of a server, over a socketpair: HELLO, LOAD, JOB, PING, CANCEL, deadlines, DRAIN, every way out."""
import contextlib
import fcntl
import os
import signal
import time

import framing
import numpy
import pytest
from server import START_S, Server, vector

MS = 1_000_000


@pytest.fixture(scope="module")
def minilm_server(minilm):
    server = Server()
    server.ready_body = server.ready(minilm)
    yield server
    assert server.end() == 0


@pytest.fixture
def idle():
    """A server that waits for its model."""
    server = Server()
    yield server
    server.end()


def test_hello_load_ready_drain(idle, minilm):
    hello, status = idle.greet()
    assert hello["version"] == framing.VERSION and hello["kind"] == "transformers" and hello["pid"] == idle.process.pid
    assert hello["limits"] == {"jobs": 64, "bytes": 64 << 20} and "credit" in hello["features"]
    assert status["phase"] == "sandbox" and status["sandbox"]["exec_memory"] is True
    assert len(os.listdir(f"/proc/{idle.process.pid}/task")) == 1, "a thread that the narrowed sandbox would not hold"
    ready, seen = idle.load(minilm)
    assert list(dict.fromkeys(s["phase"] for s in seen)) == ["imports", "config", "tokenizer", "weights", "warming"]
    weights = [s for s in seen if s["phase"] == "weights"]
    assert weights[0]["done"] == 0 and weights[-1]["done"] == weights[-1]["all"] == 90856960
    body = ready.body
    assert body["task"] == "feature-extraction" and body["dim"] == 384 and body["max_tokens"] == 256
    assert body["dtype"] == "f32" and body["isa"] and 100 << 20 < body["memory"] < 4 << 30 and body["load_ns"] > 0
    assert body["extra"]["versions"]["torch"] and body["extra"]["device"] == "cpu" and body["extra"]["notes"] == []
    idle.recv()
    jobs = [idle.ask(["one"] * 8), idle.ask(["two"])]
    idle.send("DRAIN", {})
    late = idle.ask(["too late"])
    got = idle.answers(*jobs, late)
    assert [f.type for k, f in got.items() if k[0] in jobs] == ["DONE"] * 9
    assert got[late, None].body["code"] == "draining"
    assert idle.recv() is None and idle.process.wait(10) == 0


def test_the_launchers_word_on_the_sandbox_is_passed_on(minilm):
    server = Server(env={"BERTH_SANDBOX": '{"no_new_privs":true,"seccomp":true,"landlock":7,"rlimits":true}'})
    _, status = server.greet()
    assert status["sandbox"] == {"no_new_privs": True, "seccomp": True, "landlock": 7, "rlimits": True,
                                 "exec_memory": True}
    server.end()


def test_another_version_is_refused_with_a_sentence(idle):
    idle.send("HELLO", {"version": 2, "build": "later", "kind": "daemon"})
    frame, _ = idle.recv_until("ERROR", timeout=START_S)
    assert frame.job == 0 and "version 2" in frame.body["text"] and "install both" in frame.body["text"]
    assert idle.recv() is None and idle.process.wait(10) == 1


@pytest.mark.parametrize("name, body", [("READY", {"tasks": [], "task": "", "dim": 0, "max_tokens": 0, "memory": 0,
                                                   "dtype": "", "isa": ""}),
                                        ("JOB", {"task": "t", "items": [[{"k": "text", "d": "text"}]]}),
                                        ("HELLO", {"version": 1, "build": "", "kind": "daemon"})])
def test_what_breaks_the_protocol_ends_the_server(idle, name, body):
    idle.greet()
    idle.send(name, body, job=1)
    frame, _ = idle.recv_until("ERROR")
    assert frame.job == 0 and frame.body["code"] == "invalid_request"
    assert idle.recv() is None and idle.process.wait(10) == 1


def test_a_daemon_that_hangs_up_ends_the_server(idle):
    idle.greet()
    assert idle.end() == 0


def test_a_daemon_that_hangs_up_during_a_forward(minilm):
    server = Server()
    server.ready(minilm)
    server.ask(["x"], params={"how": "forever"})
    wait_until_busy(server)
    assert server.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_sigterm_finishes_what_was_taken(minilm, number):
    server = Server()
    server.ready(minilm)
    job = server.ask(["one text"] * 20)
    server.ping()  # it has been read
    os.kill(server.process.pid, number)
    assert sum(f.type == "DONE" for f in server.answers(job).values()) == 20
    assert server.recv() is None and server.process.wait(10) == 0


def test_sigterm_before_load(idle):
    idle.greet()
    os.kill(idle.process.pid, signal.SIGTERM)
    assert idle.process.wait(10) == 0


def wait_until_busy(server):
    """Until the model computes: its counter moves."""
    first = server.ping()["threads"]
    while server.ping()["threads"] == first:
        pass


@contextlib.contextmanager
def busy(server, text="x"):
    """A job that computes until the end of this, when it is cancelled."""
    job = server.ask([text], params={"how": "forever"})
    wait_until_busy(server)
    yield job
    server.send("CANCEL", {}, job=job)
    assert server.answers(job)[job, 0].body["code"] == "cancelled"


def test_answers_are_those_of_the_library(minilm_server, minilm):
    import torch
    import transformers
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm)
    model = transformers.AutoModel.from_pretrained(minilm).eval()
    texts = ["A text.", "Another one, which is rather longer than the first; and it goes on.", "x " * 200]
    with torch.inference_mode():
        alone = [model(**tokenizer(t, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for t in texts]
    # f32 sums in another order, because other batches take other kernels; the vectors' elements are below 2.
    numpy.testing.assert_allclose(minilm_server.vectors(texts), numpy.stack(alone), atol=5e-6, rtol=0)


def test_many_jobs_of_mixed_lengths_are_answered_once_each_and_equal_one_at_a_time(minilm_server):
    words = [["word"] * (1 + i * 37 % 90) for i in range(40)]
    texts = [" ".join(w) for w in words]
    alone = numpy.concatenate([minilm_server.vectors([t]) for t in texts])
    jobs = [minilm_server.ask(texts[i:i + 4], caller=f"c{i % 3}", priority=i % 10) for i in range(0, 40, 4)]
    got = minilm_server.answers(*jobs)
    assert len(got) == 40
    together = numpy.stack([vector(got[j, i]) for j in jobs for i in range(4)])
    numpy.testing.assert_allclose(together, alone, atol=5e-6, rtol=0)  # as above


def test_usage_and_times(minilm_server):
    job = minilm_server.ask(["hello world"])
    body = minilm_server.answers(job)[job, 0].body
    assert body["usage"] == {"tokens": 4} and body["times"]["run_ns"] > 0 and "flags" not in body


def test_large_texts_arrive_by_memfd_and_large_answers_go_by_memfd(minilm_server):
    text = b"a few words and " * 8192
    fd = os.memfd_create("parts", os.MFD_ALLOW_SEALING)
    os.write(fd, text)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    minilm_server.jobs += 1
    job = minilm_server.jobs
    minilm_server.send("JOB", {"task": "feature-extraction", "data": len(text), "params": {"how": "big"},
                               "items": [[{"k": "text", "o": 0, "n": len(text)}]]}, job, [fd])
    os.close(fd)
    frame = minilm_server.recv()
    assert frame.type == "DONE" and frame.body["data"] == 200 * 384 * 4 and len(frame.fds) == 1
    big = vector(frame)
    assert minilm_server.recv().body == {"jobs": 1, "bytes": len(text)}
    numpy.testing.assert_array_equal(big[:384], big[-384:])


def test_ping_is_answered_under_load_and_its_counter_moves(minilm_server):
    with busy(minilm_server, "word " * 250):
        took, counters = [], []
        while len(set(counters)) < 10:
            begun = time.monotonic_ns()
            pong = minilm_server.ping()
            took.append(time.monotonic_ns() - begun)
            counters += pong["threads"]
        assert pong["busy"] == 1 and pong["memory"] > 100 << 20
        assert counters == sorted(counters)
        # Many within one layer: a PING does not wait for the forward.
        assert len(took) > 10, took
    assert minilm_server.ping()["busy"] == 0


def test_cancel_ends_a_forward_before_its_next_layer(minilm_server):
    """Between a PONG before CANCEL and the job's credit back, few layers begin: the one that ran, the one it stops at,
    and what began while the frames were on their way."""
    with busy(minilm_server, "word " * 250):
        before = minilm_server.ping()["threads"][0]
    after = minilm_server.ping()["threads"][0]
    assert after - before <= 4
    assert minilm_server.ping()["threads"][0] == after, "it still computes"
    assert minilm_server.vectors(["usable"]).shape == (1, 384)


def test_cancel_of_a_job_that_waits_and_of_one_that_is_not_there(minilm_server):
    with busy(minilm_server):
        waiting = minilm_server.ask(["y"] * 3)
        minilm_server.send("CANCEL", {}, job=waiting)
        minilm_server.send("CANCEL", {}, job=999_999)
        got = minilm_server.answers(waiting)
        assert [got[waiting, i].body["code"] for i in range(3)] == ["cancelled"] * 3
    assert minilm_server.ping()["busy"] == 0


def test_a_deadline_that_has_passed_costs_nothing(minilm_server):
    before = minilm_server.ping()["threads"]
    job = minilm_server.ask(["x", "y"], deadline_ns=1)
    got = minilm_server.answers(job)
    assert [got[job, i].body["code"] for i in range(2)] == ["deadline"] * 2
    assert minilm_server.ping()["threads"] == before


def test_a_deadline_passes_while_another_job_computes(minilm_server):
    with busy(minilm_server):
        job = minilm_server.ask(["y"], deadline_ns=time.monotonic_ns() + 50 * MS)
        assert minilm_server.answers(job)[job, 0].body["code"] == "deadline"


def test_an_item_that_fails_leaves_the_others_and_the_model_alone(minilm_server):
    good = minilm_server.ask(["a text"])
    bad = [minilm_server.ask(["a text"], params={"how": how}) for how in ("raise", "memory", "bad")]
    refused = minilm_server.ask(["a text"], params={"refuse": True})
    got = minilm_server.answers(good, *bad, refused)
    assert got[good, 0].type == "DONE"
    assert [got[j, 0].body["code"] for j in bad] == ["internal", "insufficient_memory", "internal"]
    assert all("/" not in got[j, 0].body["text"] for j in bad)
    assert got[refused, 0].body == {"code": "input_too_long", "text": "refused, as it was asked to be", "item": 0}
    assert minilm_server.vectors(["usable"]).shape == (1, 384)


def test_what_cannot_be_taken_is_refused_and_its_credit_given_back(minilm_server):
    unknown = minilm_server.ask(["x"], task="translation")
    nothing = minilm_server.ask([])
    got = minilm_server.answers(unknown, nothing)
    assert got[unknown, None].body["code"] == "unsupported_task"
    assert got[nothing, None].body["code"] == "invalid_request"


def test_more_jobs_than_there_is_credit_for(minilm_server):
    with busy(minilm_server):
        jobs = [minilm_server.ask(["y"]) for _ in range(64)]
        got = minilm_server.answers(jobs[-1])
        assert got[jobs[-1], None].body["code"] == "queue_full"
    minilm_server.answers(*jobs[:-1])


def test_what_a_library_prints_goes_to_standard_error(minilm, tmp_path):
    with open(tmp_path / "err", "wb") as err, open(tmp_path / "out", "wb") as out:
        server = Server(stderr=err, stdout=out)
        server.ready(minilm)
        server.vectors(["x"], params={"how": "print"})
        server.end()
    assert (tmp_path / "err").read_text() == "printed by a library\n"
    assert (tmp_path / "out").read_bytes() == b""


def test_a_second_load_is_refused(minilm):
    server = Server()
    server.ready(minilm)
    frame, _ = server.load(minilm)
    assert frame.job == 0 and "second LOAD" in frame.body["text"]
    server.end()


def test_a_promise_of_memory_is_kept(minilm, minilm_server):
    """What is allocated beyond it is refused, and the server lives; without a limit the same is granted."""
    assert minilm_server.vectors(["x"], params={"how": "gigabyte"}).shape == (1, 384)
    server = Server()
    server.ready(minilm, memory=200 << 20)
    job = server.ask(["x"], params={"how": "gigabyte"})
    assert server.answers(job)[job, 0].body["code"] == "insufficient_memory"
    assert server.vectors(["usable"]).shape == (1, 384)
    server.end()


def test_a_model_that_does_not_fit_is_an_error_and_not_a_death(tmp_path, tiny_bert):
    """bf16 weights that take twice their bytes in f32, and a promise of next to nothing."""
    import shutil
    import torch
    import transformers
    shutil.copytree(tiny_bert("BertModel"), tmp_path / "large")
    config = transformers.BertConfig(vocab_size=250_000, hidden_size=512, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=64)
    transformers.BertModel(config).to(torch.bfloat16).save_pretrained(tmp_path / "large")
    server = Server()
    server.greet()
    frame, _ = server.load(tmp_path / "large", memory=1 << 20)
    assert (frame.type, frame.job, frame.body["code"]) == ("ERROR", 0, "insufficient_memory")
    assert server.recv() is None and server.process.wait(10) == 1


def test_a_load_that_is_refused_says_why_and_ends(tmp_path, tiny_bert):
    server = Server()
    server.greet()
    frame, seen = server.load(tiny_bert("BertModel"), dtype="int4")
    assert (frame.type, frame.job, frame.body["code"]) == ("ERROR", 0, "unsupported_option")
    assert server.recv() is None and server.process.wait(10) == 1


def test_a_folder_that_is_not_there(tmp_path):
    server = Server()
    server.greet()
    frame, _ = server.load(tmp_path / "nothing")
    assert (frame.type, frame.job, frame.body["code"]) == ("ERROR", 0, "damaged_file")
    assert server.recv() is None and server.process.wait(10) == 1
