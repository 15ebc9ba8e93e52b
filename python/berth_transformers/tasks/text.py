"""What the tasks on text share: text to ids within the model's limit, and forwards of many sequences at once."""
import inspect
from dataclasses import dataclass

import numpy as np
import torch

from ..jobs import Refused
from . import Task

BATCH_TOKENS = 4096  # of one forward, padding counted; a longer sequence goes alone
LOGITS_BYTES = 256 << 20  # of one forward's output, for a head that is as wide as the vocabulary
WINDOWS_MAX = 4096  # of one text
PADDING_ERROR = {torch.float32: 1e-4, torch.float64: 1e-6}  # of what padding may change, relative to the largest value;
PADDING_ERROR_HALF = 5e-2  # more than that is an architecture that looks at padding (convolutions, Fourier, pooling)


@dataclass(slots=True)
class Sequence:
    """What the model takes of one text, or of a pair."""
    fields: dict  # name of an input to a list of ints, or [tokens][n] (TAPAS)
    encoding: object = None  # of the tokenizers library: offsets and words; None with a tokenizer in Python
    truncated: bool = False

    @property
    def n(self):
        return len(self.fields["input_ids"])


def top_k(known, default):
    """top_k of the parameters, which starts at 1."""
    k = known.get("top_k", default)
    if k is not None and k < 1:
        raise Refused("invalid_request", f"'top_k' is {k}; it starts at 1")
    return k


DIRECTION = {"truncation_direction": ("right", "left", "Right", "Left")}


def from_left(known):
    """Whether the parameters ask for the beginning of a text to be cut off."""
    return known.get("truncation_direction", "right").lower() == "left"


