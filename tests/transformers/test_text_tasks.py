"""The tasks on text, without a daemon: every answer of tests/golden/tasks, field for field, alone and in a batch.

Runs in a Python that has torch, transformers and pandas. The golden answers are transformers.pipeline's and
sentence-transformers' (make_text.py)."""
import json
import math
import os
import random
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
np = pytest.importorskip("numpy")

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
TASKS = GOLDEN / "tasks"
CACHE = Path(os.environ.get("BERTH_CACHE")
             or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "berth")
MINILM = CACHE / "models" / "sentence-transformers" / "all-MiniLM-L6-v2"
sys.path.insert(0, str(ROOT / "python"))

from berth_transformers import loading  # noqa: E402
from berth_transformers.jobs import Item, Job, Part, Refused  # noqa: E402

ABSOLUTE, RELATIVE = 1e-4, 1e-3  # what the issue of equality asks for; small scores must be right as well
VECTOR = 5e-6  # of a vector of length 1, against sentence-transformers in f32
ROUNDING = 2e-5  # of tiny models whose heads are large: another batch, another order of sums
FOLDERS = sorted(p.name for p in TASKS.iterdir() if (TASKS / f"{p.name}.json").is_file() and p.is_dir()
                 and json.loads((TASKS / f"{p.name}.json").read_text())["task"] in (
    "text-classification", "zero-shot-classification", "token-classification", "fill-mask", "question-answering",
    "table-question-answering", "feature-extraction", "sentence-similarity"))
loaded = {}


def model(folder, task):
    if (folder, task) not in loaded:
        if task == "table-question-answering":
            pytest.importorskip("pandas")
        loaded[folder, task] = loading.load(folder, task=task, device="cpu").tasks[task]
    return loaded[folder, task]


def item(task, parts, parameters=None, i=0):
    parts = [Part("text", p) if isinstance(p, str) else p for p in parts]
    return Item(Job(i, task, parameters or {}, []), 0, parts)


def parts_of(task, inputs):
    """The HF Inference API's inputs as parts."""
    if isinstance(inputs, str):
        return [Part("text", inputs)]
    if task == "text-classification":
        return [Part("text", inputs["text"]), Part("text", inputs["text_pair"], "pair")]
    if task == "question-answering":
        return [Part("text", inputs["question"], "question"), Part("text", inputs["context"], "context")]
    if task == "table-question-answering":
        return [Part("text", inputs["query"], "question"), Part("text", json.dumps(inputs["table"]), "table")]
    return [Part("text", inputs["source_sentence"], "source"),
            *(Part("text", s, "sentence") for s in inputs["sentences"])]


def expected(task, answer):
    """The library's answer in the shape of src/ipc/task.h."""
    if task == "zero-shot-classification":
        return [{"label": n, "score": s} for n, s in zip(answer["labels"], answer["scores"])]
    if task == "question-answering" and isinstance(answer, dict):
        return [answer]
    if task == "fill-mask":
        return answer if isinstance(answer[0], list) else [answer]
    if task == "feature-extraction" and isinstance(answer[0], list):
        return answer[0]  # the pipeline's batch of one
    return answer


