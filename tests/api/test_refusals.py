"""What does not fit, comes too late or asks for too much: each its own sentence, in the caller's protocol."""
import collections
import subprocess
import threading

import pytest

from daemon import BUILD, MINILM, MODELS, Daemon, until

TEXT = "a text that takes a while, since the kernels are slow "
HELD = 64  # jobs that a worker takes before they count as waiting
SLOW = {"BERTH_ISA": "scalar"}


def together(n, ask):
    """The results of n calls of ask(i) at once."""
    results = [None] * n
    threads = [threading.Thread(target=lambda i=i: results.__setitem__(i, ask(i))) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def test_a_full_queue_says_when_to_come_back(tmp_path):
    with Daemon(tmp_path, config="queue_jobs: 2\nthreads: 1\n", **SLOW) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        answers = together(HELD + 40, lambda i: d.ask("POST", f"/models/{MINILM}", {"inputs": TEXT * 4}))
        counts = collections.Counter(status for status, _, _ in answers)
        print(dict(counts))
        assert set(counts) == {200, 429}
        for status, headers, answer in answers:
            if status == 429:
                assert int(headers["Retry-After"]) >= 1
                assert "queue" in answer["error"]


def test_a_job_past_its_deadline_is_dropped(tmp_path):
    with Daemon(tmp_path, config="job_deadline_s: 1\nthreads: 1\n", **SLOW) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        body = {"model": MINILM, "input": [TEXT * 40] * 256, "truncate": True}
        status, _, answer = d.ask("POST", "/v1/embeddings", body)
        assert (status, answer["error"]["code"]) == (504, "deadline"), answer
        status, _, _ = d.ask("POST", "/v1/embeddings", {"model": MINILM, "input": "short"})
        assert status == 200


def test_what_does_not_fit_is_refused_with_the_numbers(tmp_path):
    with Daemon(tmp_path, config="memory: 64 MiB\n") as d:
        d.add(MINILM, MODELS / MINILM)
        status, _, answer = d.ask("POST", "/berth/load", {"model": MINILM})
        print(answer)
        assert (status, answer["error"]["code"]) == (507, "insufficient_memory")
        assert "64.0 MiB" in answer["error"]["message"] or "67.1 MB" in answer["error"]["message"]
        status, _, answer = d.ask("POST", "/v1/embeddings", {"model": MINILM, "input": "a"})
        assert status == 507
        assert d.children() == []


def test_two_models_share_the_budget(tmp_path):
    with Daemon(tmp_path, config="memory: 180 MiB\n") as d:
        for name in ("first", "second"):
            d.add(name, MODELS / MINILM)
        d.post("/berth/load", model="first", pin=True)
        status, _, answer = d.ask("POST", "/berth/load", {"model": "second"})
        assert status == 507, answer
        d.post("/berth/unload", model="first")
        assert d.get("/berth/status")["memory"]["reserved"] == 0
        d.post("/berth/load", model="second")


def test_a_name_that_nobody_knows_says_how_to_pull_it(tmp_path):
    with Daemon(tmp_path) as d:
        for path, body, sentence in (
                ("/v1/embeddings", {"model": "no/body", "input": "a"}, lambda a: a["error"]["message"]),
                ("/models/no/body", {"inputs": "a"}, lambda a: a["error"]),
                ("/embed", {"model": "no/body", "inputs": "a"}, lambda a: a["error"]),
                ("/berth/load", {"model": "no/body"}, lambda a: a["error"]["message"])):
            status, _, answer = d.ask("POST", path, body)
            assert status == 404
            assert "berth pull no/body" in sentence(answer)


def test_a_hub_that_is_not_there(tmp_path):
    with Daemon(tmp_path) as d:
        status, _, answer = d.ask("POST", "/berth/pull", {"model": "some/thing"})
        assert (status, answer["error"]["code"]) == (502, "hub_unreachable"), answer
    with Daemon(tmp_path / "offline", HF_HUB_OFFLINE="1") as d:
        status, _, answer = d.ask("POST", "/berth/pull", {"model": "some/thing"})
        assert status in (404, 502) and "HF_HUB_OFFLINE" in answer["error"]["message"], answer


def test_preload_is_what_readiness_waits_for(tmp_path):
    with Daemon(tmp_path / "a") as d:
        assert d.ask("GET", "/readyz")[0] == 200
    config = "models:\n  - name: no/body\n    preload: true\n"
    with Daemon(tmp_path / "b", config=config) as d:
        status, _, text = d.ask("GET", "/readyz")
        assert status == 503 and "no/body" in str(text)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_listening_to_strangers_needs_the_flag(tmp_path, listen):
    environment = {"HOME": str(tmp_path), "BERTH_HOME": str(tmp_path / "home"), "HF_HUB_CACHE": str(tmp_path)}
    command = [BUILD / "berthd", "--listen", listen]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1 and "--insecure-no-auth" in refused.stderr
    taken = subprocess.Popen([*command, "--insecure-no-auth"], env=environment, stderr=subprocess.DEVNULL)
    until((tmp_path / "home/berth.json").exists, what="berthd to start")
    taken.terminate()
    assert taken.wait(30) == 0


def test_one_daemon_per_home(tmp_path):
    with Daemon(tmp_path) as d:
        second = subprocess.run([BUILD / "berthd", "--listen", "127.0.0.1:0"], env=d.environment, capture_output=True,
                                text=True, timeout=30)
        assert second.returncode == 1 and str(d.pid) in second.stderr, second.stderr
        assert d.ask("GET", "/livez")[0] == 200
