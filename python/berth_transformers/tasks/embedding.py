"""feature-extraction and sentence-similarity: vectors of texts, as sentence-transformers' encode() gives them where the
model has modules.json, and as the feature-extraction pipeline does elsewhere. Behaves like src/pipeline/
feature_extraction.c and sentence_similarity.c."""
import numpy as np
import torch

from .. import params
from ..jobs import Answer, Part, Refused
from . import Request
from .sentence_modules import Modules, normalized
from .text import DIRECTION, Sequence, TextTask, arrays, from_left, too_long

PAIRS_MAX = 64  # TASK_PAIRS_MAX of src/ipc/task.h
ENCODER_ALONE = ("t5", "mt5", "umt5", "longt5")  # whose decoder needs an input of its own


class EmbeddingTask(TextTask):
    """What the two tasks share: texts with their prompt to sequences, sequences to vectors."""
    auto = "AutoModel"
    spare = ("pooler",)

    def __init__(self, model):
        super().__init__(model)
        hidden = getattr(model.config.get_text_config(), "hidden_size", 0)
        self.modules = Modules(model.folder, hidden, model.device)
        self.dim = self.modules.dim if self.modules.present else 0
        if self.modules.lower_case:
            self._lower_case()
        self.prompt_tokens = {name: self._count(text) for name, text in self.modules.prompts.items()}

    def runs(self):
        model = self.model.model
        return model.get_encoder() if self.model.config.model_type in ENCODER_ALONE else model

    def extra(self):
        m = self.modules
        said = {"pooling": "+".join(m.modes), "normalize": m.normalizes, "dimensions": False,
                "prompts": list(m.prompts)}
        if m.default_prompt is not None:
            said["default_prompt"] = m.default_prompt
        return said if m.present else {}

    def _lower_case(self):
        """do_lower_case: a tokenizer that keeps upper case gets a normalizer before its own."""
        from tokenizers import normalizers
        tokenizer = self.model.tokenizer
        upper, lower = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in ("BERTH", "berth"))
        if upper == lower:
            return
        if not tokenizer.is_fast:
            raise Refused("unsupported_option", "do_lower_case with a tokenizer that keeps upper case and is written "
                          "in Python is not supported")
        own = tokenizer.backend_tokenizer.normalizer
        tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Lowercase()] + ([own] if own is not None else []))

    def _count(self, prompt):
        """How many tokens a prompt takes up before the text: without the special one that closes it."""
        if not prompt:
            return 0
        ids = self.encode(prompt, truncate=True).fields["input_ids"]
        return len(ids) - (ids[-1] in self.model.tokenizer.all_special_ids)

    # ---- parameters ----

    text_params = {"truncate": "bool", "prompt_name": "text", **DIRECTION}

    def prompt(self, known):
        """The name of the prompt to use; None: none."""
        name = known.get("prompt_name", self.modules.default_prompt)
        if name is not None and name not in self.modules.prompts:
            there = ", ".join(f'"{p}"' for p in self.modules.prompts)
            raise Refused("invalid_request", f'the model has no prompt named "{name[:100]}"' +
                          (f"; it has {there}" if there else ""))
        return name

    def text(self, text, known, truncate):
        """(sequence, tokens of the prompt before it)."""
        prompt = self.prompt(known)
        sequence = self.encode(self.modules.prompts.get(prompt, "") + text, truncate=known.get("truncate", truncate),
                               left=from_left(known))
        if sequence.n == 0:
            raise Refused("invalid_request", "the input holds no token")
        return sequence, self.prompt_tokens.get(prompt, 0) if self.modules.skip_prompt else 0

    # ---- vectors ----

    def vectors(self, sequences, skips):
        """A float32 vector [dim] for each sequence; skips: tokens of the prompt in each."""
        skip = dict(zip(map(id, sequences), skips, strict=True))
        return self.forward(sequences, lambda group, output, mask: list(self.modules.vectors(
            output[0], mask, [skip[id(s)] for s in group]).cpu().numpy()))


