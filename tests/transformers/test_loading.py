"""What is loaded, as what, and what is refused and with which words."""
import json
import resource
import shutil
import time
import types

import pytest
import transformers

from berth_transformers import checkpoint, errors, loading
from berth_transformers.jobs import Refused

EVIL = "raise SystemExit('code of a repository was run')\n"


def refusal(folder, **more):
    with pytest.raises(Refused) as e:
        loading.load(folder, **more)
    assert str(folder) not in e.value.sentence and "\n" not in e.value.sentence and len(e.value.sentence) < 500
    return e.value.code, e.value.sentence


@pytest.fixture
def copy(tiny_bert, tmp_path):
    """A function that copies a tiny BERT, with config.json changed."""
    def make(name="BertForSequenceClassification", made=None, **changed):
        shutil.copytree(tiny_bert(name, **(made or {})), tmp_path / "model")
        config = json.loads((tmp_path / "model/config.json").read_text()) | changed
        (tmp_path / "model/config.json").write_text(json.dumps(config))
        return tmp_path / "model"
    return make


# ---- chosen ----

def test_the_task_is_what_the_weights_are_for(tiny_bert):
    model = loading.load(tiny_bert("BertForMaskedLM"))
    assert model.task == "fill-mask" and model.config.architectures == ["BertForMaskedLM"]
    assert not model.model.training and model.max_tokens == 128
    assert loading.load(tiny_bert("BertForSequenceClassification")).task == "text-classification"
    assert loading.load(tiny_bert("BertForTokenClassification")).task == "token-classification"
    assert loading.load(tiny_bert("BertForQuestionAnswering")).task == "question-answering"
    assert loading.load(tiny_bert("BertModel")).task == "feature-extraction"


def test_one_model_does_all_that_its_class_does(tiny_bert):
    plain = loading.load(tiny_bert("BertForSequenceClassification"))
    assert {"text-classification"} <= set(plain.tasks) and "zero-shot-classification" not in plain.tasks
    labels = {"id2label": {0: "contradiction", 1: "entailment"}, "label2id": {"contradiction": 0, "entailment": 1}}
    nli = loading.load(tiny_bert("BertForSequenceClassification", **labels))
    assert nli.task == "text-classification" and "zero-shot-classification" in nli.tasks
    assert {"feature-extraction", "sentence-similarity"} <= set(loading.load(tiny_bert("BertModel")).tasks)


def test_the_readme_and_the_caller_choose(copy):
    folder = copy("BertForMaskedLM")
    (folder / "README.md").write_text("---\nlicense: mit\npipeline_tag: \"feature-extraction\"\n---\n# A model\n")
    assert checkpoint.pipeline_tag(folder) == "feature-extraction"
    model = loading.load(folder)
    assert model.task == "feature-extraction"
    assert any("not read" in n and "pooler" in n for n in model.notes), model.notes
    assert loading.load(folder, task="fill-mask").task == "fill-mask"
    assert loading.load(folder, options={"task": "fill-mask"}).task == "fill-mask"
    (folder / "README.md").write_text("---\npipeline_tag: translation\n---\n")
    assert loading.load(folder).task == "fill-mask", "a tag that the model cannot do is no reason to fail"


def test_sentence_transformers_limits_count(minilm):
    model = loading.load(minilm)
    assert model.task == "feature-extraction" and model.max_tokens == 256


@pytest.mark.parametrize("dtype, used", [("exact", "f32"), ("auto", "bf16"), ("float32", "f32"), ("bf16", "bf16"),
                                         ("float16", "f16")])
def test_dtype_is_what_was_asked_for(tiny_bert, tmp_path, dtype, used):
    import torch
    import transformers
    shutil.copytree(tiny_bert("BertModel"), tmp_path / "half")
    transformers.AutoModel.from_pretrained(tmp_path / "half", dtype=torch.bfloat16).save_pretrained(tmp_path / "half")
    model = loading.load(tmp_path / "half", dtype=dtype)
    assert model.short_dtype == used
    assert {p.dtype for p in model.model.parameters()} == {model.dtype}


def test_attention_is_the_librarys_choice_or_the_callers(tiny_bert):
    assert loading.load(tiny_bert("BertModel")).config._attn_implementation == "sdpa"
    eager = loading.load(tiny_bert("BertModel"), options={"attention": "eager"})
    assert eager.config._attn_implementation == "eager"


def test_progress_is_told_in_phases_and_bytes(tiny_bert):
    told = []
    folder = tiny_bert("BertForMaskedLM")
    loading.load(folder, progress=lambda *said: told.append(said))
    assert list(dict.fromkeys(t[0] for t in told)) == ["config", "tokenizer", "weights"]
    done = [t[1] for t in told if t[0] == "weights"]
    sizes = checkpoint.tensor_bytes(checkpoint.weight_files(folder))
    assert done == sorted(done) and done[-1] == sum(sizes.values()) and len(set(done)) > 10


# ---- refused ----

def test_code_of_the_repository_is_never_run(copy):
    folder = copy(model_type="own_model", auto_map={"AutoConfig": "own.Config", "AutoModel": "own.Model"})
    (folder / "own.py").write_text(EVIL)
    code, said = refusal(folder)
    assert code == "unsupported_architecture" and "own_model" in said and "never run" in said


def test_a_known_type_with_auto_map_is_loaded_by_the_library_and_said(copy):
    folder = copy(auto_map={"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"})
    (folder / "own.py").write_text(EVIL)
    model = loading.load(folder)
    assert type(model.model).__module__.startswith("transformers.models.bert")
    assert any("auto_map" in n and "not run" in n for n in model.notes)


