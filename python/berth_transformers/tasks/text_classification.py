"""text-classification and zero-shot-classification: labels of a text, as the pipelines of transformers give them."""
import string

import numpy as np

from .. import params
from ..jobs import Answer, Refused
from . import Request
from .text import DIRECTION, TextTask, arrays, from_left, top_k

LABELS_MAX = 1000  # candidate labels of one text: each is a sequence of its own
FUNCTIONS = ("sigmoid", "softmax", "none")


def softmax(values):
    """Over the last axis, in float32."""
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def apply(function, logits):
    if function == "sigmoid":
        with np.errstate(over="ignore"):
            return 1.0 / (1.0 + np.exp(-logits))
    return softmax(logits) if function == "softmax" else logits


def default_function(config):
    if config.problem_type == "regression":
        return "none"
    return "sigmoid" if config.problem_type == "multi_label_classification" or config.num_labels == 1 else "softmax"


class SequenceTask(TextTask):
    auto = "AutoModelForSequenceClassification"

    def __init__(self, model):
        super().__init__(model)
        # A head on the last token of a decoder finds it by the padding token: without one it takes no batch.
        self.alone = getattr(model.config, "pad_token_id", None) is None

    def logits(self, sequences):
        """A float32 array [labels] for each sequence."""
        return self.forward(sequences, lambda group, output, mask: arrays(output.logits))


class TextClassification(SequenceTask):
    names = ("text-classification",)

    def extra(self):
        labels = self.model.config.id2label
        return {"labels": [labels[i] for i in sorted(labels)]}

    def read(self, item):
        known = params.read(item.job, {"top_k": "uint", "function_to_apply": FUNCTIONS, "truncate": "bool",
                                       **DIRECTION})
        top_k(known, None)
        pair = item.text("pair") if any(p.role == "pair" for p in item.parts) else None
        if len(item.parts) != (1 if pair is None else 2):
            raise Refused("invalid_request", "text-classification takes one text, or one text and its pair")
        sequence = self.encode(item.text(), pair, truncate=known.get("truncate", True), left=from_left(known))
        return Request(item, cost=sequence.n, inputs=sequence, options=known, tokens=sequence.n,
                       truncated=sequence.truncated)

    def run(self, requests):
        found = self.logits([r.inputs for r in requests])
        return [Answer(self._labels(r.options, logits), tokens=r.tokens, truncated=r.truncated)
                for r, logits in zip(requests, found, strict=True)]

    def _labels(self, known, logits):
        config = self.model.config
        scores = apply(known.get("function_to_apply") or default_function(config), logits)
        best = sorted(range(len(scores)), key=lambda i: -scores[i])[:known.get("top_k")]
        return [{"label": config.id2label[i], "score": float(scores[i])} for i in best]


class ZeroShotClassification(SequenceTask):
    """Each label makes a hypothesis; how much the text entails it is the label's score."""
    names = ("zero-shot-classification",)

    def __init__(self, model):
        super().__init__(model)
        found = self._entailment(model.config)
        self.entailment = -1 if found is None else found
        self.contradiction = -1 if self.entailment == 0 else 0

    @staticmethod
    def _entailment(config):
        """The id of the label of entailment; None: no label is called so."""
        return next((i for name, i in config.label2id.items() if name.lower().startswith("entail")), None)

    @classmethod
    def suits(cls, model):
        return cls._entailment(model.config) is not None

    def extra(self):
        if self.entailment >= 0:
            return {}
        return {"notes": ["none of the model's labels begins with 'entail'; the last one is taken for it"]}

    def read(self, item):
        known = params.read(item.job, {"candidate_labels": "texts", "hypothesis_template": "text",
                                       "multi_label": "bool"})
        labels = self._labels(item.job.params.get("candidate_labels"), known.get("candidate_labels"))
        template = known.get("hypothesis_template", "This example is {}.")
        text = item.text()
        if not text:
            raise Refused("invalid_request", "zero-shot-classification takes a text that is not empty")
        sequences = [self.encode(text, hypothesis(template, label), truncate=True, cut="only_first")
                     for label in labels]
        total = sum(s.n for s in sequences)
        return Request(item, cost=total, inputs=sequences, options={**known, "labels": labels}, tokens=total,
                       truncated=any(s.truncated for s in sequences))

    @staticmethod
    def _labels(said, labels):
        """A single text is a list, with commas between."""
        if isinstance(said, str):
            labels = [name.strip() for name in said.split(",") if name.strip()]
        if not labels:
            raise Refused("invalid_request", "zero-shot-classification needs 'candidate_labels', at least one")
        if len(labels) > LABELS_MAX:
            raise Refused("invalid_request", f"{len(labels)} candidate labels are more than the {LABELS_MAX} that are "
                          "allowed")
        return labels

    def run(self, requests):
        found = iter(self.logits([s for r in requests for s in r.inputs]))
        return [self._answer(r, np.stack([next(found) for _ in r.inputs])) for r in requests]

    def _answer(self, request, logits):
        """logits: [candidates][the model's labels]."""
        names = request.options["labels"]
        if request.options.get("multi_label") or len(names) == 1:
            scores = softmax(logits[:, [self.contradiction, self.entailment]])[:, 1]
        else:
            scores = softmax(logits[:, self.entailment])
        return Answer([{"label": names[i], "score": float(scores[i])} for i in reversed(scores.argsort())],
                      tokens=request.tokens, truncated=request.truncated)


def hypothesis(template, label):
    """The template with the label in the place of {}; of str.format's language only that is taken: a format written
    by a stranger could ask for gigabytes."""
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError:
        pieces = []
    fields = [p for p in pieces if p[1] is not None]
    if len(fields) != 1 or fields[0][1] not in ("", "0") or fields[0][2] or fields[0][3]:
        raise Refused("invalid_request", "'hypothesis_template' should have {} once, where the label goes")
    return "".join(literal + (label if name is not None else "") for literal, name, _, _ in pieces)
