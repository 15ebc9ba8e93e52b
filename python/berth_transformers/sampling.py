"""From logits to the next token, as generate() chooses it: its own processors in its own order, and each stream's own
random numbers. The compute thread only."""
import secrets

import torch
from transformers import LogitsProcessor

from .jobs import Refused

NEW_TOKENS = 256  # where neither the request nor generation_config.json says how many
SEED_BITS = 63

# Parameter to its range: (lowest, highest, whether the lowest is one of them).
RANGES = {"temperature": (0, 100, True), "top_p": (0, 1, False), "min_p": (0, 1, True), "typical_p": (0, 1, False),
          "repetition_penalty": (1e-3, 100, True), "frequency_penalty": (-2, 2, True), "presence_penalty": (-2, 2, True)}
COLD = 1e-6  # a temperature below is 0: logits that are divided by less have no end
CHOOSING = ("temperature", "top_k", "top_p", "min_p", "typical_p")  # that mean: sample
PASSED_ON = ("top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "min_new_tokens")


def check_ranges(params):
    for name, (low, high, closed) in RANGES.items():
        value = params.get(name)
        if value is None:
            continue
        if not (low <= value <= high) or (value == low and not closed):  # false of NaN too
            above = "from" if closed else "above"
            raise Refused("invalid_request", f"'{name}' should be {above} {low} to {high}")


def samples(params, defaults):
    """Whether tokens are drawn (True) or the best is taken. defaults: generation_config.json's."""
    if params.get("temperature", 1) < COLD:
        return False
    if "do_sample" in params:
        return params["do_sample"]
    return True if any(name in params for name in CHOOSING) else bool(defaults.do_sample)


def settings(network, params):
    """The GenerationConfig that generate() would use: one stream, no beams, no helper models."""
    over = {name: params[name] for name in PASSED_ON if name in params}
    over["do_sample"] = samples(params, network.generation_config)
    if over["do_sample"] and params.get("temperature"):
        over["temperature"] = params["temperature"]
    config, _ = network._prepare_generation_config(None, **over, num_beams=1, num_return_sequences=1)
    config.guidance_scale = config.watermarking_config = None
    if params.get("ignore_eos"):
        config.eos_token_id = None
    network._prepare_special_tokens(config, device=network.device)
    return config


def new_tokens(network, params, prompt):
    """How many may be generated: what was asked for, what generation_config.json says, or NEW_TOKENS. prompt: its
    tokens."""
    if "max_new_tokens" in params:
        return params["max_new_tokens"]
    said = network.generation_config
    if said.max_new_tokens is not None:
        return said.max_new_tokens
    if said.max_length is not None and said.max_length > prompt:
        return said.max_length - prompt
    return NEW_TOKENS


class Penalties(LogitsProcessor):
    """OpenAI's: frequency, for each time a token was generated; presence, once if it was."""

    def __init__(self, prompt, frequency, presence):
        self.prompt, self.frequency, self.presence = prompt, frequency, presence

    def __call__(self, ids, scores):
        counts = torch.bincount(ids[0, self.prompt:], minlength=scores.shape[-1]).to(scores.dtype)
        return scores - self.frequency * counts - self.presence * (counts > 0)


class Sampler:
    """One stream's. ids: the prompt; params: checked; seed: None draws one. top: how many alternatives are told."""

    def __init__(self, network, ids, params, config, limit, seed=None):
        """limit: tokens that may be generated."""
        device = network.device
        own = []
        if params.get("frequency_penalty") or params.get("presence_penalty"):
            own.append(Penalties(len(ids), params.get("frequency_penalty", 0), params.get("presence_penalty", 0)))
        config.max_length = len(ids) + limit
        prompt = torch.tensor([ids], device=device)
        self._processors = network._get_logits_processor(
            config, input_ids_seq_length=len(ids), encoder_input_ids=prompt, logits_processor=own, device=device,
            model_kwargs={"attention_mask": torch.ones_like(prompt)})
        self._ids = None
        if self._processors:
            self._ids = torch.nn.functional.pad(prompt, (0, limit))
        self._n = len(ids)
        self.seed = None
        if config.do_sample:
            self.seed = secrets.randbits(SEED_BITS) if seed is None else seed
            self._generator = torch.Generator(device=device)
            self._generator.manual_seed(self.seed % (1 << SEED_BITS))
        eos = config._eos_token_tensor
        self.ends = frozenset() if eos is None else frozenset(eos.tolist())

    def next(self, logits):
        """The token after logits [vocabulary], f32."""
        scores = logits[None]
        if self._processors:
            scores = self._processors(self._ids[:, :self._n], scores.clone())
        if self.seed is None:
            token = int(scores.argmax())
        else:
            token = int(torch.multinomial(torch.softmax(scores, -1), 1, generator=self._generator))
        if self._ids is not None:
            self._ids[0, self._n] = token
            self._n += 1
        return token


def log_probability(logits, token, top):
    """(of the token, [(id, log-probability)] of the top best). Of the model's own distribution: logits [vocabulary],
    before temperature, penalties and cuts."""
    logp = torch.log_softmax(logits, -1)
    best = []
    if top:
        values, ids = logp.topk(min(top, logp.shape[-1]))
        best = list(zip(ids.tolist(), values.tolist()))
    return float(logp[token]), best