def test_a_tokenizer_with_code_of_its_own(copy):
    folder = copy()
    (folder / "own.py").write_text(EVIL)
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.Tokenizer", None]}}))
    try:
        loading.load(folder)  # the library has a tokenizer for the model's type and takes that
    except Refused as e:
        assert e.code in ("unsupported_architecture", "damaged_file")


def test_only_pickles(copy):
    folder = copy()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    code, said = refusal(folder)
    assert code == "unsupported_option" and "pytorch_model.bin" in said and "safetensors" in said


def test_a_pickle_beside_safetensors_is_not_opened(copy):
    folder = copy()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.")
    assert loading.load(folder).task == "text-classification"


def test_a_head_that_is_not_in_the_files_never_answers(tiny_bert):
    code, said = refusal(tiny_bert("BertModel"), task="text-classification")
    assert code == "damaged_file" and "classifier.weight" in said and "another task" in said


@pytest.mark.parametrize("kind, more, word", [
    ("no dtype", {"dtype": "int4"}, "int4"), ("no device", {"device": "cuda"}, "this machine has: cpu"),
    ("no option", {"options": {"trust_remote_code": True}}, "trust_remote_code"),
    ("no attention", {"options": {"attention": "flash"}}, "sdpa, eager")])
def test_what_is_not_there_is_named(tiny_bert, kind, more, word):
    code, said = refusal(tiny_bert("BertModel"), **more)
    assert code == "unsupported_option" and word in said


@pytest.mark.parametrize("task", ["nonsense", "translation"])
def test_tasks_that_are_not_there(tiny_bert, task):
    code, said = refusal(tiny_bert("BertModel"), task=task)
    assert code == "unsupported_task" and task in said


def damage(folder, what):
    weights = folder / "model.safetensors"
    data = weights.read_bytes()
    if what == "cut":
        weights.write_bytes(data[:-1])
    elif what == "header":
        weights.write_bytes(data[:9] + b"\xff" + data[10:])
    elif what == "empty":
        weights.write_bytes(b"")
    elif what == "huge header":
        weights.write_bytes(b"\xff" * 8 + data[8:])
    elif what == "no weights":
        weights.unlink()
    elif what == "config":
        (folder / "config.json").write_text("{")
    elif what == "config list":
        (folder / "config.json").write_text("[]")
    elif what == "no config":
        (folder / "config.json").unlink()
    elif what == "tokenizer":
        (folder / "tokenizer.json").write_text('{"model": 5}')


@pytest.mark.parametrize("what", ["cut", "header", "empty", "huge header", "no weights", "config", "config list",
                                  "no config", "tokenizer"])
def test_damaged_files(copy, what):
    folder = copy()
    damage(folder, what)
    assert refusal(folder)[0] == "damaged_file"


@pytest.mark.parametrize("changed, code", [({"hidden_size": 64}, "damaged_file"),
                                           ({"num_hidden_layers": 4}, "damaged_file"),
                                           ({"model_type": "nonsense"}, "unsupported_architecture"),
                                           ({"hidden_act": "nonsense"}, "damaged_file"),
                                           ({"hidden_size": "many"}, "damaged_file")])
def test_a_config_that_does_not_fit_the_weights(copy, changed, code):
    assert refusal(copy(**changed))[0] == code


@pytest.mark.parametrize("changed, code", [
    ({"num_hidden_layers": 10**9}, "damaged_file"), ({"num_labels": 10**9}, "damaged_file"),
    ({"vocab_size": 2**31}, "damaged_file"), ({"hidden_size": 10**9}, "damaged_file"),
    ({"max_position_embeddings": 10**10}, "damaged_file"),
    ({"attn_implementation": "kernels-community/flash-attn"}, "unsupported_option"),
    ({"_attn_implementation": {"": "a/b"}}, "unsupported_option"),
    ({"text_config": {"experts_implementation": "a/b"}}, "unsupported_option")], ids=str)
def test_a_hostile_config_costs_little(copy, changed, code):
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, sentence = refusal(copy(**changed))
    assert found == code and "ignore_mismatched" not in sentence
    assert time.process_time() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize("said, tokens", [({"model_max_length": 12.5}, 12), ({"model_max_length": 10**12}, 0)], ids=str)
def test_a_limit_of_tokens_is_one_that_ready_can_hold(copy, said, tokens):
    folder = copy()
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    config = types.SimpleNamespace(max_position_embeddings=10**12, model_type="llama")
    found = loading.max_tokens(str(folder), config, tokenizer, "fill-mask")
    assert type(found) is int and found == tokens


def test_memory_that_runs_out_is_told_from_damage():
    import torch
    try:
        torch.empty(1 << 50, dtype=torch.uint8)
    except RuntimeError as e:
        assert errors.of_load(e).code == errors.of_job(e).code == "insufficient_memory"
    assert errors.of_job(MemoryError()).code == "insufficient_memory"
    assert errors.of_job(torch.OutOfMemoryError("CUDA out of memory")).code == "insufficient_memory"
    assert errors.of_job(OSError(12, "Cannot allocate memory")).code == "insufficient_memory"
    assert errors.of_job(RuntimeError("shapes do not match")).code == "internal"


def test_sentences_hold_no_path():
    said = errors.plain(OSError("no file named x in /root/a/b.c/models--x or /etc/y z\nmore"))
    assert "/root" not in said and "/etc" not in said and "more" not in said
