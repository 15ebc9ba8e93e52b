#!/usr/bin/env python3
"""Makes the tiny text models of this folder and the answers that the reference libraries give for them.

    make_text.py            the models, and every answer but those of question answering
    make_text.py --removed  only those: by a transformers (4.57.6) that still has the pipeline, on the same models

Each folder is a model (text_models.py); FOLDER.json beside it has, for each case, the inputs and parameters in the
words of the HF Inference API, and the answer of transformers.pipeline (or of sentence-transformers) as it is. For
table-question-answering pandas must be there. A best answer that is not at least twice as likely as the next one says
little about who else computes it, so that is an error here.
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

HERE = Path(__file__).resolve().parent
STANDS_OUT = 2.0
LIKELY = 0.1  # of the best span: thousands share what is left

TEXTS = [
    "The teacher from London sold a good book.",
    "rain and wind",
    "Anna lives in Oslo, and her company builds ships for Africa!",
    "I have a problem with my phone that must be answered today",
    "caf\u00e9 \u5317\u4eac \U0001f600 na\u00efve  two   spaces\ttab",
    "?",
    "the king was angry and the queen was sad because nobody came to the harbor yesterday evening in the snow",
    "1987 was a great year for music, film and sports.",
    "wonderful wonderful wonderful",
]
LONG = " ".join(f"the {a} in the {b} saw {c} red ships" for a, b, c in zip(
    "man woman teacher doctor king queen child people".split(), "city town village river harbor house bank sea".split(),
    "one two three four 5 6 7 8".split()))


def case(inputs, parameters=None, **call):
    """call: what the pipeline is called with, where it differs from the parameters."""
    return {"inputs": inputs, "parameters": parameters or {}, "call": {**(parameters or {}), **call}}


def classification():
    yield from (case(t, top_k=None) for t in TEXTS)
    yield case(TEXTS[0], {"top_k": 1})
    yield case(TEXTS[2], {"top_k": 2})
    yield case(TEXTS[3], {"function_to_apply": "sigmoid"}, top_k=None)
    yield case(TEXTS[3], {"function_to_apply": "none"}, top_k=None)
    yield case({"text": TEXTS[0], "text_pair": TEXTS[1]}, top_k=None)
    yield case({"text": TEXTS[4], "text_pair": ""}, top_k=None)
    yield case("", top_k=None)
    yield case(LONG, top_k=None, truncation=True)


def zero_shot():
    labels = ["business", "sports", "politics", "science"]
    for text in TEXTS:
        yield case(text, {"candidate_labels": labels})
    yield case(TEXTS[0], {"candidate_labels": labels, "multi_label": True})
    yield case(TEXTS[3], {"candidate_labels": ["urgent", "phone"], "multi_label": True})
    yield case(TEXTS[3], {"candidate_labels": ["urgent"]})
    yield case(TEXTS[7], {"candidate_labels": ["music", "weather", "a very big ship"],
                          "hypothesis_template": "the text is about {}"})
    yield case(LONG, {"candidate_labels": labels, "hypothesis_template": "This is about {} only."})


NER_TEXTS = [
    "Anna Peter and Maria live in London .",
    "George from Oslo works at the University of Madrid, Europe.",
    "caf\u00e9 \u5317\u4eac \U0001f600 Sarah na\u00efve Berlinish",
    "unknownword Johnson's Londonland",
    "Rome",
    "John said: \"the King of Africa came by Train to Paris-Madrid\"",
    "a b c d e f g",
    "Peter   went\tto\n Rome",
]


def ner():
    for text in NER_TEXTS:
        yield case(text, {"aggregation_strategy": "simple"})
    for strategy in ("none", "first", "average", "max"):
        for text in NER_TEXTS[1:4] + NER_TEXTS[5:6]:
            yield case(text, {"aggregation_strategy": strategy})
    yield case(NER_TEXTS[1], {"aggregation_strategy": "none", "ignore_labels": []})
    yield case(NER_TEXTS[1], {"aggregation_strategy": "simple", "ignore_labels": ["PER", "O"]})
    text = " ".join(NER_TEXTS[:2] + NER_TEXTS[5:] + NER_TEXTS[:2] + NER_TEXTS[5:])
    yield case(text, {"aggregation_strategy": "simple"})
    for strategy in ("simple", "first", "average", "max"):
        yield case(text, {"aggregation_strategy": strategy, "stride": 16})


def fills(mask, targets):
    for text in ("The capital of France is {}.", "{} is the first word", "the man bought a {} book and a red apple",
                 "caf\u00e9 {} \u5317\u4eac!", "{}", "Anna lives in {}, and works in the city", "a   {}   b"):
        yield case(text.format(mask))
    yield case(f"the {mask} of the {mask} was {mask}")
    yield case(f"{mask} {mask}", {"top_k": 2})
    yield case(f"the weather is {mask} now", {"top_k": 1})
    yield case(f"the weather is {mask} today", {"targets": targets})
    yield case(f"the weather is {mask} today", {"targets": targets, "top_k": 2})


def questions():
    context = ("Anna was born in Oslo in 1987. She founded a small company in the harbor of London, and sold it for 45 "
               "ships to the King of Africa. Today she lives in Berlin with Peter and their two children.")
    short = "Peter's brother is in Rome\u2014or in caf\u00e9 \u5317\u4eac \U0001f600 with Maria."
    asked = ["Where was Anna born?", "who bought the company", "What is the name of the city?"]
    for q in asked:
        for c in (short, context):
            yield case({"question": q, "context": c})
    yield case({"question": asked[0], "context": "sun and snow"})
    yield case({"question": asked[0], "context": context}, {"top_k": 3})
    yield case({"question": asked[1], "context": short}, {"top_k": 4, "align_to_words": False})
    yield case({"question": asked[1], "context": context}, {"align_to_words": False})
    yield case({"question": asked[1], "context": context}, {"max_answer_len": 2})
    yield case({"question": asked[2], "context": context}, {"doc_stride": 5, "max_seq_len": 30})
    yield case({"question": asked[2], "context": context}, {"doc_stride": 8, "max_seq_len": 40, "top_k": 2})
    yield case({"question": asked[0], "context": short}, {"handle_impossible_answer": True})
    yield case({"question": asked[0], "context": context}, {"handle_impossible_answer": True, "top_k": 3})
    yield case({"question": asked[0], "context": context}, {"max_question_len": 32})


TABLE = {"Repository": ["Sun", "Rain", "Wind"], "Stars": ["36", "45", "9"], "Contributors": ["6", "77", "34"],
         "Language": ["red", "blue", "red, green and white"]}
FILMS = {"actors": ["george the king", "peter"], "age": ["56", "45"], "date of birth": ["1 7 1987", "10 2 1990"]}


def tables():
    for query in ("how many stars does rain have", "what is the total number of contributors", "which language",
                  "sum of stars", "green"):
        yield case({"query": query, "table": TABLE})
    for query in ("how old is peter", "when was george born", "average age"):
        yield case({"query": query, "table": FILMS})
    yield case({"query": "average age", "table": FILMS}, {"sequential": True})
    yield case({"query": "which language", "table": TABLE}, {"truncation": True, "padding": "max_length"})


def similarities():
    yield case({"source_sentence": TEXTS[0], "sentences": TEXTS[1:]})
    yield case({"source_sentence": TEXTS[3], "sentences": [TEXTS[3]]})
    yield case({"source_sentence": "", "sentences": [TEXTS[4], LONG]})


def features():
    yield from (case(t) for t in [*TEXTS, ""])


# FOLDER: task, class, family, seed, cases, the rest for text_models.make(). Seeds are such that the best answers stand
# out.
QA = ("question-answering", "AutoModelForQuestionAnswering")
NER_LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]
MODELS = {
    "text_classification": ("text-classification", "AutoModelForSequenceClassification", "bert", 4, classification, {
        "head": ["classifier"], "gain": 8, "labels": ["POSITIVE", "NEUTRAL", "NEGATIVE"]}),
    "text_classification_one": ("text-classification", "AutoModelForSequenceClassification", "roberta", 2,
                                classification, {"head": ["classifier"], "gain": 2, "labels": ["TOXIC"]}),
    "zero_shot": ("zero-shot-classification", "AutoModelForSequenceClassification", "roberta", 7, zero_shot, {
        "head": ["classifier"], "gain": 20, "labels": ["contradiction", "neutral", "entailment"]}),
    "token_classification": ("token-classification", "AutoModelForTokenClassification", "bert", 12, ner, {
        "head": ["classifier"], "gain": 60, "cased": True, "labels": NER_LABELS}),
    "token_classification_bytes": ("token-classification", "AutoModelForTokenClassification", "roberta", 17, ner, {
        "head": ["classifier"], "gain": 60, "labels": NER_LABELS}),
    "fill_mask": ("fill-mask", "AutoModelForMaskedLM", "bert", 14,
                  lambda: fills("[MASK]", ["sun", "city", "bigger", "zzz", "Summer", "summer"]),
                  {"head": ["cls.predictions.transform.LayerNorm.weight"], "gain": 4}),
    "fill_mask_bytes": ("fill-mask", "AutoModelForMaskedLM", "roberta", 3,
                        lambda: fills("<mask>", [" one", " where", "zzz", " whenever", "\u0120where"]),
                        {"head": ["lm_head.layer_norm.weight"], "gain": 4}),
    "question_answering": (*QA, "bert", 24, questions, {"head": ["qa_outputs"], "gain": 40, "cased": True}),
    "question_answering_bytes": (*QA, "roberta", 18, questions, {"head": ["qa_outputs"], "gain": 40}),
    "table_question_answering": ("table-question-answering", "AutoModelForTableQuestionAnswering", "tapas", 14,
                                 tables, {
        "head": ["output_weights", "column_output", "aggregation_classifier"], "gain": 5, "num_aggregation_labels": 4,
        "aggregation_labels": {0: "NONE", 1: "SUM", 2: "AVERAGE", 3: "COUNT"}, "no_aggregation_label_index": 0,
        "average_logits_per_cell": False, "select_one_column": True}),
    "feature_extraction": ("feature-extraction", "AutoModel", "bert", 11, features, {}),
    "sentence_embedding": ("feature-extraction", "AutoModel", "bert", 12, features,
                           {"library": "sentence-transformers"}),
    "sentence_similarity": ("sentence-similarity", "AutoModel", "bert", 13, similarities,
                            {"library": "sentence-transformers"}),
}


def write_modules(folder):
    from text_models import write

    kinds = ["Transformer", "Pooling", "Normalize"]
    write(folder / "modules.json", [
        {"idx": i, "name": str(i), "path": f"{i}_{k}" if i else "", "type": f"sentence_transformers.models.{k}"}
        for i, k in enumerate(kinds)])
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True})
    write(folder / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    write(folder / "config_sentence_transformers.json", {
        "prompts": {"query": "question: ", "passage": "text about "}, "default_prompt_name": None})


def make_models():
    import text_models

    for name, (task, auto, family, seed, _, more) in MODELS.items():
        shutil.rmtree(HERE / name, ignore_errors=True)
        text_models.make(HERE / name, task, auto, family, seed, **more)
        if "library" in more:
            write_modules(HERE / name)
        total = sum(f.stat().st_size for f in (HERE / name).rglob("*") if f.is_file())
        assert total < 200 << 10, f"{name} has {total} bytes"


def best_two(answer):
    """The two best scores of each list of alternatives in an answer."""
    if isinstance(answer, dict):
        return [answer["scores"][:2]] if len(answer.get("scores", [])) > 1 else []
    if answer and isinstance(answer[0], list):
        return [s for a in answer for s in best_two(a)]
    return [[a["score"] for a in answer[:2]]] if len(answer) > 1 else []


def check(name, c):
    """Alternatives that exclude each other are the ones where the best must stand out."""
    alone = name.startswith(("text_class", "zero", "fill"))
    if alone and c["parameters"].get("function_to_apply") is None and not c["parameters"].get("multi_label"):
        weak = [s for s in best_two(c["answer"]) if s[0] < STANDS_OUT * s[1]]
        if weak:
            print(f"{name}: {weak} for {c['inputs']!r:.100} {c['parameters']}")
        return len(weak)
    if name.startswith("question") and isinstance(c["answer"], dict) and c["answer"]["score"] < LIKELY:
        print(f"{name}: {c['answer']} for {c['inputs']!r:.100} {c['parameters']}")
        return 1
    if name.startswith("token") and c["parameters"].get("aggregation_strategy") == "none":
        weak = [(e["word"], e["score"]) for e in c["answer"] if e["score"] < STANDS_OUT / (STANDS_OUT + 1)]
        if weak:
            print(f"{name}: {weak} for {c['inputs']!r:.100} {c['parameters']}")
        return len(weak)
    return 0


def ask(task, pipe, c):
    call = c.pop("call")
    if task == "table-question-answering":
        return pipe(**c["inputs"], **call)
    return pipe(**c["inputs"], **call) if task == "question-answering" else pipe(c["inputs"], **call)


def embed(folder, cases):
    import sentence_transformers

    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    for c in cases:
        del c["call"]
        if isinstance(c["inputs"], str):
            c["answer"] = model.encode(c["inputs"]).tolist()
        else:
            one, others = (model.encode(c["inputs"][k], batch_size=1) for k in ("source_sentence", "sentences"))
            c["answer"] = model.similarity(one, others)[0].tolist()
    return {"sentence_transformers": sentence_transformers.__version__}


def plain(value):
    """numpy's numbers as Python's, tuples as lists."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def answers(name):
    task, _, _, _, cases, more = MODELS[name]
    cases = list(cases())
    versions = {m.__name__: m.__version__ for m in (transformers, torch, np)}
    if "library" in more:
        versions |= embed(HERE / name, cases)
    else:
        pipe = transformers.pipeline(task, model=str(HERE / name), device="cpu")
        for c in cases:
            c["answer"] = plain(ask(task, pipe, c))
    weak = sum(check(name, c) for c in cases)
    head = json.dumps({"task": task, "versions": versions}, indent=1)[:-2]
    lines = ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in cases)
    (HERE / f"{name}.json").write_text(f'{head},\n "cases": [\n{lines}\n ]\n}}\n')
    return weak


def main():
    removed = "--removed" in sys.argv
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    if not removed:
        make_models()
    only = [a for a in sys.argv[1:] if a in MODELS]
    weak = sum(answers(n) for n, m in MODELS.items()
               if (m[0] == "question-answering") == removed and (not only or n in only))
    if weak:
        sys.exit(f"{weak} best answers do not stand out: other seeds, or larger gains")


if __name__ == "__main__":
    main()
