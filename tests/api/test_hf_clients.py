"""huggingface_hub's InferenceClient, unmodified: every method that it has for a task that berth serves.

The inference server is a stand-in: what the client sends must arrive as src/ipc/task.h says, and what the server
answers must come out of the client's own parser. tests/api/test_hf_tasks.py asks the real one.
"""
import base64
import io
import json

import huggingface_hub
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from standin import standin

LABELS = [{"label": "yes", "score": 0.75}, {"label": "no", "score": 0.25}]
BOX = {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC")
PNG64 = base64.b64encode(PNG).decode()
WAV = b"RIFF$\x00\x00\x00WAVEfmt "

ANSWERS = {
    "text-classification": {"result": LABELS, "tasks": ["text-classification", "zero-shot-classification"]},
    "zero-shot-classification": {"result": LABELS},
    "token-classification": {"result": [{"entity_group": "PER", "score": 0.5, "word": "Ada", "start": 0, "end": 3}]},
    "question-answering": {"result": [{"answer": "Ada", "score": 0.5, "start": 0, "end": 3},
                                      {"answer": "Bob", "score": 0.25, "start": 8, "end": 11}]},
    "summarization": {"result": {"summary_text": "short"}},
    "translation": {"result": {"translation_text": "kurz"}},
    "text2text-generation": {"result": {"generated_text": "x"}},
    "fill-mask": {"result": [[{"score": 0.5, "token": 7, "token_str": "a", "sequence": "a b"}]]},
    "table-question-answering": {"result": {"answer": "2", "coordinates": [[0, 1]], "cells": ["2"], "aggregator": "SUM"}},
    "document-question-answering": {"result": [{"answer": "Ada", "score": 0.5, "start": 0, "end": 0}]},
    "image-classification": {"result": LABELS},
    "audio-classification": {"result": LABELS},
    "video-classification": {"result": LABELS},
    "zero-shot-image-classification": {"result": LABELS},
    "zero-shot-audio-classification": {"result": LABELS},
    "object-detection": {"result": [{"label": "cat", "score": 0.5, "box": BOX}]},
    "zero-shot-object-detection": {"result": [{"label": "cat", "score": 0.5, "box": BOX}]},
    "image-segmentation": {"result": [{"label": "cat", "score": 0.5, "mask": PNG64}]},
    "depth-estimation": {"result": {"depth": PNG64}},
    "mask-generation": {"result": [{"score": 0.5, "mask": PNG64}]},
    "image-to-text": {"result": {"generated_text": "a cat"}},
    "image-text-to-text": {"result": {"text": "a cat", "finish": "stop"}},
    "keypoint-matching": {"result": [{"score": 0.5, "keypoint_image_0": {"x": 1, "y": 2},
                                      "keypoint_image_1": {"x": 3, "y": 4}}]},
    "automatic-speech-recognition": {"result": {"text": "hello", "chunks": [{"text": "hello", "timestamp": [0.0, 1.5]}]}},
    "text-to-audio": {"parts": [{"k": "bytes", "media": "audio/wav", "d": WAV}]},
    "image-feature-extraction": {"parts": [{"k": "tensor", "dtype": "f32", "shape": [2, 1, 2],
                                            "d": b"\0\0\x80?\0\0\0\0" * 2}]},
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    print(f"huggingface_hub {huggingface_hub.__version__}")
    with standin(tmp_path_factory.mktemp("hf"), ANSWERS) as d:
        yield d


@pytest.fixture
def ask(daemon):
    """ask(task): a client of that task's model; ask.job(): the one job that it led to."""
    daemon.jobs()

    def client(task):
        return InferenceClient(provider="hf-inference", model=f"{daemon.base}/models/{task}", token="none")

    def job():
        jobs = daemon.jobs()
        assert len(jobs) == 1
        assert all(p.keys() <= {"k", "role", "media", "d", "o", "n"} for item in jobs[0]["items"] for p in item)
        jobs[0]["parts"] = [[(p["k"], p.get("role", ""), p["d"] if p["k"] == "bytes" else p["d"].decode()) for p in item]
                            for item in jobs[0]["items"]]
        return jobs[0]

    client.job = job
    client.post = lambda task, expect=200, **body: answered(daemon.ask("POST", f"/models/{task}", body), expect)
    client.raw = lambda task, data, kind: raw(daemon, f"/models/{task}", data, kind)
    return client


def answered(answer, expect):
    assert answer[0] == expect, answer
    return answer[2]


def raw(daemon, path, data, kind):
    c = daemon.connect()
    c.request("POST", path, data, {"Content-Type": kind} if kind else {})
    answer = c.getresponse()
    body = answer.read()
    c.close()
    return answer.status, answer.headers.get("Content-Type"), body


# ---- text ----

def test_text_classification(ask):
    found = ask("text-classification").text_classification("I like it", top_k=2, function_to_apply="sigmoid")
    assert [(f.label, f.score) for f in found] == [("yes", 0.75), ("no", 0.25)]
    job = ask.job()
    assert job["task"] == "text-classification" and job["params"] == {"top_k": 2, "function_to_apply": "sigmoid"}
    assert job["parts"] == [[("text", "", "I like it")]]
    assert ask.post("text-classification", inputs="a") == [LABELS]
    assert ask.post("text-classification", inputs=["a", "b"]) == [LABELS, LABELS]
    assert ask.post("text-classification", inputs=["a"]) == [LABELS]
    ask_pairs = ask.post("text-classification", inputs={"text": "a", "text_pair": "b"})
    assert ask_pairs == [LABELS]


def test_a_pair_is_two_parts(ask):
    ask.post("text-classification", inputs=[{"text": "a", "text_pair": "b"}, "c"])
    assert ask.job()["parts"] == [[("text", "", "a"), ("text", "pair", "b")], [("text", "", "c")]]


def test_zero_shot_classification(ask):
    client = ask("zero-shot-classification")
    found = client.zero_shot_classification("I like it", ["yes", "no"], multi_label=True, hypothesis_template="It is {}.")
    assert [(f.label, f.score) for f in found] == [("yes", 0.75), ("no", 0.25)]
    assert ask.job()["params"] == {"candidate_labels": ["yes", "no"], "multi_label": True,
                                   "hypothesis_template": "It is {}."}
    assert ask.post("zero-shot-classification", inputs=["a", "b"], parameters={"candidate_labels": ["x"]}) == [LABELS] * 2


def test_candidate_labels_ask_a_classifier_that_can_for_zero_shot(ask):
    assert len(ask("text-classification").zero_shot_classification("a", ["x", "y"])) == 2
    assert ask.job()["task"] == "zero-shot-classification"


def test_token_classification(ask):
    found = ask("token-classification").token_classification("Ada", aggregation_strategy="simple", ignore_labels=["O"])
    assert (found[0].entity_group, found[0].word, found[0].start, found[0].end) == ("PER", "Ada", 0, 3)
    assert ask.job()["params"] == {"aggregation_strategy": "simple", "ignore_labels": ["O"]}
    assert [len(x) for x in ask.post("token-classification", inputs=["a", "b"])] == [1, 1]


def test_question_answering(ask):
    found = ask("question-answering").question_answering("Who?", "Ada and Bob", max_answer_len=9)
    assert (found.answer, found.start, found.end) == ("Ada", 0, 3)
    job = ask.job()
    assert job["parts"] == [[("text", "question", "Who?"), ("text", "context", "Ada and Bob")]]
    assert job["params"] == {"max_answer_len": 9}
    two = ask("question-answering").question_answering("Who?", "Ada and Bob", top_k=2)
    assert [f.answer for f in two] == ["Ada", "Bob"]
    many = ask.post("question-answering", inputs=[{"question": "Who?", "context": "Ada"}] * 2)
    assert [m["answer"] for m in many] == ["Ada", "Ada"]


@pytest.mark.parametrize("method, key", [("summarization", "summary_text"), ("translation", "translation_text")])
def test_text_to_text(ask, method, key):
    generate = {"max_new_tokens": 5, "bad_words_ids": [[1, 2], [3]], "nested": {"a": 1.5}}
    found = getattr(ask(method), method)("a long text", generate_parameters=generate)
    assert found[key] in ("short", "kurz")
    job = ask.job()
    assert job["params"]["generate_parameters"] == generate and job["parts"] == [[("text", "", "a long text")]]
    assert ask.post(method, inputs=["a", "b"]) == [{key: found[key]}] * 2
    assert ask.post("text2text-generation", inputs="a") == [{"generated_text": "x"}]


def test_translation_has_languages(ask):
    ask("translation").translation("hello", src_lang="en", tgt_lang="de")
    assert ask.job()["params"] == {"src_lang": "en", "tgt_lang": "de"}


def test_fill_mask(ask):
    found = ask("fill-mask").fill_mask("[MASK] b", top_k=1)
    assert (found[0].token, found[0].token_str, found[0].sequence) == (7, "a", "a b")


def test_table_question_answering(ask):
    table = {"name": ["Ada", "Bob"], "n": ["1", "2"]}
    found = ask("table-question-answering").table_question_answering(table, "how many?", sequential=False)
    assert (found.answer, found.coordinates, found.cells, found.aggregator) == ("2", [[0, 1]], ["2"], "SUM")
    job = ask.job()
    assert job["parts"][0][0] == ("text", "question", "how many?") and job["parts"][0][1][:2] == ("text", "table")
    assert json.loads(job["parts"][0][1][2]) == table and job["params"] == {"sequential": False}
    one = ask.post("table-question-answering", inputs={"question": "how many?", "table": table})
    assert one["answer"] == "2"


# ---- images and sound ----

@pytest.mark.parametrize("method", ["image_classification", "object_detection", "image_segmentation", "image_to_text"])
def test_an_image_is_the_body(ask, tmp_path, method):
    task = method.replace("_", "-")
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    getattr(ask(task), method)(path)
    job = ask.job()
    assert job["parts"] == [[("bytes", "", PNG)]] and job["items"][0][0]["media"] == "image/png" and job["params"] == {}
    getattr(ask(task), method)(PNG)  # whose type the client does not know: it says none
    job = ask.job()
    assert job["parts"] == [[("bytes", "", PNG)]] and "media" not in job["items"][0][0]


def test_image_answers(ask):
    found = ask("image-classification").image_classification(PNG, top_k=2)  # with parameters: JSON, in base64
    assert [(f.label, f.score) for f in found] == [("yes", 0.75), ("no", 0.25)]
    job = ask.job()
    assert job["parts"] == [[("bytes", "", PNG)]] and job["params"] == {"top_k": 2}
    found = ask("object-detection").object_detection(PNG, threshold=0.5)
    assert (found[0].label, found[0].box.xmin, found[0].box.ymax) == ("cat", 1, 4)
    assert ask.job()["params"] == {"threshold": 0.5}
    mask = ask("image-segmentation").image_segmentation(PNG, subtask="semantic")[0].mask
    out = io.BytesIO()
    mask.save(out, "PNG")
    assert mask.size == (1, 1)
    assert ask.job()["params"] == {"subtask": "semantic"}
    assert ask("image-to-text").image_to_text(PNG).generated_text == "a cat"
    found = ask("zero-shot-image-classification").zero_shot_image_classification(PNG, ["yes", "no"])
    assert [f.label for f in found] == ["yes", "no"]


def test_document_question_answering(ask):
    found = ask("document-question-answering").document_question_answering(PNG, "Who?", top_k=1)
    assert found[0].answer == "Ada"
    job = ask.job()
    assert job["parts"] == [[("bytes", "", PNG), ("text", "question", "Who?")]] and job["params"] == {"top_k": 1}
    boxes = [["Ada", [0, 0, 10, 10]]]
    ask("document-question-answering").document_question_answering(PNG, "Who?", word_boxes=boxes)
    job = ask.job()
    assert job["parts"][0][2][:2] == ("text", "words") and json.loads(job["parts"][0][2][2]) == boxes
    assert job["params"] == {}


def test_sound(ask, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(WAV)
    for audio in (path, WAV):
        found = ask("automatic-speech-recognition").automatic_speech_recognition(audio)
        assert found.text == "hello" and found.chunks[0].timestamp == [0.0, 1.5]
        assert ask.job()["parts"] == [[("bytes", "", WAV)]]
    ask("automatic-speech-recognition").automatic_speech_recognition(WAV, extra_body={"return_timestamps": True})
    job = ask.job()
    assert job["parts"] == [[("bytes", "", WAV)]] and job["params"] == {"return_timestamps": True}
    assert [f.label for f in ask("audio-classification").audio_classification(WAV, top_k=2)] == ["yes", "no"]


def test_text_to_speech_answers_with_sound(ask):
    assert ask("text-to-audio").text_to_speech("hello", max_new_tokens=5, do_sample=False) == WAV
    job = ask.job()
    assert job["parts"] == [[("text", "", "hello")]]
    assert job["params"] == {"generate_parameters": {"max_new_tokens": 5, "do_sample": False}}
    status, kind, body = ask.raw("text-to-audio", json.dumps({"inputs": "a"}), "application/json")
    assert (status, kind, body) == (200, "audio/wav", WAV)
    assert "one text" in ask.post("text-to-audio", expect=400, inputs=["a", "b"])["error"]


@pytest.mark.parametrize("task", ["video-classification", "zero-shot-audio-classification", "zero-shot-object-detection",
                                  "depth-estimation", "mask-generation"])
def test_tasks_without_a_method(ask, task):
    status, _, body = ask.raw(task, PNG, "application/octet-stream")
    assert status == 200 and json.loads(body) == ANSWERS[task]["result"]
    assert ask.job()["parts"] == [[("bytes", "", PNG)]]
    assert ask.post(task, inputs=[PNG64, "data:image/png;base64," + PNG64]) == [ANSWERS[task]["result"]] * 2
    job = ask.job()
    assert job["parts"] == [[("bytes", "", PNG)]] * 2 and job["items"][1][0]["media"] == "image/png"


def test_two_pictures_are_one_input(ask):
    want = ANSWERS["keypoint-matching"]["result"]
    assert ask.post("keypoint-matching", inputs=[PNG64, PNG64]) == want
    assert ask.job()["parts"] == [[("bytes", "", PNG)] * 2]
    assert ask.post("keypoint-matching", inputs=[[PNG64, PNG64]] * 2) == [want] * 2


def test_a_picture_and_a_text_are_a_message(ask):
    assert ask.post("image-text-to-text", inputs={"image": PNG64, "text": "what?"}) == [{"generated_text": "a cat"}]
    assert ask.job()["parts"] == [[("bytes", "user", PNG), ("text", "", "what?")]]


def test_vectors_of_a_picture(ask):
    status, _, body = ask.raw("image-feature-extraction", PNG, "image/png")
    assert status == 200 and json.loads(body) == [[[1.0, 0.0]], [[1.0, 0.0]]]


# ---- wrongly ----

@pytest.mark.parametrize("task, inputs, words", [
    ("text-classification", 7, "'inputs' is an integer"),
    ("text-classification", ["a", 7], "'inputs[1]' is an integer"),
    ("text-classification", {"text_pair": "b"}, "'text' of 'inputs'"),
    ("text-classification", [], "'inputs' is empty"),
    ("question-answering", "Who?", "'question' and 'context'"),
    ("question-answering", {"question": "Who?"}, "'context' of 'inputs'"),
    ("table-question-answering", {"query": "x", "table": [1]}, "columns"),
    ("image-classification", "not base64!", "'inputs' is empty or not base64"),
    ("image-classification", "", "empty"),
    ("image-classification", {"a": 1}, "base64"),
    ("document-question-answering", {"image": PNG64}, "'question' of 'inputs'"),
    ("keypoint-matching", [PNG64], "two images"),
    ("summarization", None, "'inputs' is null"),
])
def test_inputs_of_another_shape_are_refused_by_name(ask, task, inputs, words):
    said = ask.post(task, expect=400, inputs=inputs)
    assert words in said["error"], said


def test_a_text_task_takes_no_bytes(ask):
    status, _, body = ask.raw("text-classification", PNG, "image/png")
    assert status == 415 and "application/json" in json.loads(body)["error"]
    status, _, body = ask.raw("image-classification", b"", "image/png")
    assert status == 400 and "empty" in json.loads(body)["error"]
    status, _, body = ask.raw("image-classification", b'{"inputs":"x"}', "text/plain")
    assert status == 415


def test_parameters_that_are_nested_too_deeply_are_refused(ask):
    deep = 0
    for _ in range(40):
        deep = [deep]
    assert "deep" in ask.post("summarization", expect=400, inputs="a", parameters={"generate_parameters": deep})["error"]
    assert "object" in ask.post("summarization", expect=400, inputs="a", parameters=[1])["error"]


def test_a_task_by_its_path(daemon, ask):
    assert answered(daemon.ask("POST", "/models/text-to-audio/pipeline/text-to-audio", {"inputs": "a"}), 200)
    with pytest.raises(HfHubHTTPError) as e:
        InferenceClient(f"{daemon.base}/models/summarization/pipeline/translation").translation("a")
    assert "summarization" in str(e.value)
    said = answered(daemon.ask("POST", "/models/summarization/pipeline/knitting", {"inputs": "a"}), 422)
    assert "knitting" in said["error"]