def same(found, wanted, where="answer"):
    """Field for field; floats within ABSOLUTE and RELATIVE."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict) and set(found) == set(wanted), where
        for key in wanted:
            same(found[key], wanted[key], f"{where}.{key}")
    elif isinstance(wanted, list):
        assert isinstance(found, list) and len(found) == len(wanted), f"{where}: {found} instead of {wanted}"
        for i, (f, w) in enumerate(zip(found, wanted)):
            same(f, w, f"{where}[{i}]")
    elif isinstance(wanted, float):
        assert type(found) is float
        assert math.isclose(found, wanted, rel_tol=RELATIVE, abs_tol=1e-9) and abs(found - wanted) <= ABSOLUTE, where
    else:
        assert type(found) is type(wanted) and found == wanted, f"{where}: {found!r} instead of {wanted!r}"


def value(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer.result if answer.parts == [] else answer.parts[0].data


def cases(folder):
    golden = json.loads((TASKS / f"{folder}.json").read_text())
    return golden["task"], golden["cases"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_golden_alone(folder):
    task, all_cases = cases(folder)
    made = model(TASKS / folder, task)
    assert len(all_cases) >= (3 if task == "sentence-similarity" else 8)
    for i, c in enumerate(all_cases):
        request = made.read(item(task, parts_of(task, c["inputs"]), c["parameters"]))
        found = value(made.run([request])[0])
        wanted = expected(task, c["answer"])
        if isinstance(found, np.ndarray):
            assert found.dtype == np.float32
            wanted = np.array(wanted, dtype=np.float32)
            assert found.shape == wanted.shape
            assert np.abs(found - wanted).max() <= (VECTOR if wanted.ndim == 1 else ABSOLUTE), f"{folder} {i}"
        else:
            same(found, wanted, f"{folder} {i}")


@pytest.mark.parametrize("folder", FOLDERS)
def test_golden_batched(folder):
    """All inputs in batches of any company: the same answers, but for rounding."""
    task, all_cases = cases(folder)
    made = model(TASKS / folder, task)
    requests = [made.read(item(task, parts_of(task, c["inputs"]), c["parameters"])) for c in all_cases]
    order = list(range(len(requests)))
    random.Random(folder).shuffle(order)
    assert len({r.key for r in requests}) == 1
    answers = dict(zip(order, made.run([requests[i] for i in order])))
    for i, c in enumerate(all_cases):
        found, wanted = value(answers[i]), expected(task, c["answer"])
        if isinstance(found, np.ndarray):
            assert np.abs(found - np.array(wanted)).max() <= ROUNDING, f"{folder} {i}"
        else:
            same(found, wanted, f"{folder} {i}")
        assert answers[i].tokens == requests[i].tokens > 0


# ---- embeddings ----

def vectors(made, texts, **parameters):
    requests = [made.read(item("feature-extraction", [t], parameters)) for t in texts]
    return [value(a) for a in made.run(requests)]


@pytest.mark.skipif(not MINILM.is_dir(), reason="all-MiniLM-L6-v2 is not here")
def test_real_model():
    """Real weights: 200 texts of the golden ones, against sentence-transformers' vectors."""
    texts = [json.loads(line) for line in (GOLDEN / "texts.jsonl").read_text().splitlines()]
    reference = np.load(GOLDEN / "texts.vectors.npy")
    chosen = range(0, len(texts), len(texts) // 200)
    made = model(MINILM, "feature-extraction")
    found = np.stack(vectors(made, [texts[i] for i in chosen], truncate=True))
    assert found.shape[0] >= 200
    difference = np.abs(found - reference[list(chosen)]).max()
    print(f"{len(found)} texts, largest difference {difference:.2e}")
    assert difference <= VECTOR


@pytest.mark.parametrize("case", sorted(p.name for p in (GOLDEN / "modules").iterdir() if p.is_dir()))
def test_modules(case, tmp_path):
    """What sentence-transformers gives with every kind of module, with and without prompts."""
    golden = json.loads((GOLDEN / "modules" / "vectors.json").read_text())
    made = model(module_folder(tmp_path, case), "feature-extraction")
    for prompt, wanted in golden["vectors"][case].items():
        # encode() with None takes the default prompt, and so does berth
        parameters = {"truncate": True} | ({"prompt_name": prompt} if prompt else {})
        for text, found, reference in zip(golden["texts"], vectors(made, golden["texts"], **parameters), wanted):
            assert np.abs(found - np.array(reference)).max() <= ROUNDING, (case, prompt, text)


def module_folder(to, case):
    """A whole model: the modules of one case around the tiny BERT."""
    for f in (GOLDEN / "modules" / case).rglob("*"):
        if f.is_file():
            (to / f.relative_to(GOLDEN / "modules" / case)).parent.mkdir(parents=True, exist_ok=True)
            (to / f.relative_to(GOLDEN / "modules" / case)).write_bytes(f.read_bytes())
    for f in (GOLDEN / "bert" / "config.json", GOLDEN / "bert" / "model.safetensors", GOLDEN / "modules" / "vocab.txt",
              GOLDEN / "modules" / "tokenizer_config.json"):
        (to / f.name).write_bytes(f.read_bytes())
    return to


@pytest.mark.parametrize("change, said", [
    ({"modules.json": [{"type": "sentence_transformers.models.Transformer", "path": ""},
                       {"type": "mycode.Pooling", "path": "1_Pooling"}]}, "mycode.Pooling"),
    ({"modules.json": [{"type": "sentence_transformers.models.Transformer", "path": ""},
                       {"type": "sentence_transformers.models.CNN", "path": "1_Pooling"}]}, "models.CNN"),
    ({"modules.json": [{"type": "sentence_transformers.models.Transformer", "path": ""}]}, "without pooling"),
    ({"modules.json": "x"}, "not a list"),
    ({"1_Pooling/config.json": {"pooling_mode": ["mean", "best"]}}, "best"),
    ({"1_Pooling/config.json": {"word_embedding_dimension": 33}}, "33"),
    ({"2_Dense/config.json": {"in_features": 192, "out_features": 16, "activation_function": "os.system"}},
     "os.system"),
    ({"2_Dense/config.json": {"in_features": 191, "out_features": 16}}, "191"),
    ({"config_sentence_transformers.json": {"prompts": {"a": "b"}, "default_prompt_name": "c"}}, "default_prompt_name"),
])
def test_modules_refused(change, said, tmp_path):
    folder = module_folder(tmp_path, "everything")
    for name, content in change.items():
        (folder / name).write_text(json.dumps(content))
    with pytest.raises(Refused) as e:
        loading.load(folder, task="feature-extraction", device="cpu")
    assert said in e.value.sentence


def test_lower_case(tmp_path):
    """do_lower_case with a tokenizer that keeps upper case: as if the text were in lower case."""
    folder = module_folder(tmp_path, "last")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer",
                                                              "do_lower_case": False}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 30, "do_lower_case": True}))
    made = loading.load(folder, task="feature-extraction", device="cpu").tasks["feature-extraction"]
    upper, lower = vectors(made, ["ABC d", "abc d"])
    assert np.array_equal(upper, lower)
    assert not np.allclose(upper, vectors(made, ["xyz d"])[0])


