"""Chat, completions and text generation: what a client asks reaches the inference server, what it makes reaches the client.

The clients are their makers' own, unmodified; the inference server is fake_worker.py, which generates what it is told to.
"""
import base64
import json
import re
import subprocess

import huggingface_hub
import openai
import pytest
from conftest import FAKE
from huggingface_hub import InferenceClient

from daemon import ROOT


@pytest.fixture(scope="module")
def client(fake):
    print(f"openai {openai.__version__}, huggingface_hub {huggingface_hub.__version__}")
    return openai.OpenAI(base_url=fake.base + "/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def hf(fake):
    return InferenceClient(provider="hf-inference", model=f"{fake.base}/models/{FAKE}")


def chat(client, text, **more):
    return client.chat.completions.create(model=FAKE, messages=[{"role": "user", "content": text}], **more)


def last_job(daemon):
    """(task, the first item's parts, parameters) of the last job that the worker was given."""
    line = re.findall(r"job \d+ (\S+) (\[\[.*\]\]) (\{.*\})", daemon.said())[-1]
    return line[0], json.loads(line[1]), json.loads(line[2])


# ---- chat ----

def test_a_whole_answer(fake, client):
    raw = client.chat.completions.with_raw_response.create(
        model=FAKE, messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "count=3 please"}])
    assert raw.headers["x-berth-backend"] == "native/float32/cpu/fake"
    said = raw.parse()
    assert said.id.startswith("chatcmpl-") and said.object == "chat.completion" and said.model == FAKE
    assert said.system_fingerprint == "native/float32/cpu/fake" and said.created > 1.7e9
    choice = said.choices[0]
    assert (choice.index, choice.message.role, choice.message.content) == (0, "assistant", "w0 w1 w2 ")
    assert choice.finish_reason == "stop" and choice.logprobs is None
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.total_tokens) == (2, 3, 5)
    assert last_job(fake) == ("chat", [["text", "system", "", "Be brief."], ["text", "user", "", "count=3 please"]], {})
    assert chat(client, "x").id != said.id


def test_a_stream_says_the_same(client):
    with client.chat.completions.with_streaming_response.create(
            model=FAKE, messages=[{"role": "user", "content": "count=3"}], stream=True) as raw:
        assert raw.headers["content-type"] == "text/event-stream"
        assert raw.headers["x-berth-backend"] == "native/float32/cpu/fake"
        assert list(raw.iter_lines())[-2:] == ["data: [DONE]", ""]
    chunks = list(chat(client, "count=3", stream=True))
    assert len({c.id for c in chunks}) == 1 and all(c.object == "chat.completion.chunk" for c in chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].delta.content for c in chunks[1:-1]] == ["w0 ", "w1 ", "w2 "]
    assert [c.choices[0].finish_reason for c in chunks] == [None] * 4 + ["stop"]
    assert chunks[-1].choices[0].delta.content is None and all(c.usage is None for c in chunks)


