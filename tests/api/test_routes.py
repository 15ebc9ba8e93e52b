"""Routes beside the published clients: Text Embeddings Inference, management, events, logs, metrics."""
import json
import threading

import numpy as np
import pytest

from conftest import Raw, json_request, request
from daemon import MINILM, MODELS, Daemon, local_hub, until

PATH = f"/berth/models/{MINILM}"


def no_slow_turn(daemon):
    """No turn of the loop has held up the others for 20 ms, the time that it waited for a processor taken off."""
    status = daemon.get("/berth/status")
    with open(f"/proc/{daemon.pid}/task/{daemon.pid}/schedstat") as f:
        waited_ms = int(f.read().split()[1]) / 1e6
    print(f"{status['slow_turns']} slow turns, the longest {status['longest_turn_ms']} ms; waited {waited_ms:.0f} ms in all")
    assert status["longest_turn_ms"] <= 20 + waited_ms


# ---- Text Embeddings Inference ----

def test_tei_embed(minilm):
    status, headers, many = minilm.ask("POST", "/embed", {"inputs": ["hello", [101, 7592, 102], "world"]})
    assert status == 200 and np.shape(many) == (3, 384) and many[0] == many[1]
    assert minilm.post("/embed", inputs="hello") == [many[0]]
    assert minilm.ask("POST", "/embed", {"inputs": "hello", "dimensions": "64"})[0] == 422
    assert minilm.post("/embed", inputs="hello", model=MINILM, normalize=True) == [many[0]]
    assert int(headers["x-compute-tokens"]) == 9 and int(headers["x-compute-characters"]) == 10
    for name in ("x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time", "x-compute-time"):
        assert int(headers[name]) >= 0
    raw = np.float32(minilm.post("/embed", inputs="hello", normalize=False)[0])
    assert np.allclose(raw / np.linalg.norm(raw), many[0], atol=1e-6)  # two roundings apart


@pytest.mark.parametrize("body", [{}, {"inputs": []}, {"inputs": 7}, {"inputs": None}, {"inputs": [1.5]}, {"inputs": [["a"]]},
                                  {"inputs": "x", "truncate": "yes"}, {"inputs": "x", "normalize": 1},
                                  {"inputs": "x", "truncation_direction": "up"}, {"inputs": "x", "model": 7},
                                  {"inputs": ["x"] * 5000}, {"inputs": "word " * 600}])
def test_tei_refuses_with_its_own_error(minilm, body):
    status, _, answer = minilm.ask("POST", "/embed", body)
    assert status == 422 and answer["error_type"] == "Validation" and len(answer["error"]) > 10


def test_tei_cuts_when_asked(minilm):
    status, headers, answer = minilm.ask("POST", "/embed", {"inputs": "word " * 600, "truncate": True})
    assert status == 200 and headers["x-berth-truncated"] == "1" and headers["x-compute-tokens"] == "256"


def test_tei_info(minilm):
    info = minilm.get("/info")
    assert info["model_id"] == MINILM and info["max_input_length"] == 256
    assert info["model_type"] == {"embedding": {"pooling": "mean"}}
    assert minilm.ask("GET", "/health")[0] == 200


# ---- management ----

def test_models_are_listed_with_their_processes(minilm):
    listed = {m["name"]: m for m in minilm.get("/berth/models")["models"]}
    model = listed[MINILM]
    assert model.keys() == minilm.get(PATH).keys()
    assert (model["state"], model["model_state"], model["origin"]) == ("ready", "registered", "added")
    assert (model["architecture"], model["context"], model["dim"]) == ("BertModel", 256, 384)
    (process,) = model["instances"]
    assert process["pid"] in minilm.children() and process["sandbox"]["seccomp"] is True
    assert process["reserved_bytes"] >= process["real_bytes"] > 50 << 20


def test_status(minilm):
    status = minilm.get("/berth/status")
    assert status["pid"] == minilm.pid and status["ready"] and not status["draining"]
    assert status["listen"] == [f"{minilm.host}:{minilm.port}"] and status["socket"] == str(minilm.home / "berth.sock")
    assert status["memory"]["budget"] > status["memory"]["reserved"] > 0
    no_slow_turn(minilm)


def test_aliases(minilm):
    assert minilm.post("/berth/alias", alias="mini", model=MINILM) == {"alias": "mini", "model": MINILM}
    want = minilm.post("/embed", inputs="hello")
    assert minilm.post("/models/mini", inputs=["hello"]) == want
    assert minilm.get("/models/mini/info")["model_id"] == MINILM
    assert minilm.get(PATH)["aliases"] == ["mini"]
    assert minilm.post("/berth/alias", alias="mini", model=None) == {"alias": "mini", "model": None}
    assert minilm.ask("POST", "/models/mini", {"inputs": "x"})[0] == 404
    assert minilm.ask("POST", "/berth/alias", {"alias": "mini"})[0] == 400