def test_tokens_and_options():
    made = model(TASKS / "sentence_embedding", "feature-extraction")
    ids = made.model.tokenizer("the king of Oslo")["input_ids"]
    text, = vectors(made, ["the king of Oslo"])
    tokens, = vectors(made, [Part("tokens", ids)])
    assert np.abs(tokens - text).max() <= VECTOR
    bare, = vectors(made, [Part("tokens", ids[1:-1])])  # no special token is added
    assert np.abs(bare - text).max() > 0.01
    asked, = vectors(made, ["the king of Oslo"], prompt_name="query")
    assert np.array_equal(asked, vectors(made, ["question: the king of Oslo"])[0])
    rows, = vectors(made, ["the king of Oslo"], pooled=False)
    assert rows.shape == (len(ids), 32)
    assert np.abs(rows.mean(0) / np.linalg.norm(rows.mean(0)) - text).max() <= VECTOR
    assert vectors(made, ["the king"], dimensions=32)[0].shape == (32,)
    plain = model(TASKS / "feature_extraction", "feature-extraction")
    rows, = vectors(plain, ["the king of Oslo"])
    mean, = vectors(plain, ["the king of Oslo"], pooled=True)
    assert np.abs(rows.mean(0) - mean).max() <= ROUNDING
    one, = vectors(plain, ["the king of Oslo"], pooled=True, normalize=True)
    assert abs(np.linalg.norm(one) - 1) <= VECTOR
    each, = vectors(plain, ["the king of Oslo"], normalize=True)
    assert np.abs(np.linalg.norm(each, axis=1) - 1).max() <= VECTOR


def test_extra():
    assert model(TASKS / "sentence_embedding", "feature-extraction").extra() == {
        "pooling": "mean", "normalize": True, "dimensions": False,
        "prompts": ["query", "passage", "document"]}
    assert model(TASKS / "fill_mask", "fill-mask").extra() == {"mask_token": "[MASK]"}
    assert model(TASKS / "text_classification", "text-classification").extra() == {
        "labels": ["POSITIVE", "NEUTRAL", "NEGATIVE"]}


