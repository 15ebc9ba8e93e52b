"""token-classification: entities in a text, as the pipeline of transformers finds them."""
import numpy as np

from .. import params
from ..jobs import Answer, Refused
from . import Request
from .text import TextTask, arrays
from .text_classification import softmax

STRATEGIES = ("none", "simple", "first", "average", "max")


class TokenClassification(TextTask):
    names = ("token-classification",)
    auto = "AutoModelForTokenClassification"

    def extra(self):
        labels = self.model.config.id2label
        return {"labels": [labels[i] for i in sorted(labels)]}

    def read(self, item):
        known = params.read(item.job, {"aggregation_strategy": STRATEGIES, "ignore_labels": "texts",
                                       "stride": "uint"})
        strategy = known.get("aggregation_strategy", "simple")
        text, stride = item.text(), known.get("stride")
        if strategy not in ("none", "simple") and not self.model.tokenizer.is_fast:
            raise Refused("unsupported_option", f"aggregation_strategy '{strategy}' needs the words of the text, which "
                          "this model's tokenizer does not tell; use 'simple' or 'none'")
        sequences = [self.encode(text, truncate=True)] if stride is None else self._windows(text, stride, strategy)
        total = sum(s.n for s in sequences)
        options = (text, strategy, frozenset(known.get("ignore_labels", ["O"])))
        return Request(item, cost=total, inputs=sequences, options=options, tokens=total,
                       truncated=stride is None and sequences[0].truncated)

    def _windows(self, text, stride, strategy):
        """The whole text in windows that share stride tokens."""
        tokenizer = self.model.tokenizer
        if strategy == "none":
            raise Refused("invalid_request", "'stride' goes with an aggregation_strategy other than 'none'")
        if not tokenizer.is_fast:
            raise Refused("unsupported_option", "'stride' needs a tokenizer that this model does not have")
        if self.limit is None:
            return [self.encode(text)]
        return self.windows(text, None, self.limit, stride)

    def run(self, requests):
        found = iter(self.forward([s for r in requests for s in r.inputs],
                                  lambda group, output, mask: arrays(output.logits, mask)))
        return [Answer(self._entities(r, [next(found) for _ in r.inputs]), tokens=r.tokens, truncated=r.truncated)
                for r in requests]

    def _entities(self, request, logits):
        """logits: [tokens][labels] of each window."""
        text, strategy, ignored = request.options
        entities = []
        for sequence, rows in zip(request.inputs, logits, strict=True):
            tokens = self._tokens(text, sequence, softmax(rows), strategy)
            if strategy in ("none", "simple"):
                found = [self._labelled(t, t["scores"]) | {"index": t["index"]} for t in tokens]
            else:
                found = [self._word(word, strategy) for word in _words(tokens)]
            if strategy != "none":
                found = [self._group(group) for group in _groups(found)]
            entities += [e for e in found if e.get("entity") not in ignored and e.get("entity_group") not in ignored]
        return _without_overlap(entities) if len(logits) > 1 else entities

    def _tokens(self, text, sequence, scores, strategy):
        """The tokens that are not special, with what is needed to make words of them."""
        tokenizer, encoding = self.model.tokenizer, sequence.encoding
        ids = sequence.fields["input_ids"]
        special = encoding.special_tokens_mask if encoding else tokenizer.get_special_tokens_mask(
            ids, already_has_special_tokens=True)
        tokens = []
        for i, token in enumerate(ids):
            if special[i]:
                continue
            word, start, end, inside = tokenizer.convert_ids_to_tokens(int(token)), None, None, False
            if encoding:
                start, end = encoding.offsets[i]
                inside = self._is_inside(text, word, start, end)
                if token == tokenizer.unk_token_id:
                    word, inside = text[start:end], False
            tokens.append({"word": word, "scores": scores[i], "start": start, "end": end, "index": i,
                           "inside": inside})
        return tokens

    def _is_inside(self, text, word, start, end):
        """Whether a token goes on with a word: a vocabulary that marks those writes them longer than the text is; else
        there is no space before it."""
        if getattr(self.model.tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None):
            return len(word) != end - start
        return start > 0 and " " not in text[start - 1:start + 1]

    def _labelled(self, token, scores):
        best = int(scores.argmax())
        return {"entity": self.model.config.id2label[best], "score": float(scores[best]), "word": token["word"],
                "start": token["start"], "end": token["end"]}

    def _word(self, tokens, strategy):
        """Tokens of one word agree on one label."""
        if strategy == "first":
            scores = tokens[0]["scores"]
        elif strategy == "max":
            scores = max((t["scores"] for t in tokens), key=lambda s: s.max())
        else:
            scores = np.mean([t["scores"] for t in tokens], axis=0)
        word = self.model.tokenizer.convert_tokens_to_string([t["word"] for t in tokens])
        return self._labelled({"word": word, "start": tokens[0]["start"], "end": tokens[-1]["end"]}, scores)

    def _group(self, entities):
        return {"entity_group": entities[0]["entity"].split("-", 1)[-1],
                "score": float(np.mean([e["score"] for e in entities])),
                "word": self.model.tokenizer.convert_tokens_to_string([e["word"] for e in entities]),
                "start": entities[0]["start"], "end": entities[-1]["end"]}


def _words(tokens):
    """Lists of the tokens of each word."""
    words = []
    for token in tokens:
        if words and token["inside"]:
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _tag(entity):
    """("B", name) of what begins an entity, ("I", name) of what may go on with one."""
    if entity.startswith(("B-", "I-")):
        return entity[0], entity[2:]
    return "I", entity


def _groups(entities):
    """Lists of neighbours with the same name; one that begins an entity opens a new list."""
    groups = []
    for entity in entities:
        begins, name = _tag(entity["entity"])
        if groups and begins != "B" and _tag(groups[-1][-1]["entity"])[1] == name:
            groups[-1].append(entity)
        else:
            groups.append([entity])
    return groups


def _without_overlap(entities):
    """Of entities that begin within one another, as windows that overlap find them, the longest; of equals, the more
    likely one. Like the pipeline it compares the first one with itself, so that an empty one comes twice."""
    entities = sorted(entities, key=lambda e: e["start"])
    kept = entities[:1]
    for entity in entities:
        last = kept[-1]
        if not last["start"] <= entity["start"] < last["end"]:
            kept.append(entity)
            continue
        length, other = entity["end"] - entity["start"], last["end"] - last["start"]
        if length > other or (length == other and entity["score"] > last["score"]):
            kept[-1] = entity
    return kept