class FeatureExtraction(EmbeddingTask):
    names = ("feature-extraction",)

    def read(self, item):
        known = params.read(item.job, {**self.text_params, "normalize": "bool", "pooled": "bool", "dimensions": "uint"})
        if known.get("dimensions", self.modules.dim) != self.modules.dim:
            raise Refused("unsupported_option", f"dimensions is {known['dimensions']}, but this model makes vectors of "
                          f"{self.modules.dim} and of no other length; leave dimensions out")
        if len(item.parts) != 1:
            raise Refused("invalid_request", f"an item of feature-extraction has one input, not {len(item.parts)}")
        if item.parts[0].kind == "tokens":
            sequence, skip = self._tokens(item.parts[0].data, known), 0
        else:
            sequence, skip = self.text(item.text(), known, truncate=False)
        pooled = known.get("pooled", self.modules.present)
        return Request(item, cost=sequence.n, key=pooled, inputs=(sequence, skip), options=known, tokens=sequence.n,
                       truncated=sequence.truncated)

    def _tokens(self, ids, known):
        """As they are: whoever sends ids has put in the special tokens too."""
        if not ids:
            raise Refused("invalid_request", "the list of token ids is empty")
        rows = self.model.model.get_input_embeddings().weight.shape[0]
        if max(ids) >= rows:
            raise Refused("invalid_request", f"the token id {max(ids)} is beyond the model's vocabulary of {rows}")
        n, limit = len(ids), self.limit or len(ids)
        if n > limit and not known.get("truncate"):
            raise too_long(n, limit)
        if n > limit:
            ids = ids[n - limit:] if from_left(known) else ids[:limit]
        fields = {"input_ids": list(ids)}
        for name in set(self.model.tokenizer.model_input_names) - {"input_ids"}:
            fields[name] = [int(name == "attention_mask")] * len(ids)
        return Sequence(fields, truncated=n > limit)

    def run(self, requests):
        sequences, skips = zip(*(r.inputs for r in requests), strict=True)
        if requests[0].key:
            found = self.vectors(sequences, skips)
        else:
            found = self.forward(sequences, lambda group, output, mask: arrays(output[0], mask))
        return [self._answer(r, v) for r, v in zip(requests, found, strict=True)]

    def _answer(self, request, vector):
        if request.options.get("normalize") and not (request.key and self.modules.normalizes):
            vector = normalized(torch.from_numpy(vector)).numpy()
        return Answer(parts=[Part("tensor", np.ascontiguousarray(vector, dtype=np.float32))], tokens=request.tokens,
                      truncated=request.truncated)


class SentenceSimilarity(EmbeddingTask):
    names = ("sentence-similarity",)

    def read(self, item):
        known = params.read(item.job, self.text_params)
        parts = item.parts
        if len(parts) < 2 or [i for i, p in enumerate(parts) if p.role == "source"] != [0] or any(
                p.kind != "text" for p in parts):
            raise Refused("invalid_request", "sentence-similarity needs one source sentence and at least one sentence "
                          "to compare it with")
        if len(parts) > PAIRS_MAX:
            raise Refused("invalid_request", f"sentence-similarity takes {PAIRS_MAX} texts at most, not {len(parts)}")
        inputs = [self.text(p.data, known, truncate=True) for p in parts]
        total = sum(s.n for s, _ in inputs)
        return Request(item, cost=total, inputs=inputs, tokens=total, truncated=any(s.truncated for s, _ in inputs))

    def run(self, requests):
        sequences, skips = zip(*(pair for r in requests for pair in r.inputs), strict=True)
        found = iter(self.vectors(sequences, skips))
        return [self._answer(r, [next(found) for _ in r.inputs]) for r in requests]

    def _answer(self, request, vectors):
        source, *others = normalized(torch.from_numpy(np.stack(vectors)))
        cosines = torch.stack(others) @ source
        return Answer(parts=[Part("tensor", cosines.numpy())], tokens=request.tokens, truncated=request.truncated)