@pytest.mark.parametrize("folder", ["sentence_embedding", "text_classification"])
def test_half(folder):
    """In bfloat16, which keeps 8 bits: a batch gives what each gives alone, within a few of them."""
    task, all_cases = cases(folder)
    made = loading.load(TASKS / folder, task=task, dtype="bfloat16", device="cpu").tasks[task]
    assert made.model.dtype == torch.bfloat16
    requests = [made.read(item(task, parts_of(task, c["inputs"]))) for c in all_cases[:8]]
    for one, request in zip(made.run(requests), requests):
        found, wanted = value(one), value(made.run([request])[0])
        if isinstance(found, np.ndarray):
            assert found.dtype == np.float32 and np.abs(found - wanted).max() <= 2 ** -6
        else:
            assert found[0]["label"] == wanted[0]["label"] and abs(found[0]["score"] - wanted[0]["score"]) <= 2 ** -5
    assert made.pads


# ---- refusals ----

LONG = "the king of the city " * 40
QA = [Part("text", "who", "question"), Part("text", LONG, "context")]
TABLE = [Part("text", "how many", "question"), Part("text", '{"a": ["1"]}', "table")]
REFUSED = [
    ("text_classification", "text-classification", ["a"], {"top_p": 1}, "unsupported_option", "top_p"),
    ("text_classification", "text-classification", ["a"], {"top_k": "1"}, "invalid_request", "top_k"),
    ("text_classification", "text-classification", ["a"], {"top_k": True}, "invalid_request", "top_k"),
    ("text_classification", "text-classification", ["a"], {"top_k": 0}, "invalid_request", "top_k"),
    ("text_classification", "text-classification", ["a"], {"function_to_apply": "cube"}, "invalid_request", "softmax"),
    ("text_classification", "text-classification", ["a", "b"], {}, "invalid_request", "one text"),
    ("text_classification", "text-classification", [LONG], {"truncate": False}, "input_too_long", "202 tokens"),
    ("zero_shot", "zero-shot-classification", ["a"], {}, "invalid_request", "candidate_labels"),
    ("zero_shot", "zero-shot-classification", ["a"], {"candidate_labels": []}, "invalid_request", "candidate_labels"),
    ("zero_shot", "zero-shot-classification", ["a"], {"candidate_labels": [1]}, "invalid_request", "candidate_labels"),
    ("zero_shot", "zero-shot-classification", [""], {"candidate_labels": ["x"]}, "invalid_request", "empty"),
    ("zero_shot", "zero-shot-classification", ["a"], {"candidate_labels": ["x"] * 1001}, "invalid_request", "1001"),
    ("zero_shot", "zero-shot-classification", ["a"], {"candidate_labels": [LONG]}, "input_too_long", "64"),
    *(("zero_shot", "zero-shot-classification", ["a"], {"candidate_labels": ["x"], "hypothesis_template": t},
       "invalid_request", "hypothesis_template")
      for t in ("none", "{:>1000000000}", "{.__class__}", "{0[0]}", "{", "{} {}", "{x}", "{!r}")),
    ("token_classification", "token-classification", ["a"], {"aggregation_strategy": "best"}, "invalid_request",
     "average"),
    ("token_classification", "token-classification", ["a"], {"stride": 3, "aggregation_strategy": "none"},
     "invalid_request", "stride"),
    ("token_classification", "token-classification", [LONG], {"stride": 62}, "invalid_request", "62"),
    ("token_classification", "token-classification", [LONG * 400], {"stride": 61}, "too_large", "windows"),
    ("token_classification", "token-classification", ["a"], {"stride": -1}, "invalid_request", "stride"),
    ("fill_mask", "fill-mask", ["no mask"], {}, "invalid_request", "[MASK]"),
    ("fill_mask", "fill-mask", [""], {}, "invalid_request", "[MASK]"),
    ("fill_mask", "fill-mask", ["[MASK]"], {"top_k": 0}, "invalid_request", "top_k"),
    ("fill_mask", "fill-mask", ["[MASK]"], {"targets": [""]}, "invalid_request", "targets"),
    ("fill_mask", "fill-mask", ["[MASK]"], {"targets": {"a": 1}}, "invalid_request", "targets"),
    ("fill_mask", "fill-mask", ["[MASK] " * 30], {"top_k": 10**6}, "too_large", "top_k"),
    ("fill_mask", "fill-mask", ["[MASK] " + LONG], {}, "input_too_long", "the model takes at most 64"),
    ("question_answering", "question-answering", QA, {"top_k": 0}, "invalid_request", "top_k"),
    ("question_answering", "question-answering", QA, {"top_k": 1001}, "invalid_request", "1000"),
    ("question_answering", "question-answering", QA, {"max_answer_len": 0}, "invalid_request", "max_answer_len"),
    ("question_answering", "question-answering", QA, {"max_answer_len": 2**64 - 1}, "invalid_request", "max_answer_len"),
    ("question_answering", "question-answering", QA, {"max_seq_len": 65}, "invalid_request", "max_seq_len"),
    ("question_answering", "question-answering", QA, {"max_seq_len": 20, "doc_stride": 21}, "invalid_request",
     "doc_stride"),
    ("question_answering", "question-answering", QA, {"max_seq_len": 20, "doc_stride": 16}, "invalid_request", "16"),
    ("question_answering", "question-answering", [Part("text", "who", "question")], {}, "invalid_request", "context"),
    ("question_answering", "question-answering", [QA[0], Part("text", "", "context")], {}, "invalid_request", "empty"),
    ("question_answering", "question-answering", [Part("text", LONG, "question"), QA[1]], {}, "input_too_long", "64"),
    ("table_question_answering", "table-question-answering", [TABLE[0], Part("text", "[1]", "table")], {},
     "invalid_request", "object"),
    ("table_question_answering", "table-question-answering", [TABLE[0], Part("text", "{", "table")], {},
     "invalid_request", "JSON"),
    ("table_question_answering", "table-question-answering", [TABLE[0], Part("text", '{"a": ["1"], "b": []}', "table")],
     {}, "invalid_request", "length"),
    ("table_question_answering", "table-question-answering", [TABLE[0], Part("text", '{"a": [null]}', "table")], {},
     "invalid_request", "cell"),
    ("table_question_answering", "table-question-answering", [TABLE[0], Part(
        "text", json.dumps({f"c{i}": ["1"] for i in range(20)}), "table")], {}, "too_large", "20 columns"),
    ("table_question_answering", "table-question-answering", [TABLE[0], Part(
        "text", json.dumps({"a": ["rain in the city"] * 15, "b": ["sun and wind and snow"] * 15}), "table")],
     {"truncation": False}, "input_too_long", "128"),
    ("sentence_embedding", "feature-extraction", [LONG], {}, "input_too_long", "the model takes at most 48"),
    ("sentence_embedding", "feature-extraction", ["a"], {"dimensions": 16}, "unsupported_option", "16"),
    ("sentence_embedding", "feature-extraction", ["a"], {"prompt_name": "x"}, "invalid_request", "passage"),
    ("sentence_embedding", "feature-extraction", ["a", "b"], {}, "invalid_request", "one input"),
    ("sentence_embedding", "feature-extraction", [Part("tokens", [])], {}, "invalid_request", "empty"),
    ("sentence_embedding", "feature-extraction", [Part("tokens", [10**6])], {}, "invalid_request", "1000000"),
    ("sentence_embedding", "feature-extraction", [Part("tokens", [5] * 49)], {}, "input_too_long", "49"),
    ("sentence_similarity", "sentence-similarity", ["a", "b"], {}, "invalid_request", "source"),
    ("sentence_similarity", "sentence-similarity", [Part("text", "a", "source")], {}, "invalid_request",
     "one sentence"),
    ("sentence_similarity", "sentence-similarity", [Part("text", "a", "source"), *[Part("text", "a", "sentence")] * 64],
     {}, "invalid_request", "64"),
    ("sentence_similarity", "sentence-similarity", [Part("text", LONG, "source"), Part("text", "a", "sentence")],
     {"truncate": False}, "input_too_long", "48"),
]


