"""One item of a generation on its way: what is wanted of it, what it has said, what it may still say."""
import time
from collections import deque
from dataclasses import dataclass

from . import frames, sampling
from .jobs import Answer, Part
from .text_stream import Decoder, Stops


@dataclass(slots=True)
class Wanted:
    """What a generation task makes of an item's parameters (Request.options). Request.inputs: the prompt's ids."""
    params: dict  # checked
    config: object  # sampling.settings()
    limit: int  # tokens that may be generated, 1 or more; 0: only the prompt is wanted
    prompt_text: str = ""  # what echo and return_full_text put before the answer
    seed: int | None = None

    @property
    def top(self):
        return self.params.get("logprobs", 0)

    @property
    def details(self):
        return bool(self.params.get("details")) or "logprobs" in self.params

    @property
    def echo(self):
        return bool(self.params.get("echo"))

    @property
    def prompt_details(self):
        """Whether the prompt's own log-probabilities are wanted."""
        return bool(self.params.get("prefill")) or (self.echo and self.details)


class Stream:
    """Owned by generation.Generator. out: compute.Compute. Where it is: prompt (a lanes.Prompt, until it has joined a
    lane), lane, or kept (its keys and values, while it is stalled)."""

    def __init__(self, request, model, out):
        self.request, self.item, self.wanted = request, request.item, request.options
        self.ids = request.inputs
        self._tokenizer, self._out = model.tokenizer, out
        self._special = frozenset(model.tokenizer.all_special_ids)
        self.sampler = sampling.Sampler(model.model, self.ids, self.wanted.params, self.wanted.config,
                                        self.wanted.limit, self.wanted.seed) if self.wanted.limit else None
        self._decoder, self._stops = Decoder(model.tokenizer), Stops(self.wanted.params.get("stop", ()))
        self._streams = self.item.job.credit is not None
        self._text, self._records, self._prefill = [], [], []
        self._untold = deque()  # (text, tokens, prefill): chunks that the credit did not last for
        self.generated, self.token, self.finish = 0, None, None
        self.began_ns = 0
        self.prompt = self.lane = self.kept = None
        self._before = None  # logits of the prompt's last token read

    @property
    def length(self):
        """Tokens in its cache when the last one has been chosen but not read."""
        return len(self.ids) + self.generated - 1

    @property
    def most(self):
        """Tokens that its cache may come to hold."""
        return len(self.ids) + self.wanted.limit

    @property
    def ready(self):
        """Whether it may go a step."""
        if self.finish or self._untold:
            return False
        return not self._streams or self.item.job.credit >= frames.CHUNK_MAX

    @property
    def told(self):
        """Whether nothing waits for credit."""
        return not self._untold

    def begin(self):
        self.began_ns = time.monotonic_ns()
        if self.wanted.echo:
            self._say(self.wanted.prompt_text, [])

    # ---- the prompt's own tokens ----

    def read(self, start, logits):
        """logits [tokens, vocabulary], f32, of the prompt from start on: what they say of the tokens after each."""
        wanted, records, decoder = self.wanted, [], Decoder(self._tokenizer)
        for at in range(start, start + logits.shape[0]):
            before = self._before if at == start else logits[at - start - 1]
            token = self.ids[at]
            logp, best = (None, []) if before is None else sampling.log_probability(before, token, wanted.top)
            records.append(self._record(token, decoder.add(token), logp, best))
        records[-1]["text"] += decoder.finish()
        self._before = logits[-1]
        prefill = []
        if wanted.params.get("prefill"):
            prefill = [{name: r[name] for name in ("id", "text", "logprob")} for r in records]
        self._say("", records if wanted.echo and wanted.details else [], prefill)

    # ---- what it generates ----

    def accept(self, logits):
        """logits [vocabulary], f32, of the last token: chooses the next, and says what can be said of it."""
        token = self.token = self.sampler.next(logits)
        self.generated += 1
        added = self._decoder.add(token)
        if token in self.sampler.ends:
            self.finish = "stop"
        elif self.generated >= self.wanted.limit:
            self.finish = "length"
        if self.finish:
            added += self._decoder.finish()
        text = self._stops.add(added)
        if self._stops.hit:
            self.finish = "stop_sequence"
        elif self.finish:
            text += self._stops.finish()
        records = []
        if self.wanted.details:
            records.append(self._record(token, added, *sampling.log_probability(logits, token, self.wanted.top)))
        self._say(text, records)

    def _record(self, token, text, logp, best):
        special = token in self._special
        record = {"id": token, "text": self._name(token) if special else text, "logprob": logp, "special": special}
        if self.wanted.top:
            record["top"] = [{"id": i, "text": self._name(i), "logprob": p} for i, p in best]
        return record

    def _name(self, token):
        """A token's text by itself; a special one's is its name."""
        return self._tokenizer.decode([token], skip_special_tokens=False)

    # ---- telling ----

    def _say(self, text, records, prefill=()):
        if text:
            self._text.append(text)
        if not self._streams:
            self._records += records
            self._prefill += prefill
        elif text or records or prefill:
            self._untold.append((text, records, list(prefill)))
            self.tell()

    def tell(self):
        """Sends what the credit lasts for. True when nothing is left."""
        while self._untold:
            text, records, prefill = self._untold[0]
            result = {name: some for name, some in (("tokens", records), ("prefill", prefill)) if some} or None
            try:
                if not self._out.chunk(self.item, [Part("text", text)], result):
                    return False
                self._untold.popleft()
            except frames.TooLarge:
                self._halve()
        return True

    def _halve(self):
        """The first of what is untold, as two."""
        text, records, prefill = self._untold.popleft()
        if max(len(text), len(records), len(prefill)) < 2:
            raise RuntimeError("a token that no chunk can hold")
        middles = [len(some) // 2 for some in (text, records, prefill)]
        self._untold.appendleft(tuple(s[m:] for s, m in zip((text, records, prefill), middles)))
        self._untold.appendleft(tuple(s[:m] for s, m in zip((text, records, prefill), middles)))

    def done(self):
        """Answers the item: it has finished and everything is told."""
        wanted = self.wanted
        text = "".join(self._text)
        if wanted.params.get("return_full_text") and not wanted.echo:
            text = wanted.prompt_text + text
        result = {"text": text, "finish": self.finish}
        if self.sampler and self.sampler.seed is not None:
            result["seed"] = self.sampler.seed
        if not self._streams and wanted.details:
            result["tokens"] = self._records
        if not self._streams and wanted.params.get("prefill"):
            result["prefill"] = self._prefill
        answer = Answer(result=result, tokens=len(self.ids), generated=self.generated, truncated=self.request.truncated)
        self._out.done(self.item, answer, self.began_ns)
