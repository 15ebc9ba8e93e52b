"""berth load's wishes, berth run with a model that generates, berth verify: against a daemon that says what the test
wants."""
import json

import pytest

from fake_daemon import INSTANCE, MODEL, NAME, berth, environment, fake  # noqa: F401

CHAT = {**MODEL, "task": "text-generation", "tasks": ["text-generation", "chat"]}


def event(value):
    return f"data: {json.dumps(value)}\n\n"


def chat_answers(*answers):
    """Streams one of the answers for each request, word by word."""
    left = list(answers)

    def stream(handler, body):
        assert body["stream"] is True
        handler.stream()
        handler.chunk(event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}))
        for word in left.pop(0):
            handler.chunk(": ping\n\n" + event({"choices": [{"index": 0, "delta": {"content": word}}]}))
        handler.chunk(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + "data: [DONE]\n\n")
        handler.chunk("")
    return stream


def test_load_says_what_is_to_hold(fake, berth):  # noqa: F811
    fake.routes["POST /berth/load"] = MODEL
    berth("load", NAME, "--backend", "transformers", "--dtype", "bfloat16", "--device", "cuda:0", "--keep-alive", "10m",
          "--priority", "8", "--pin")
    berth("load", NAME, "--unpin")
    assert fake.bodies("POST /berth/load") == [
        {"model": NAME, "backend": "transformers", "dtype": "bfloat16", "device": "cuda:0", "keep_alive": "10m",
         "pin": True, "priority": 8}, {"model": NAME, "pin": False}]
    assert "1 to 9" in berth("load", NAME, "--priority", "10", code=2).stderr
    assert "exclude each other" in berth("load", NAME, "--pin", "--unpin", code=2).stderr


def test_a_conversation_remembers_its_turns(fake, berth):  # noqa: F811
    fake.routes[f"GET /berth/models/{NAME}"] = CHAT
    fake.routes["POST /v1/chat/completions"] = chat_answers(["Hel", "lo\nyou", "\x1b[2J"], ["So", "so"])
    done = berth("run", NAME, "--system", "Be brief.", "--max-tokens", "9", "--temperature", "0", "--seed", "3",
                 stdin="Hi\nHow are you?\n")
    assert done.stdout == "Hello\nyou?[2J\nSoso\n"
    first, second = fake.bodies("POST /v1/chat/completions")
    assert first == {"model": NAME, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
                     "max_tokens": 9, "temperature": 0, "seed": 3, "stream": True}
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][2]["content"] == "Hello\nyou\x1b[2J"


def test_prompts_are_single_where_their_task_is_named(fake, berth):  # noqa: F811
    fake.routes[f"GET /berth/models/{NAME}"] = CHAT
    fake.routes["POST /v1/completions"] = {"choices": [{"text": " upon a time"}]}
    done = berth("run", NAME, "--task", "text-generation", "--json", "Once", "Twice")
    assert [json.loads(line)["choices"][0]["text"] for line in done.stdout.splitlines()] == [" upon a time"] * 2
    assert [b["prompt"] for b in fake.bodies("POST /v1/completions")] == ["Once", "Twice"]


def test_an_error_in_the_midst_of_a_stream_is_told(fake, berth):  # noqa: F811
    def stream(handler, _):
        handler.stream()
        handler.chunk(event({"choices": [{"index": 0, "delta": {"content": "Half"}}]}))
        handler.chunk(event({"error": {"message": "the server died", "code": "worker_crashed"}}))
        handler.chunk("")
    fake.routes[f"GET /berth/models/{NAME}"] = CHAT
    fake.routes["POST /v1/chat/completions"] = stream
    done = berth("run", NAME, "Hi", code=1)
    assert done.stdout.startswith("Half") and done.stderr == "berth: the server died\n"
    for option, value in ("--max-tokens", "0"), ("--temperature", "9"), ("--seed", "x"):
        assert option in berth("run", NAME, "Hi", option, value, code=2).stderr