@pytest.mark.parametrize("folder, task, parts, parameters, code, said", REFUSED,
                         ids=[f"{i}-{r[0]}-{r[4]}" for i, r in enumerate(REFUSED)])
def test_refused(folder, task, parts, parameters, code, said):
    with pytest.raises(Refused) as e:
        model(TASKS / folder, task).read(item(task, parts, parameters))
    assert e.value.code == code and said in e.value.sentence
    assert "\n" not in e.value.sentence and len(e.value.sentence) < 500


# ---- truncation and odd inputs ----

@pytest.mark.parametrize("folder, task, parts, parameters, tokens", [
    ("text_classification", "text-classification", [LONG], {}, 64),
    ("text_classification", "text-classification", [LONG, Part("text", LONG, "pair")], {}, 64),
    ("zero_shot", "zero-shot-classification", [LONG], {"candidate_labels": ["a", "b"]}, 128),
    ("token_classification", "token-classification", [LONG], {}, 64),
    ("fill_mask", "fill-mask", ["[MASK] " + LONG], {"truncate": True}, 64),
    ("sentence_embedding", "feature-extraction", [LONG], {"truncate": True}, 48),
    ("sentence_embedding", "feature-extraction", [Part("tokens", [5] * 99)], {"truncate": True}, 48),
    ("table_question_answering", "table-question-answering", [TABLE[0], Part(
        "text", json.dumps({"a": ["rain in the city"] * 15, "b": ["sun and wind and snow"] * 15}), "table")], {}, None),
    ("question_answering", "question-answering", QA, {"max_question_len": 1}, None),
])
def test_truncation_is_told(folder, task, parts, parameters, tokens):
    made = model(TASKS / folder, task)
    if task == "question-answering":
        parts = [Part("text", "who was the king", "question"), parts[1]]
    request = made.read(item(task, parts, parameters))
    answer, = made.run([request])
    assert answer.truncated and value(answer) is not None
    assert tokens is None or answer.tokens == tokens