def test_a_stream_counts_when_asked_to(client):
    chunks = list(chat(client, "count=4", stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 4 and chunks[-1].usage.prompt_tokens == 1
    assert all(c.usage is None for c in chunks[:-1])


def test_options_reach_the_worker(fake, client):
    chat(client, "count=1", temperature=0.5, top_p=0.9, frequency_penalty=-1, presence_penalty=1, seed=-7, stop=["a", "b"],
         max_completion_tokens=9, logprobs=True, top_logprobs=2, user="me", parallel_tool_calls=True,
         response_format={"type": "text"}, logit_bias={}, tool_choice="auto",
         extra_body={"top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1, "max_tokens": 5, "no_such_field": [1],
                     "chat_template_kwargs": {"thinking": {"on": True, "n": 3}}, "continue_final_message": True})
    assert last_job(fake)[2] == {
        "temperature": 0.5, "top_p": 0.9, "frequency_penalty": -1.0, "presence_penalty": 1.0, "seed": -7, "stop": ["a", "b"],
        "max_new_tokens": 9, "logprobs": 2, "top_k": 40, "min_p": 0.1, "repetition_penalty": 1.1,
        "template": {"thinking": {"on": True, "n": 3}}, "continue": True}
    chat(client, "count=1", temperature=0, stop="x", max_tokens=5, extra_body={"top_k": -1, "seed": None})
    assert last_job(fake)[2] == {"temperature": 0.0, "stop": ["x"], "max_new_tokens": 5}


def test_stop_and_length(client):
    cut = chat(client, "count=9", stop=["w3", "w5"]).choices[0]
    assert (cut.message.content, cut.finish_reason) == ("w0 w1 w2 ", "stop")
    assert "".join(c.choices[0].delta.content or "" for c in chat(client, "count=9", stop="w3", stream=True)) == "w0 w1 w2 "
    long = chat(client, "count=9", max_tokens=2).choices[0]
    assert (long.message.content, long.finish_reason) == ("w0 w1 ", "length")


def test_several_choices_have_their_own_seeds(client):
    said = chat(client, "count=2", n=3, seed=5)
    assert [c.message.content for c in said.choices] == ["s5-w0 s5-w1 ", "s6-w0 s6-w1 ", "s7-w0 s7-w1 "]
    assert [c.index for c in said.choices] == [0, 1, 2]
    assert said.usage.prompt_tokens == 1 and said.usage.completion_tokens == 6
    texts, ends = ["", "", ""], []
    for chunk in chat(client, "count=2", n=3, seed=5, stream=True):
        c = chunk.choices[0]
        texts[c.index] += c.delta.content or ""
        ends += [c.index] if c.finish_reason else []
    assert texts == [c.message.content for c in said.choices] and sorted(ends) == [0, 1, 2]


def test_logprobs(client):
    for stream in (False, True):
        said = chat(client, "count=2 special=1", logprobs=True, top_logprobs=4, stream=stream)
        if stream:
            content = [t for c in said if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
        else:
            content = said.choices[0].logprobs.content
        assert [(t.token, t.logprob) for t in content] == [("w0 ", 0.0), ("w1 ", -0.25)]  # and not "</s>"
        assert content[0].bytes == list(b"w0 ")
        top = content[1].top_logprobs
        assert [t.token for t in top] == ["w1 ", "other", "other", "é"] and top[3].bytes == [0xc3, 0xa9]
        assert top[0].logprob == -0.25 and top[3].logprob == -9999  # what cannot be
    plain = chat(client, "count=1", logprobs=True).choices[0].logprobs.content
    assert plain[0].top_logprobs == []


def test_a_long_list_of_logprobs_is_whole(client):
    """More than one frame takes: it comes in chunks, and goes out in pieces."""
    said = chat(client, "count=2000", logprobs=True, top_logprobs=3, max_tokens=5000)
    content = said.choices[0].logprobs.content
    assert [t.token for t in content] == [f"w{i} " for i in range(2000)] and len(content[0].top_logprobs) == 3


def test_a_conversation_with_tools(fake, client):
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Bern\"}"}}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
    client.chat.completions.create(model=FAKE, tools=tools, messages=[
        {"role": "user", "content": "Weather in Bern?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "4 °C"},
        {"role": "assistant", "content": "Cold.", "refusal": None, "tool_calls": None},
        {"role": "user", "name": "Ada", "content": [{"type": "text", "text": "count=1"}]}])
    _, parts, params = last_job(fake)
    assert params == {"tools": tools}
    assert [p[:3] for p in parts] == [["text", "user", ""], ["text", "assistant", "application/json"],
                                      ["text", "tool", "application/json"], ["text", "assistant", ""],
                                      ["text", "user", "application/json"]]
    assert json.loads(parts[1][3]) == {"role": "assistant", "content": None, "tool_calls": [call]}
    assert json.loads(parts[2][3]) == {"role": "tool", "tool_call_id": "call_1", "content": "4 °C"}
    assert parts[3][3] == "Cold." and json.loads(parts[4][3])["name"] == "Ada"
    client.chat.completions.create(model=FAKE, tools=tools, tool_choice="none", messages=[{"role": "user", "content": "count=1"}])
    assert last_job(fake)[2] == {}


def test_pictures_and_sound_travel_as_bytes(fake, client):
    png, wav = b"\x89PNG" + bytes(range(256)), b"RIFF" + b"\0" * 99
    client.chat.completions.create(model=FAKE, messages=[{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(png).decode()}},
        {"type": "text", "text": "count=1"},
        {"type": "input_audio", "input_audio": {"data": base64.b64encode(wav).decode(), "format": "wav"}}]}])
    task, parts, _ = last_job(fake)
    assert task == "image-text-to-text"
    assert parts == [["bytes", "user", "image/png", len(png)], ["text", "", "", "count=1"], ["bytes", "", "audio/wav", len(wav)]]