def test_the_longest_registered_name_wins(minilm, tmp_path):
    minilm.post("/berth/add", model="sentence-transformers/info", dir=str(MODELS / MINILM))
    minilm.post("/berth/alias", alias="sentence-transformers", model=MINILM)
    assert minilm.get("/models/sentence-transformers/info/info")["model_id"] == "sentence-transformers/info"
    assert minilm.ask("GET", "/models/sentence-transformers/info")[0] == 405  # the model's own address takes POST
    minilm.post("/berth/remove", model="sentence-transformers/info")
    assert minilm.get("/models/sentence-transformers/info")["model_id"] == MINILM
    minilm.post("/berth/alias", alias="sentence-transformers", model=None)


def test_plan(minilm):
    plan = minilm.post("/berth/plan", model=MINILM)
    assert plan["local"] and plan["fits"] and plan["unsupported"] == [] and plan["architecture"] == "BertModel"
    assert plan["dim"] == 384 and plan["parameters"] > 22e6 and plan["bytes"]["F32"] == 4 * (plan["parameters"] - 512)  # position_ids
    assert plan["need_bytes"] <= plan["free_bytes"] + plan["need_bytes"] and plan["budget_bytes"] > 0


@pytest.mark.parametrize("path, body, status, word", [
    ("/berth/load", {}, 400, "model"), ("/berth/load", {"model": 7}, 400, "model"),
    ("/berth/load", {"model": "x" * 300}, 400, "model"), ("/berth/load", {"model": "a\0b"}, 400, "model"),
    ("/berth/unload", {"model": "no/such"}, 404, "no/such"), ("/berth/remove", {"model": "no/such"}, 404, "no/such"),
    ("/berth/remove", {"model": MINILM, "all": "yes"}, 400, "all"), ("/berth/add", {"model": "x"}, 400, "dir"),
    ("/berth/add", {"model": "x", "dir": "/no/such/folder"}, 404, "/no/such/folder"),
    ("/berth/pull", {}, 400, "model"), ("/berth/pull", {"model": "a/../b"}, 400, "a/../b"),
    ("/berth/plan", {"model": "no/such"}, 502, "no/such")])
def test_management_says_what_is_wrong(minilm, path, body, status, word):
    got, _, answer = minilm.ask("POST", path, body)
    assert word in answer["error"]["message"], answer
    assert got == status, answer


# ---- streams ----

def read_events(r, until_name):
    """[(event or None, id or None, data)] up to the first of that name or that satisfies it."""
    text, events = b"", []
    while True:
        while b"\n\n" not in text:
            assert r.more(), "the stream ended early"
            text, r.left = text + unchunk(r), r.left
        frame, _, text = text.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in frame.decode().split("\n") if not line.startswith(":"))
        if not fields:
            continue
        event = (fields.get("event"), fields.get("id"), json.loads(fields["data"]))
        events.append(event)
        if event[0] == until_name or (callable(until_name) and until_name(event)):
            return events


def unchunk(r):
    """Takes the whole chunks off what is left."""
    out = b""
    while b"\r\n" in r.left:
        size, _, rest = r.left.partition(b"\r\n")
        n = int(size, 16)
        if len(rest) < n + 2:
            break
        out, r.left = out + rest[:n], rest[n + 2:]
    return out


def test_events_go_on_from_the_last_one_seen(minilm):
    with Raw(minilm) as r:
        r.send(request("GET", "/berth/events"))
        status, headers, _ = r.answer()
        assert status == 200 and headers["content-type"] == "text/event-stream"
        minilm.post("/berth/unload", model=MINILM)
        seen = read_events(r, lambda e: e[2]["type"] == "deployment" and e[2]["to"] == "idle")
    minilm.post("/berth/load", model=MINILM)
    with Raw(minilm) as r:
        r.send(request("GET", "/berth/events", f"Last-Event-ID: {seen[0][1]}"))
        assert r.answer()[0] == 200
        again = read_events(r, lambda e: e[2]["type"] == "deployment" and e[2]["to"] == "ready")
    assert again[:len(seen) - 1] == seen[1:]
    sequence = [int(e[1]) for e in again]
    assert sequence == list(range(sequence[0], sequence[0] + len(sequence)))
    assert {"seq", "time", "type", "model", "from", "to", "reason"} <= again[0][2].keys()


def test_unload_answers_when_the_process_is_gone(minilm):
    (pid,) = minilm.workers()
    released = minilm.post("/berth/unload", model=MINILM)
    assert released["released_bytes"] > 50 << 20
    assert pid not in minilm.children()
    minilm.post("/berth/load", model=MINILM)


def test_logs(minilm):
    status, headers, text = minilm.ask("GET", f"/berth/logs?model={MINILM}")
    assert status == 200 and headers["content-type"].startswith("text/plain")
    assert minilm.ask("GET", "/berth/logs")[0] == 400
    assert minilm.ask("GET", "/berth/logs?model=no/such")[0] == 404


def test_metrics_are_in_order(minilm):
    text = minilm.get("/metrics")
    types, seen = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            types[name] = kind
        elif not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            assert series not in seen, series
            seen.add(series)
            float(value)
            name = series.split("{")[0]
            base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            assert types.get(name) or types.get(base) == "histogram", name
    assert 'berth_http_requests_total{route="/embed",method="POST",code="200"}' in text
    assert f'berth_model_up{{model="{MINILM}"}} 1' in text
    assert "/berth/models/{name}" in text and PATH not in text


