"""Requests that no inference server could read, or that are large in an unusual way: refused in a sentence, and nobody else
notices. A server that is sent what it cannot read ends, and takes everybody's jobs along."""
import json

from conftest import FAKE
from daemon import MINILM


def refused(daemon, path, body, status, *words):
    got, _, said = daemon.ask("POST", path, body)
    text = json.dumps(said)
    assert got == status and all(w in text for w in words), (got, text[:400])


def deaths(daemon):
    return daemon.get("/berth/status")["worker_deaths"]


def test_more_values_than_a_frame_holds(minilm):
    """In fewer bytes than it may have."""
    before = deaths(minilm)
    refused(minilm, f"/models/{MINILM}", {"inputs": "a", "parameters": {"normalize": [0] * 100_000}}, 400, "too many values")
    refused(minilm, f"/models/{MINILM}/pipeline/sentence-similarity",
            {"inputs": {"source_sentence": "a", "sentences": ["b"] * 9_600}}, 413, "fewer inputs")
    assert deaths(minilm) == before
    assert len(minilm.post(f"/models/{MINILM}", inputs="still here")) == 384


def test_a_parameter_in_two_places(minilm):
    before = deaths(minilm)
    refused(minilm, f"/models/{MINILM}", {"inputs": "a", "normalize": True, "parameters": {"normalize": False}}, 400,
            "'normalize' is there twice")
    refused(minilm, f"/models/{MINILM}", {"inputs": "a", "parameters": {"prompt_name": "x" * 200_000}}, 413, "too long")
    assert deaths(minilm) == before


def test_a_name_that_the_job_has_for_itself(fake):
    """Of the tokens' log-probabilities and the prompt's tokens, which have other names on this route."""
    before = deaths(fake)
    details = {"details": True, "top_n_tokens": 2, "decoder_input_details": True}
    for own in ({"logprobs": 1}, {"prefill": True}):
        refused(fake, f"/models/{FAKE}", {"inputs": "count=1", "parameters": details | own}, 422, "is not supported")
    assert deaths(fake) == before


def test_a_call_without_content(fake):
    """Whose content is an empty list: one part, of the message as it is."""
    call = {"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    messages = [{"role": "user", "content": "what time is it?"}, {"role": "assistant", "content": [], "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "1", "content": []}, {"role": "user", "content": "count=2"}]
    said = fake.post("/v1/chat/completions", model=FAKE, messages=messages)
    assert said["choices"][0]["message"]["content"] == "w0 w1 "


def test_answers_have_an_end_together(fake):
    """200 KiB each, and 68 MiB in all: refused, and not held."""
    refused(fake, "/v1/completions", {"model": FAKE, "prompt": ["count=50 text=x repeat=4096"] * 350, "max_tokens": 50}, 413, "too large")
    assert fake.rss_anon() < 300 << 20