def test_a_long_conversation(fake, client):
    messages = [{"role": ("user", "assistant")[i % 2], "content": f"turn {i}"} for i in range(1022)]
    said = client.chat.completions.create(model=FAKE, messages=[*messages, {"role": "user", "content": "count=2"}])
    assert said.choices[0].message.content == "w0 w1 " and len(last_job(fake)[1]) == 1023
    with pytest.raises(openai.APIStatusError) as e:
        client.chat.completions.create(model=FAKE, messages=messages * 2)
    assert e.value.status_code == 413 and "1024" in e.value.message


@pytest.mark.parametrize("options, said", [
    ({"response_format": {"type": "json_object"}}, "response_format"), ({"logit_bias": {"50256": -100}}, "logit_bias"),
    ({"tool_choice": "required"}, "tool_choice"), ({"functions": [{"name": "f"}]}, "functions"),
    ({"modalities": ["text", "audio"]}, "modalities"),
    ({"messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]}]}, "not fetched")])
def test_what_is_not_supported_is_refused(client, options, said):
    with pytest.raises(openai.UnprocessableEntityError) as e:
        client.post("/chat/completions", cast_to=object, body={
            "model": FAKE, "messages": [{"role": "user", "content": "x"}], **options})
    assert said in e.value.message and e.value.code == "unsupported_option"


@pytest.mark.parametrize("options", [
    {"messages": []}, {"messages": "hello"}, {"messages": [{"content": "x"}]}, {"messages": [{"role": "nobody", "content": "x"}]},
    {"messages": [{"role": "user"}]}, {"messages": [{"role": "user", "content": []}]}, {"messages": [1]},
    {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,?"}}]}]},
    {"temperature": 3}, {"temperature": "hot"}, {"top_p": -0.1}, {"n": 0}, {"n": 129}, {"n": 1.5}, {"max_tokens": 0}, {"stop": [""]},
    {"stop": ["x"] * 17}, {"stop": 5}, {"seed": "x"}, {"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 21}, {"stream": "yes"},
    {"tools": {"a": 1}}, {"chat_template_kwargs": ["a"]}])
def test_what_is_wrong_is_refused(client, options):
    with pytest.raises(openai.BadRequestError):
        client.post("/chat/completions", cast_to=object, body={
            "model": FAKE, "messages": [{"role": "user", "content": "x"}], **options})


def test_an_unknown_model_is_not_found(client):
    for stream in (False, True):
        with pytest.raises(openai.NotFoundError) as e:
            client.chat.completions.create(model="no/such-model", messages=[{"role": "user", "content": "x"}], stream=stream)
        assert "berth pull no/such-model" in e.value.message


# ---- completions ----

def test_completions_of_one_and_of_many(fake, client):
    said = client.completions.create(model=FAKE, prompt="count=3")
    assert said.object == "text_completion" and said.id.startswith("cmpl-")
    assert (said.choices[0].text, said.choices[0].finish_reason) == ("w0 w1 w2 ", "stop")
    assert last_job(fake) == ("text-generation", [["text", "", "", "count=3"]], {"max_new_tokens": 16})
    many = client.completions.create(model=FAKE, prompt=["count=1", "count=2"], n=2, seed=1, max_tokens=9)
    assert [c.text for c in many.choices] == ["s1-w0 ", "s2-w0 ", "s3-w0 s3-w1 ", "s4-w0 s4-w1 "]
    assert [c.index for c in many.choices] == [0, 1, 2, 3] and many.usage.prompt_tokens == 2
    client.completions.create(model=FAKE, prompt=[1, 2, 3], max_tokens=4)
    assert last_job(fake)[1] == [["tokens", "", "", 12]]
    client.completions.create(model=FAKE, prompt=[[1], [2, 3]], max_tokens=4)
    assert last_job(fake)[1] == [["tokens", "", "", 4]]


def test_completions_stream(client):
    chunks = list(client.completions.create(model=FAKE, prompt="count=3", stream=True, stream_options={"include_usage": True}))
    assert [c.choices[0].text for c in chunks[:-1]] == ["w0 ", "w1 ", "w2 ", ""]
    assert chunks[-2].choices[0].finish_reason == "stop" and chunks[-1].usage.completion_tokens == 3


def test_completions_echo_with_logprobs(client):
    """What evaluation harnesses ask: the prompt's own log-probabilities."""
    for stream in (False, True):
        said = client.completions.create(model=FAKE, prompt="é count=2", echo=True, logprobs=1, max_tokens=2, stream=stream)
        if stream:
            parts = [c.choices[0] for c in said]
            text = "".join(p.text for p in parts)
            lists = [p.logprobs for p in parts if p.logprobs]
            tokens = [t for part in lists for t in part.tokens]
            logprobs = [t for part in lists for t in part.token_logprobs]
            offsets = [t for part in lists for t in part.text_offset]
            top = [t for part in lists for t in part.top_logprobs]
        else:
            choice = said.choices[0]
            text, lists = choice.text, choice.logprobs
            tokens, logprobs, offsets, top = lists.tokens, lists.token_logprobs, lists.text_offset, lists.top_logprobs
        assert text == "é count=2w0 w1 " and tokens == ["é count=2", "w0 ", "w1 "]
        assert logprobs == [None, 0.0, -0.25] and offsets == [0, 9, 12]  # characters, not bytes
        assert top == [None, {"w0 ": 0.0}, {"w1 ": -0.25}]
    scored = client.completions.create(model=FAKE, prompt="a b", echo=True, logprobs=1, max_tokens=0)
    assert scored.choices[0].text == "a b"


def test_completions_top_logprobs_have_each_text_once(client):
    top = client.completions.create(model=FAKE, prompt="count=1", logprobs=4).choices[0].logprobs.top_logprobs
    assert top == [{"w0 ": 0.0, "other": -9.5, "é": -9999}]


@pytest.mark.parametrize("options, status", [
    ({"suffix": "x"}, 422), ({"best_of": 2}, 422), ({"n": 2, "best_of": 3}, 422), ({"prompt": []}, 400), ({"prompt": None}, 400),
    ({"max_tokens": 0}, 400), ({"logprobs": 21}, 400), ({"logprobs": True}, 400), ({"echo": 1}, 400)])
def test_completions_refuse(client, options, status):
    with pytest.raises(openai.APIStatusError) as e:
        client.post("/completions", cast_to=object, body={"model": FAKE, "prompt": "x", **options})
    assert e.value.status_code == status


# ---- errors ----

def test_an_error_before_the_first_token_has_its_status(client):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as e:
            chat(client, "refuse=input_too_long", stream=stream)
        assert e.value.code == "input_too_long" and "as it was told" in e.value.message
        with pytest.raises(openai.InternalServerError):
            chat(client, "count=9 refuse=internal after=3", logprobs=True)


def test_an_error_in_the_midst_ends_the_stream(client):
    got = []
    with pytest.raises(openai.APIError) as e:
        for chunk in chat(client, "count=9 refuse=internal after=3", stream=True):
            got.append(chunk.choices[0].delta.content)
    assert got == ["", "w0 ", "w1 ", "w2 "] and "as it was told" in e.value.message and e.value.code == "internal"


def test_one_choice_that_fails_is_the_answer(fake, client):
    with pytest.raises(openai.APIError) as e:
        list(chat(client, "count=9 refuse=internal after=3", n=3, stream=True))
    assert "answer" in e.value.message
    with pytest.raises(openai.InternalServerError):
        chat(client, "refuse=internal", n=3)


# ---- Hugging Face ----

def test_text_generation(fake, hf):
    assert hf.text_generation("count=3") == "w0 w1 w2 "
    assert hf.text_generation("count=2", return_full_text=True) == "count=2w0 w1 "
    hf.text_generation("count=2", do_sample=True, temperature=0.7, top_k=5, top_p=0.9, typical_p=0.8, repetition_penalty=1.2,
                       frequency_penalty=0.5, seed=3, stop=["x"], truncate=100, max_new_tokens=7, best_of=1)
    assert last_job(fake)[2] == {"do_sample": True, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "typical_p": 0.8, "seed": 3,
                                 "repetition_penalty": 1.2, "frequency_penalty": 0.5, "stop": ["x"], "truncate": 100,
                                 "max_new_tokens": 7}
    assert fake.post(f"/models/{FAKE}", inputs="count=1") == [{"generated_text": "w0 "}]
    assert fake.post(f"/models/{FAKE}/pipeline/text-generation", inputs=["count=1", "count=2"], parameters={}) == [
        [{"generated_text": "w0 "}], [{"generated_text": "w0 w1 "}]]


def test_text_generation_details(hf):
    said = hf.text_generation("count=2 special=1", details=True, decoder_input_details=True, top_n_tokens=2, seed=4)
    d = said.details
    assert said.generated_text == "s4-w0 s4-w1 " and (d.finish_reason, d.generated_tokens, d.seed) == ("eos_token", 3, 4)
    assert [(t.id, t.text, t.logprob, t.special) for t in d.tokens] == [
        (100, "s4-w0 ", 0.0, False), (101, "s4-w1 ", -0.25, False), (102, "</s>", -0.5, True)]
    assert [t.text for t in d.prefill] == ["count=2 ", "special=1 "]
    assert [[t["text"] for t in step] for step in d.top_tokens][:1] == [["s4-w0 ", "other"]]
    assert hf.text_generation("count=9", details=True, max_new_tokens=2).details.finish_reason == "length"
    assert hf.text_generation("count=9", details=True, stop=["w2"]).details.finish_reason == "stop_sequence"


def test_text_generation_streams(hf):
    assert list(hf.text_generation("count=3", stream=True)) == ["w0 ", "w1 ", "w2 "]
    assert list(hf.text_generation("count=1 special=1", stream=True)) == ["w0 ", ""]
    said = list(hf.text_generation("count=2 special=1", stream=True, details=True, top_n_tokens=1, seed=2))
    assert [(s.index, s.token.id, s.token.text, s.token.special) for s in said] == [
        (1, 100, "s2-w0 ", False), (2, 101, "s2-w1 ", False), (3, 102, "</s>", True)]
    assert [s.generated_text for s in said] == [None, None, "s2-w0 s2-w1 "] and said[0].details is None
    end = said[-1].details
    assert (end.finish_reason, end.generated_tokens, end.input_length, end.seed) == ("eos_token", 3, 2, 2)
    assert said[0].top_tokens[0].text == "s2-w0 "
    empty = list(hf.text_generation("count=0", stream=True, details=True))
    assert len(empty) == 1 and empty[0].generated_text == ""


def test_text_generation_errors(fake, hf):
    with pytest.raises(huggingface_hub.errors.TextGenerationError) as e:
        hf.text_generation("refuse=input_too_long", stream=True)
    assert e.value.__cause__.response.status_code == 422
    with pytest.raises(huggingface_hub.errors.TextGenerationError) as e:
        list(hf.text_generation("count=9 refuse=internal after=2", stream=True))
    assert "as it was told" in str(e.value)
    for bad in ({"best_of": 2}, {"watermark": True}, {"grammar": {"type": "json", "value": {}}}, {"adapter_id": "a/b"}):
        status, _, said = fake.ask("POST", f"/models/{FAKE}", {"inputs": "x", "parameters": bad})
        assert status == 422 and next(iter(bad)) in said["error"]
    for bad in ({"parameters": {"details": 1}}, {"parameters": {"top_n_tokens": -1}}, {"parameters": [1]}, {"inputs": 5},
                {"inputs": ["a", "b"], "stream": True}, {"stream": 1}, {"parameters": {f"p{i}": 1 for i in range(21)}}):
        status, _, said = fake.ask("POST", f"/models/{FAKE}", {"inputs": "x", **bad})
        assert status == 400 and said["error"]


def test_hf_chat_completion(hf):
    said = hf.chat_completion([{"role": "user", "content": "count=2"}], max_tokens=9)
    assert said.choices[0].message.content == "w0 w1 " and said.usage.total_tokens == 3
    parts = hf.chat_completion([{"role": "user", "content": "count=2"}], stream=True)
    assert "".join(p.choices[0].delta.content or "" for p in parts) == "w0 w1 "
    by_base = InferenceClient(base_url=hf.model + "/v1", api_key="none")
    assert by_base.chat_completion([{"role": "user", "content": "count=1"}]).choices[0].message.content == "w0 "


def test_one_model_by_its_path(fake):
    body = {"messages": [{"role": "user", "content": "count=1"}], "model": "whatever"}
    for path in ("v1/chat/completions", "chat/completions"):
        assert fake.post(f"/models/{FAKE}/{path}", **body)["choices"][0]["message"]["content"] == "w0 "
    said = fake.post(f"/models/{FAKE}/v1/completions", prompt="count=1")
    assert said["choices"][0]["text"] == "w0 " and said["model"] == FAKE


def test_the_lines_of_the_page(fake):
    """docs/api.md, as test_docs.py: the lines for a model that generates."""
    lines = re.findall(r"^    (curl (?:.*\\\n)*.*)$", (ROOT / "docs/api.md").read_text(), re.M)
    lines = [line for line in lines if FAKE in line]
    assert len(lines) == 3
    for line in lines:
        command = line.replace("localhost:7337", f"localhost:{fake.port}")
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
        assert "choices" in json.loads(done.stdout), (line, done)


def test_counters(fake):
    text = fake.get("/metrics")
    made = int(re.search(r"berth_model_generated_tokens_total\{[^}]*\} (\d+)", text)[1])
    fake.post("/v1/completions", model=FAKE, prompt="count=7")
    assert int(re.search(r"berth_model_generated_tokens_total\{[^}]*\} (\d+)", fake.get("/metrics"))[1]) == made + 7