def both(fake, native, transformers, ids=([1, 2], [1, 2])):  # noqa: F811
    for backend, answer, own in (("native", native, ids[0]), ("transformers", transformers, ids[1])):
        name = f"{NAME}%23{backend}"
        fake.routes[f"POST /models/{name}/pipeline/feature-extraction"] = answer
        fake.routes[f"POST /models/{name}/pipeline/fill-mask"] = answer
        fake.routes[f"POST /models/{name}/pipeline/tokenize"] = {"ids": own}
    fake.routes["POST /berth/load"] = lambda handler, body: {**MODEL, "name": body["model"]}
    fake.routes["POST /berth/unload"] = {"model": NAME, "released_bytes": 1}


def test_verify_certifies_what_agrees(fake, berth, tmp_path):  # noqa: F811
    both(fake, [0.5, 0.25, -1.0], [0.5, 0.250001, -1.0])
    done = berth("verify", NAME, "one", "two", "-o", str(tmp_path / "c.json"))
    assert "they agree" in done.stdout and "identical ids       2 of 2" in done.stdout
    certificate = json.loads((tmp_path / "c.json").read_text())
    assert certificate["agree"] and certificate["texts"] == 2 and certificate["identical_ids"] == 2
    assert certificate["numbers"] == 6 and abs(certificate["largest_difference"] - 1e-6) < 1e-9
    assert certificate["least_cosine"] > 0.9999999 and certificate["commit"] == MODEL["commit"]
    assert certificate["native"]["level"] == INSTANCE["level"]
    assert [b["model"] for b in fake.bodies("POST /berth/unload")] == [f"{NAME}#native", f"{NAME}#transformers"]


@pytest.mark.parametrize("native, transformers, ids", [
    ([0.5, 0.25], [0.5, 0.2501], ([1], [1])),  # too far
    ([0.5, 0.25], [0.5, 0.25], ([1, 2], [1, 3])),  # other ids
    ([0.5, 0.25], [0.5, 0.25, 0.125], ([1], [1])),  # another shape
    ([{"label": "a", "score": 0.5}], [{"label": "b", "score": 0.5}], ([1], [1])),  # another first answer
    ([{"label": "a", "score": 0.9}, {"label": "b", "score": 0.1}],
     [{"label": "a", "score": 0.9}, {"label": "c", "score": 0.05}], ([1], [1])),  # another second one
    ([[{"label": "a", "score": 0.9}]], [["a"]], ([1], [1])),
    ([], [], ([1], [1])),  # nothing that could differ
])
def test_verify_fails_where_they_do_not_agree(fake, berth, native, transformers, ids):  # noqa: F811
    both(fake, native, transformers, ids)
    done = berth("verify", NAME, "one", code=1)
    assert "they do not agree" in done.stdout


def test_verify_lets_those_that_are_as_good_change_places(fake, berth):  # noqa: F811
    a, b, c = ({"label": n, "score": s} for n, s in (("a", 0.6), ("b", 0.2), ("c", 0.2000001)))
    both(fake, [a, b, c], [a, c, b])
    assert "they agree" in berth("verify", NAME, "one").stdout


def test_verify_of_no_text_is_no_certificate(fake, berth):  # noqa: F811
    both(fake, [1.0], [1.0])
    assert "no text" in berth("verify", NAME, "--stdin", code=2).stderr
    assert len(fake.bodies("POST /berth/unload")) == 2


def test_verify_takes_down_what_it_loaded_when_it_fails(fake, berth):  # noqa: F811
    both(fake, [1.0], [1.0])
    fake.routes["POST /berth/load"] = lambda handler, body: MODEL if "native" in body["model"] else (
        422, {"error": {"code": "unsupported_architecture", "message": "install it"}})
    berth("verify", NAME, "one", code=1)
    assert [b["model"] for b in fake.bodies("POST /berth/unload")] == [f"{NAME}#native"]


def test_verify_hashes_the_files_again(fake, berth):  # noqa: F811
    fake.routes["POST /berth/verify"] = MODEL
    assert "every file" in berth("verify", NAME, "--files").stdout