# ---- pulls ----

@pytest.mark.timeout(120)
def test_a_pull_streams_its_progress(tmp_path):
    with local_hub() as hub, Daemon(tmp_path, HF_ENDPOINT=hub) as d:
        with Raw(d, 60) as r:
            r.send(json_request("/berth/pull", {"model": MINILM, "stream": True}))
            assert r.answer()[0] == 200
            events = read_events(r, "done")
        assert events[-1][2]["name"] == MINILM and events[-1][2]["model_state"] == "registered"
        pulls = [e[2] for e in events if e[2].get("type") == "pull"]
        assert pulls and pulls[-1]["done"] == pulls[-1]["total"] > 90e6
        assert d.post("/berth/pull", model=MINILM)["model_state"] == "registered"
        with Raw(d, 60) as r:
            r.send(json_request("/berth/pull", {"model": "no/such-model", "stream": True}))
            assert r.answer()[0] == 200
            assert read_events(r, "error")[-1][2]["error"]["code"] == "model_not_found"
        assert d.ask("POST", "/berth/pull", {"model": "no/such-model"})[0] == 404


@pytest.mark.timeout(120)
def test_a_pull_ends_with_the_last_who_waits(tmp_path):
    stall = json.dumps({"kind": "stall", "path": "model.safetensors", "after": 1 << 20})
    with local_hub(MODELS, "--fault", stall) as hub, Daemon(tmp_path, HF_ENDPOINT=hub) as d:
        def state():
            status, _, answer = d.ask("GET", PATH)
            return answer.get("model_state") if status == 200 else "absent"

        one, two = (Raw(d).send(json_request("/berth/pull", {"model": MINILM})) for _ in range(2))
        until(lambda: state() == "pulling", what="the pull to begin")
        one.socket.close()
        assert state() == "pulling"
        two.socket.close()
        until(lambda: state() == "absent", what="the pull to end with its last client")
        assert d.ask("POST", "/berth/pull", {"model": MINILM, "detach": True})[0] == 202
        until(lambda: state() == "pulling", what="the pull to go on")
        with Raw(d) as third:
            third.send(json_request("/berth/pull", {"model": MINILM}))
            until(lambda: state() == "pulling")
        assert state() == "pulling"  # somebody said detach
        assert d.post("/berth/pull", model=MINILM, cancel=True)["state"] == "cancelled"
        until(lambda: state() == "absent", what="the pull to be cancelled")


# ---- limits ----

@pytest.mark.timeout(60)
def test_a_full_queue_says_when_to_come_back(tmp_path):
    with Daemon(tmp_path, config="queue_jobs: 2\njob_deadline_s: 3\n") as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        slow = {"model": MINILM, "input": ["many words to read " * 60] * 100, "truncate": True}
        crowd = [Raw(d, 60).send(json_request("/v1/embeddings", slow)) for _ in range(300)]  # a worker holds many as well
        answers = [r.answer() for r in crowd]
        for r in crowd:
            r.socket.close()
        assert {status for status, _, _ in answers} <= {200, 429, 504}
        full = [(headers, json.loads(body)) for status, headers, body in answers if status == 429]
        assert full and all(int(headers["retry-after"]) >= 1 for headers, _ in full)
        assert all(body["error"]["code"] == "queue_full" and body["error"]["type"] == "rate_limit_error" for _, body in full)
        late = [json.loads(body)["error"]["code"] for status, _, body in answers if status == 504]
        assert late and set(late) == {"deadline"}
        assert len(d.post("/embed", inputs="still here")[0]) == 384


# ---- leaving ----

def test_a_client_that_leaves_cancels_its_job(minilm):
    before = minilm.get(PATH)["done_jobs"]
    body = {"model": MINILM, "input": ["many words to read " * 60] * 1500, "truncate": True}
    with Raw(minilm) as r:
        r.send(json_request("/v1/embeddings", body))
        until(lambda: minilm.get(PATH)["running_jobs"] + minilm.get(PATH)["queued_jobs"] == 1, what="the job to begin")
    until(lambda: minilm.get(PATH)["running_jobs"] + minilm.get(PATH)["queued_jobs"] == 0, 10, "the job to be dropped")
    assert minilm.get(PATH)["done_jobs"] == before
    assert len(minilm.post("/embed", inputs="still here")[0]) == 384


def test_long_bodies_do_not_hold_up_the_others(minilm):
    text = ("word " * 1000)[:4000]
    body = json.dumps({"model": MINILM, "input": [text] * 3000, "dimensions": 0}).encode()  # refused once it is read
    assert len(body) > 10 << 20
    answers = []

    def send():
        with Raw(minilm, 60) as r:
            answers.append(r.send(json_request("/v1/embeddings", body)).answer()[0])

    senders = [threading.Thread(target=send) for _ in range(4)]
    for s in senders:
        s.start()
    for s in senders:
        s.join()
    assert answers == [400] * 4
    no_slow_turn(minilm)
