"""summarization, translation and text2text-generation: encoder-decoder models, as the pipelines of transformers 4.57.6
ran them (transformers 5 has none).

Those search with four beams, for 256 new tokens where generation_config.json has no max_length, whatever else it says
of the two; then they apply what config.json's task_specific_params say for the task, a prefix among them. One thing is not
theirs: a request's max_length holds, where they let their own 256 tokens win.
"""
import copy

import torch
from transformers import GenerationConfig

from .. import generate_parameters
from ..jobs import Answer, Refused
from ..params import read
from . import Request, Task

NEW_TOKENS = 256
BEAMS = 4
TRUNCATION = ("do_not_truncate", "longest_first", "only_first")

PARAMETERS = {**generate_parameters.PARAMETERS, "encoder_repetition_penalty": (1e-3, 100.0),
              "encoder_no_repeat_ngram_size": (0, 1000), "forced_bos_token_id": (0, 2**31), "seed": (0, 2**63 - 1)}


class TextToText(Task):
    """said: the name of the result."""
    auto = "AutoModelForSeq2SeqLM"
    said = "generated_text"
    languages = False  # whether it has src_lang and tgt_lang

    def __init__(self, model):
        super().__init__(model)
        self.way = self._way(_specific(model.config).get(self.names[0]) or {})

    def _way(self, specific):
        """(prefix, GenerationConfig) as the pipeline has them. specific: of task_specific_params."""
        specific = dict(specific)
        prefix = specific.pop("prefix", getattr(self.model.config, "prefix", None) or "")
        config = GenerationConfig(max_new_tokens=NEW_TOKENS, num_beams=BEAMS)
        said, usual = self.model.model.generation_config.to_dict(), GenerationConfig._get_default_generation_params()
        config.update(**{name: value for name, value in said.items() if value is not None and
                         value != usual.get(name) and name not in ("max_new_tokens", "num_beams")})
        if config.max_length is not None:
            config.max_new_tokens = None
        config.update(**specific)
        if config.pad_token_id is None:
            config.pad_token_id = self.model.tokenizer.pad_token_id
        return prefix, config

    def read(self, item):
        table = {"clean_up_tokenization_spaces": "bool", "truncation": TRUNCATION, "generate_parameters": "map"}
        if self.languages:
            table |= {"src_lang": "text", "tgt_lang": "text"}
        params = read(item.job, table)
        more = generate_parameters.checked(params.pop("generate_parameters", {}), PARAMETERS)
        words = self.model.config.get_text_config(decoder=True).vocab_size
        if more.get("forced_bos_token_id", 0) >= words:
            raise Refused("invalid_request", f"'forced_bos_token_id' is beyond the model's vocabulary of {words}")
        cut = params.get("truncation", TRUNCATION[0])
        way, inputs = self._inputs(item.text(), cut, params)
        ids = inputs["input_ids"]
        if "forced_bos_token_id" in inputs:  # the language of the answer
            more["forced_bos_token_id"] = inputs["forced_bos_token_id"]
        limit = self.model.max_tokens
        if limit and len(ids) > limit and self._positions_end():
            raise Refused("input_too_long", f"the text has {len(ids)} tokens and the model takes {limit}; shorten it, "
                          "or set 'truncation' to 'longest_first'")
        clean = params.get("clean_up_tokenization_spaces", False)
        key = (id(way), clean, tuple(sorted(more.items())))
        if _with(way[1], more).do_sample:  # the numbers that are drawn depend on the rows of a batch
            key = id(item)
        return Request(item, cost=len(ids), key=key, inputs=ids,
                       options=(way, clean, more), tokens=len(ids),
                       truncated=cut != TRUNCATION[0] and len(ids) >= self.model.tokenizer.model_max_length)

    def _positions_end(self):
        """Whether the model has a position for so many tokens only; one with relative positions takes more."""
        return bool(getattr(self.model.config, "max_position_embeddings", None))

    def _inputs(self, text, cut, params):
        """The way that it is answered, and what the tokenizer makes of it."""
        return self.way, dict(self.model.tokenizer(self.way[0] + text, truncation=cut))

    def run(self, requests):
        tokenizer, device = self.model.tokenizer, self.model.device
        way, clean, more = requests[0].options
        longest = max(len(r.inputs) for r in requests)
        pad = tokenizer.pad_token_id or 0
        ids = torch.full((len(requests), longest), pad, device=device)
        mask = torch.zeros_like(ids)
        for row, request in enumerate(requests):  # an encoder's padding goes to the right, whatever the tokenizer says
            ids[row, :len(request.inputs)] = torch.tensor(request.inputs, device=device)
            mask[row, :len(request.inputs)] = 1
        config = _with(way[1], more)
        if self._positions_end():
            config.update(**generate_parameters.fitting(vars(config), self.model.config.max_position_embeddings))
        out = self._generate(ids, mask, config, more.get("seed"))
        answers = []
        for request, row in zip(requests, out.tolist()):
            text = tokenizer.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=clean)
            answers.append(Answer(result={self.said: text}, tokens=request.tokens,
                                  generated=_generated(row, config), truncated=request.truncated))
        return answers

    def _generate(self, ids, mask, config, seed):
        if not config.do_sample:
            return self.model.model.generate(ids, attention_mask=mask, generation_config=config)
        with torch.random.fork_rng(devices=[self.model.device] if self.model.device.type == "cuda" else []):
            torch.manual_seed(seed) if seed is not None else torch.seed()
            return self.model.model.generate(ids, attention_mask=mask, generation_config=config)