class TextTask(Task):
    """A task whose model takes token ids and answers each sequence with one tensor."""
    alone = False  # each sequence in a forward of its own

    def __init__(self, model):
        super().__init__(model)
        self.module = self.runs()
        self.takes = set(inspect.signature(self.module.forward).parameters)
        self.constant = {"use_cache": False} if "use_cache" in self.takes else {}
        self.pads = None  # whether sequences of different lengths may share a forward; None: not yet tried

    def runs(self):
        """The module that is called."""
        return self.model.model

    # ---- text to ids ----

    @property
    def limit(self):
        """Tokens of one sequence, special ones included; None: as many as there are."""
        return self.model.max_tokens or None

    def encode(self, text, pair=None, truncate=False, left=False, cut="longest_first", limit=None):
        """One Sequence. Longer than the limit: cut, or Refused."""
        limit = min(limit or self.limit or 0, self.limit or limit or 0) or None
        sequence = self._tokenize(text, pair)
        if limit is None or sequence.n <= limit:
            return sequence
        if not truncate or self._fixed(text, pair, cut) >= limit:
            raise too_long(sequence.n, limit)
        side, self.model.tokenizer.truncation_side = self.model.tokenizer.truncation_side, "left" if left else "right"
        try:
            cut_short = self._tokenize(text, pair, truncation=cut, max_length=limit)
        finally:
            self.model.tokenizer.truncation_side = side
        cut_short.truncated = True
        return cut_short

    def windows(self, text, pair, length, stride, cut="longest_first"):
        """The text, or the one of the pair that cut names, in windows of length tokens that share stride of them."""
        whole = self._tokenize(text, pair)
        if whole.n <= length:
            return [whole]
        fixed = self._fixed(text, pair, cut)
        room = length - fixed
        if room < 1:
            raise too_long(fixed + 1, length)
        if stride >= room:
            raise Refused("invalid_request", f"windows that share {stride} tokens do not get on: {room} of a window's "
                          f"{length} tokens are left for the text")
        if (whole.n - fixed) // (room - stride) > WINDOWS_MAX:
            raise Refused("too_large", f"the text makes more than {WINDOWS_MAX} windows; shorten it, or let them share "
                          "fewer tokens")
        tokenizer = self.model.tokenizer
        encoded = tokenizer(text, pair, truncation=cut, max_length=length, stride=stride,
                            return_overflowing_tokens=True, verbose=False)
        return [Sequence({name: encoded[name][i] for name in tokenizer.model_input_names if name in encoded}, encoding)
                for i, encoding in enumerate(encoded.encodings)]

    def _fixed(self, text, pair, cut):
        """Tokens that stay when a text is cut: the special ones, and the one of the pair that cut does not name."""
        kept = {"only_first": pair, "only_second": text}.get(cut)
        special = self.model.tokenizer.num_special_tokens_to_add(pair is not None)
        return special + (self._tokenize(kept, None, add_special_tokens=False).n if kept is not None else 0)

    def _tokenize(self, text, pair, **how):
        encoded = self.model.tokenizer(text, pair, verbose=False, **how)
        return Sequence(dict(encoded), encoded.encodings[0] if encoded.encodings else None)

    # ---- forwards ----

    def forward(self, sequences, take, width=0):
        """take(group, output, mask) of every sequence, in their order: a list of arrays. take answers a batch, the
        sequences of group: output is the model's, mask a bool tensor [batch][tokens] that is true for what is no
        padding. width: of the head, where it is so wide that it sets the size of a batch."""
        results = [None] * len(sequences)
        order = sorted(range(len(sequences)), key=lambda i: sequences[i].n)
        if self.pads is None and len(order) > 1 and sequences[order[0]].n < sequences[order[-1]].n:
            self.pads = self._padding_is_harmless(sequences[order[0]], sequences[order[-1]].n)
        most = BATCH_TOKENS if not width else max(1, min(BATCH_TOKENS, LOGITS_BYTES // (4 * width)))
        for group in self._groups(order, sequences, most):
            batch = [sequences[i] for i in group]
            for i, result in zip(group, take(batch, *self._run(batch)), strict=True):
                results[i] = result
        return results

    def _groups(self, order, sequences, most):
        """order, shortest first, cut where a batch is full or, where padding would change something, at each length."""
        group = []
        for i in order:
            n = sequences[i].n
            full = (len(group) + 1) * n > most or self.alone
            if group and (full or (not self.pads and sequences[group[0]].n != n)):
                yield group
                group = []
            group.append(i)
        if group:
            yield group

    def _run(self, sequences, length=0):
        """(output, mask) of one forward. length: the least to pad to."""
        length = max(length, *(s.n for s in sequences))
        fields = {name: self._padded(name, [s.fields[name] for s in sequences], length)
                  for name in sequences[0].fields if name in self.takes or "input_ids" not in self.takes}
        mask = np.arange(length)[None] < np.array([s.n for s in sequences])[:, None]
        with torch.inference_mode():
            output = self.module(**fields, **self.constant)
        return output, torch.from_numpy(mask).to(self.model.device)

    def _padded(self, name, rows, length):
        """[batch][length] (or with more behind), padded on the right, which no token before it can see."""
        filler = self._padding() or 0 if name == "input_ids" else 0
        first = np.asarray(rows[0])
        padded = np.full((len(rows), length, *first.shape[1:]), filler, dtype=np.int64)
        for to, row in zip(padded, rows, strict=True):
            to[:len(row)] = row
        return torch.from_numpy(padded).to(self.model.device)

    def _padding(self):
        """The id of padding, as the model knows it (positions and last tokens are found by it); None: it has none."""
        own = getattr(self.model.config, "pad_token_id", None)
        return self.model.tokenizer.pad_token_id if own is None or own < 0 else own

    def _padding_is_harmless(self, sequence, length):
        """Tried rather than believed: the same sequence alone and padded."""
        if self._padding() is None or "attention_mask" not in self.takes & sequence.fields.keys():
            return False
        alone, padded = (_first(self._run([sequence], n)[0]) for n in (sequence.n, length))
        if alone.ndim > 2 or (alone.ndim == 2 and alone.shape[1] == sequence.n):
            padded = padded[:, :sequence.n]
        if alone.shape != padded.shape:
            return False
        error = PADDING_ERROR.get(self.model.dtype, PADDING_ERROR_HALF)
        return bool((alone - padded).abs().max() <= error * alone.abs().max().clamp(min=1e-3))


def _first(output):
    """The first tensor of a model's output, as floats."""
    return output[0].float()


def too_long(n, limit):
    return Refused("input_too_long", f"the input is {n} tokens long, the model takes at most {limit}; shorten it, or "
                   "ask for truncation")


def arrays(tensor, mask=None):
    """A batch's tensor as float32 arrays, one for each sequence; mask: [batch][tokens], to cut the padding off."""
    values = tensor.float().cpu().numpy()
    if mask is None:
        return list(values)
    return [v[:n] for v, n in zip(values, mask.sum(1).tolist(), strict=True)]