def test_truncation_from_the_left():
    made = model(TASKS / "sentence_embedding", "feature-extraction")
    right, left, end = vectors(made, ["a " * 60 + "king", ], truncate=True)[0], vectors(
        made, ["b " * 60 + "a " * 45 + "king"], truncate=True, truncation_direction="left")[0], vectors(
        made, ["a " * 45 + "king"])[0]
    assert np.abs(left - end).max() <= VECTOR < np.abs(left - right).max()
    assert made.model.tokenizer.truncation_side == "right"


@pytest.mark.parametrize("folder, task", [(f, cases(f)[0]) for f in FOLDERS if not f.startswith((
    "zero", "fill", "question", "table", "sentence_sim"))])
def test_empty_text(folder, task):
    made = model(TASKS / folder, task)
    answer, = made.run([made.read(item(task, [""]))])
    assert value(answer) is not None and answer.tokens == 2


@pytest.mark.parametrize("task, auto", [("feature-extraction", "FNetModel"), ("feature-extraction", "ConvBertModel"),
                                        ("text-classification", "GPT2ForSequenceClassification"),
                                        ("feature-extraction", "T5Model")])
def test_padding_that_matters(task, auto, tmp_path):
    """Architectures that look at padding, or cannot have any: equal results all the same."""
    torch.manual_seed(5)
    common = {"vocab_size": 300, "num_labels": 3}
    config = {"FNetModel": lambda: transformers.FNetConfig(
                  hidden_size=32, num_hidden_layers=2, intermediate_size=64, max_position_embeddings=64,
                  type_vocab_size=2, **common),
              "ConvBertModel": lambda: transformers.ConvBertConfig(
                  hidden_size=32, embedding_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                  max_position_embeddings=64, **common),
              "GPT2ForSequenceClassification": lambda: transformers.GPT2Config(
                  n_embd=32, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=1, **common),
              "T5Model": lambda: transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                                                       **common)}[auto]()
    getattr(transformers, auto)(config).save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((TASKS / "sentence_embedding" / "tokenizer.json").read_bytes())
    names = {} if auto.startswith("GPT2") else {"pad_token": "[PAD]"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", **names}))
    made = loading.load(tmp_path, task=task, device="cpu").tasks[task]
    texts = ["the king", "the a of to in is was are be it the man", "a b", "are be it"]
    requests = [made.read(item(task, [t])) for t in texts]
    together, alone = made.run(requests), [made.run([r])[0] for r in requests]
    for one, other in zip(together, alone):
        if task == "feature-extraction":
            assert np.abs(value(one) - value(other)).max() <= ROUNDING
        else:
            same(value(one), value(other))
    assert made.pads is (auto == "T5Model" or (made.pads if auto.startswith("GPT2") else False))
