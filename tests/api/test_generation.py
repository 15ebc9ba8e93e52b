"""Generation from the real Transformers server, over OpenAI's routes and as a stream: the text of transformers, to the
letter. The goldens are transformers.pipeline's (tests/golden/tasks/generation.json)."""
import json

import openai
import pytest
from huggingface_hub import InferenceClient

from daemon import MODELS, ROOT, Daemon, until

TASKS = ROOT / "tests/golden/tasks"
LLAMA, GPT2, SMOL = "gen_llama", "gen_gpt2", "HuggingFaceTB/SmolLM2-135M-Instruct"
CASES = [c for c in json.loads((TASKS / "generation.json").read_text())["cases"] if c["model"] in (LLAMA, GPT2)]
GREEDY = [c for c in CASES if c["task"] == "text-generation" and set(c["params"]) == {"max_new_tokens", "return_full_text"}]
PLAIN = next(c for c in GREEDY if not c["params"]["return_full_text"])
CHATS = [c for c in CASES if c["task"] == "chat"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("generation")) as d:
        for name in (LLAMA, GPT2):
            d.add(name, TASKS / name)
        yield d


@pytest.fixture(scope="module")
def client(daemon):
    return openai.OpenAI(base_url=daemon.base + "/v1", api_key="none", max_retries=0)


def joined(chunks):
    return "".join((c.choices[0].text if hasattr(c.choices[0], "text") else c.choices[0].delta.content) or "" for c in chunks)


@pytest.mark.timeout(300)
def test_completions_are_the_pipelines_text(client):
    assert len(GREEDY) >= 8 and any(c["params"]["return_full_text"] for c in GREEDY)
    for case in GREEDY:
        ask = {"model": case["model"], "prompt": case["input"], "max_tokens": case["params"]["max_new_tokens"], "temperature": 0,
               "echo": case["params"]["return_full_text"]}
        assert client.completions.create(**ask).choices[0].text == case["text"], case
        assert joined(client.completions.create(**ask, stream=True)) == case["text"], case


@pytest.mark.timeout(300)
def test_chats_are_the_pipelines_text(client):
    assert len(CHATS) == 3
    for case in CHATS:
        last = case["input"][-1]
        before = last["content"] if last["role"] == "assistant" else ""  # an answer to be continued; theirs has it too
        ask = {"model": LLAMA, "messages": case["input"], "max_tokens": case["params"]["max_new_tokens"], "temperature": 0,
               "extra_body": {"continue_final_message": bool(before)}}
        if "tools" in case["params"]:
            ask["tools"] = case["params"]["tools"]
        said = client.chat.completions.create(**ask)
        assert said.choices[0].message.content == case["text"].removeprefix(before), case
        assert joined(client.chat.completions.create(**ask, stream=True)) == case["text"].removeprefix(before), case


def test_arguments_of_calls_may_be_a_text(client):
    """As OpenAI sends them; the template sees an object."""
    case = next(c for c in CHATS if "tools" in c["params"])
    messages = json.loads(json.dumps(case["input"]))
    for m in messages:
        for call in m.get("tool_calls", []):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    said = client.chat.completions.create(model=LLAMA, messages=messages, tools=case["params"]["tools"], temperature=0,
                                          max_tokens=case["params"]["max_new_tokens"])
    assert said.choices[0].message.content == case["text"]


def test_log_probabilities_are_of_the_text(client):
    case = PLAIN
    ask = {"model": case["model"], "prompt": case["input"], "max_tokens": 24, "temperature": 0, "logprobs": 3}
    whole = client.completions.create(**ask).choices[0]
    assert "".join(whole.logprobs.tokens) == whole.text == case["text"]
    assert len(whole.logprobs.token_logprobs) == 24 and all(p <= 0 for p in whole.logprobs.token_logprobs)
    for best, p in zip(whole.logprobs.top_logprobs, whole.logprobs.token_logprobs):
        assert max(best.values()) == p  # greedy: the likeliest was taken
    streamed = [c.choices[0].logprobs for c in client.completions.create(**ask, stream=True)]
    # The same numbers: one stream alone, twice.
    assert [p for part in streamed if part for p in part.token_logprobs] == whole.logprobs.token_logprobs


def test_echo_scores_a_prompt(client):
    prompt = PLAIN["input"]
    said = client.completions.create(model=LLAMA, prompt=prompt, echo=True, max_tokens=0, logprobs=0).choices[0]
    assert said.text == prompt == "".join(said.logprobs.tokens)
    assert said.logprobs.token_logprobs[0] is None and all(p <= 0 for p in said.logprobs.token_logprobs[1:])


def test_seeds_and_choices(client):
    ask = {"model": LLAMA, "prompt": "The quick brown", "max_tokens": 12, "temperature": 1, "seed": 11}
    both = [c.text for c in client.completions.create(**ask, n=2).choices]
    assert both == [c.text for c in client.completions.create(**ask, n=2).choices] and both[0] != both[1]
    assert client.completions.create(**ask | {"seed": 12}).choices[0].text == both[1]  # choice i has seed + i


def test_stop_and_usage(client):
    case = PLAIN
    stop = case["text"][4:6]
    said = client.completions.create(model=case["model"], prompt=case["input"], max_tokens=24, temperature=0, stop=stop)
    assert said.choices[0].text == case["text"][:case["text"].index(stop)] and said.choices[0].finish_reason == "stop"
    assert 0 < said.usage.completion_tokens < 24 and said.usage.prompt_tokens > 0


def test_text_generation_streams_with_details(daemon):
    case = PLAIN
    hf = InferenceClient(f"{daemon.base}/models/{case['model']}")
    said = list(hf.text_generation(case["input"], max_new_tokens=24, stream=True, details=True))
    assert said[-1].generated_text == case["text"] == "".join(s.token.text for s in said if not s.token.special)
    assert said[-1].details.generated_tokens == len(said) == 24 and said[-1].details.finish_reason == "length"
    whole = hf.text_generation(case["input"], max_new_tokens=24, details=True, decoder_input_details=True)
    assert [t.id for t in whole.details.tokens] == [s.token.id for s in said]
    assert "".join(t.text for t in whole.details.prefill) == case["input"]


def test_a_client_that_leaves_stops_the_server(daemon, client):
    stream = client.completions.create(model=LLAMA, prompt="one", max_tokens=100000, temperature=0, stream=True,
                                       extra_body={"ignore_eos": True})
    next(iter(stream))
    stream.close()
    until(lambda: daemon.get(f"/berth/models/{LLAMA}")["running_jobs"] == 0, what="the job to be cancelled")
    assert daemon.get(f"/berth/models/{LLAMA}")["restarts"] == 0


@pytest.mark.timeout(600)
@pytest.mark.skipif(not (MODELS / SMOL).exists(), reason="the weights of SmolLM2 are not here (script/setup)")
def test_a_real_chat(daemon, client):
    daemon.add(SMOL, MODELS / SMOL)
    ask = [{"role": "user", "content": "What is the capital of France?"}]
    stream = client.chat.completions.create(model=SMOL, messages=ask, temperature=0, max_tokens=20, stream=True)
    assert joined(stream) == "The capital of France is Paris."