def _specific(config):
    return getattr(config, "task_specific_params", None) or {}


def _with(config, more):
    config = copy.deepcopy(config)
    if "max_length" in more and "max_new_tokens" not in more:
        config.max_new_tokens = None  # generate() would prefer it
    config.update(**{name: value for name, value in more.items() if name != "seed"})
    return config


def _generated(row, config):
    """Tokens of the answer, without the one that the decoder starts with and the padding at the end."""
    ends = config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    for n, token in enumerate(row[1:], 1):
        if token in ends:
            return n
    return len(row) - 1


class Text2Text(TextToText):
    names = ("text2text-generation",)


class Summarization(TextToText):
    names = ("summarization",)
    said = "summary_text"


class Translation(TextToText):
    """src_lang and tgt_lang: of a multilingual tokenizer; of a model without one (T5) they choose the prefix."""
    names = ("translation",)
    said = "translation_text"
    languages = True

    def __init__(self, model):
        super().__init__(model)
        self._pairs = {}  # (from, to) to a way: what task_specific_params say of "translation_en_to_fr"
        for name, specific in _specific(model.config).items():
            words = name.split("_")
            if len(words) == 4 and words[0] == "translation":
                self._pairs[words[1], words[3]] = self._way(specific)

    def _inputs(self, text, cut, params):
        pair = params.get("src_lang"), params.get("tgt_lang")
        tokenizer = self.model.tokenizer
        if hasattr(tokenizer, "_build_translation_inputs"):
            return self.way, self._multilingual(text, cut, *pair)
        if not self._pairs or pair == (None, None):  # a model of one pair has no choice
            return super()._inputs(text, cut, params)
        if pair not in self._pairs:
            raise Refused("invalid_request", "the model translates "
                          f"{', '.join(f'{a} to {b}' for a, b in self._pairs)}; set 'src_lang' and 'tgt_lang' to one "
                          "of these pairs")
        way = self._pairs[pair]
        return way, dict(tokenizer(way[0] + text, truncation=cut))

    def _multilingual(self, text, cut, source, target):
        tokenizer = self.model.tokenizer
        if source is None or target is None:
            raise Refused("invalid_request", "this model translates between many languages: set 'src_lang' and "
                          "'tgt_lang' to their codes")
        for name, code in (("src_lang", source), ("tgt_lang", target)):
            if not self._knows(code):
                raise Refused("invalid_request", f"'{name}': the model has no language '{code[:40]}'")
        inputs = tokenizer._build_translation_inputs(text, return_tensors=None, truncation=cut, src_lang=source,
                                                     tgt_lang=target)
        return dict(inputs)

    def _knows(self, code):
        tokenizer = self.model.tokenizer
        codes = getattr(tokenizer, "lang_code_to_token", None) or getattr(tokenizer, "lang_code_to_id", None)
        if codes:
            return code in codes
        return code in tokenizer.all_special_tokens and code in tokenizer.get_added_vocab()
