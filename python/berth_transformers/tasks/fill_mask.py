"""fill-mask: what stands behind each mask of a text, as the pipeline of transformers gives it. Behaves like
src/pipeline/fill_mask.c."""
import numpy as np
import torch

from .. import params
from ..jobs import Answer, Refused
from . import Request
from .text import DIRECTION, TextTask, from_left, top_k

TOP_K = 5
TARGETS_MAX = 1000
FILLS_MAX = 4096  # of an item: more would not fit into an answer


class FillMask(TextTask):
    names = ("fill-mask",)
    auto = "AutoModelForMaskedLM"

    def __init__(self, model):
        super().__init__(model)
        if model.tokenizer.mask_token_id is None:
            raise Refused("unsupported_task", "the model's tokenizer has no mask, so the model cannot do fill-mask")
        self.width = model.config.get_text_config().vocab_size

    @classmethod
    def suits(cls, model):
        return model.tokenizer.mask_token_id is not None

    def extra(self):
        return {"mask_token": self.model.tokenizer.mask_token}

    def read(self, item):
        known = params.read(item.job, {"top_k": "uint", "targets": "texts", "truncate": "bool", **DIRECTION})
        tokenizer, k = self.model.tokenizer, min(top_k(known, TOP_K), self.width)
        targets = self._targets(known["targets"]) if "targets" in known else None
        if len(item.parts) != 1:
            raise Refused("invalid_request", f"an item of fill-mask is one text, not {len(item.parts)}")
        sequence = self.encode(item.text(), truncate=known.get("truncate", False), left=from_left(known))
        masks = [i for i, t in enumerate(sequence.fields["input_ids"]) if t == tokenizer.mask_token_id]
        if not masks:
            cut = " after its truncation" if sequence.truncated else ""
            raise Refused("invalid_request", f"there is no mask in the text{cut}; put {tokenizer.mask_token} where a "
                          "word is to be found")
        each = min(len(targets), k) if targets else k
        if each * len(masks) > FILLS_MAX:
            raise Refused("too_large", f"{each} words for each of {len(masks)} masks are more than the {FILLS_MAX} "
                          "that an answer holds; ask for a smaller top_k")
        return Request(item, cost=sequence.n, inputs=(sequence, masks), options=(targets, each), tokens=sequence.n,
                       truncated=sequence.truncated)

    def _targets(self, words):
        """Ids, each once: of the vocabulary's token, or else of the first token of the word."""
        if len(words) > TARGETS_MAX:
            raise Refused("invalid_request", f"{len(words)} targets are more than the {TARGETS_MAX} that are allowed")
        tokenizer = self.model.tokenizer
        vocabulary, ids = tokenizer.get_vocab(), []
        for word in words:
            found = vocabulary.get(word)
            if found is None:
                found = next(iter(tokenizer(word, add_special_tokens=False)["input_ids"]), None)
            if found is not None and found < self.width:
                ids.append(found)
        if not ids:
            raise Refused("invalid_request", "none of the targets is a word that the model knows")
        return list(dict.fromkeys(ids))

    def run(self, requests):
        masks = {id(r.inputs[0]): r.inputs[1] for r in requests}
        found = self.forward([r.inputs[0] for r in requests], lambda group, output, mask: [
            output.logits[i, masks[id(s)]].float().cpu() for i, s in enumerate(group)], self.width)
        return [Answer(self._fills(r, logits), tokens=r.tokens, truncated=r.truncated)
                for r, logits in zip(requests, found, strict=True)]

    def _fills(self, request, logits):
        """logits: a tensor [masks][vocabulary]."""
        (sequence, masks), (targets, k) = request.inputs, request.options
        scores = logits.softmax(-1)
        if targets:
            scores = scores[:, targets]
        values, places = scores.topk(min(k, scores.shape[-1]))
        ids = torch.tensor(targets)[places] if targets else places
        text = np.array(sequence.fields["input_ids"])
        return [[self._fill(text, mask, token, score, len(masks) == 1)
                 for token, score in zip(tokens, row, strict=True)]
                for mask, tokens, row in zip(masks, ids.tolist(), values.tolist(), strict=True)]

    def _fill(self, text, mask, token, score, single):
        """text: the ids, [tokens]. With several masks the others stay to be seen, and the special tokens with them."""
        tokenizer = self.model.tokenizer
        filled = text.copy()
        filled[mask] = token
        filled = filled[filled != tokenizer.pad_token_id]
        return {"score": score, "token": token, "token_str": tokenizer.decode([token]),
                "sequence": tokenizer.decode(filled, skip_special_tokens=single)}
