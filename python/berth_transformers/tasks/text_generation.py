"""text-generation and chat: what is wanted, as generation.py goes about it."""
import json

from .. import sampling
from ..chat_template import ChatTemplate
from ..jobs import Refused
from ..params import read
from ..stream import Wanted
from . import Request, Task

STOPS_MAX = 16
SEEDS = 2**63  # as many as the generators of random numbers take
LOGPROBS_MAX = 20
ROLES = ("system", "developer", "user", "assistant", "tool")
JSON = "application/json"

_PARAMS = {
    "max_new_tokens": "uint", "min_new_tokens": "uint", "do_sample": "bool", "temperature": "float", "top_k": "uint",
    "top_p": "float", "min_p": "float", "typical_p": "float", "repetition_penalty": "float",
    "frequency_penalty": "float", "presence_penalty": "float", "seed": "int", "stop": "texts", "ignore_eos": "bool",
    "return_full_text": "bool", "truncate": "uint", "details": "bool", "logprobs": "uint", "prefill": "bool",
}


class Generation(Task):
    """What both have in common."""
    auto = "AutoModelForCausalLM"
    generates = True

    def _request(self, item, params, ids, prompt_text):
        _check(params)
        truncated = False
        if params.get("truncate") and len(ids) > params["truncate"]:
            ids, truncated = ids[-params["truncate"]:], True
        if not ids:
            raise Refused("invalid_request", "the prompt has no tokens: there is nothing to go on from")
        limit = self._limit(params, len(ids))
        seed = (params["seed"] + item.index) % SEEDS if "seed" in params else None
        wanted = Wanted(params, sampling.settings(self.model.model, params), limit, prompt_text, seed)
        return Request(item, cost=len(ids), inputs=ids, options=wanted, tokens=len(ids), truncated=truncated)

    def _limit(self, params, prompt):
        """Tokens to generate; never beyond the context."""
        limit, context = sampling.new_tokens(self.model.model, params, prompt), self.model.max_tokens
        if not limit and not params.get("echo"):
            raise Refused("invalid_request", "'max_new_tokens' should be 1 or more")
        if context and prompt + bool(limit) > context:
            raise Refused("input_too_long", f"the prompt has {prompt} tokens and the model's context {context}: "
                          "there is no room for an answer; shorten it, or set 'truncate'")
        return min(limit, context - prompt) if context else limit


def _check(params):
    sampling.check_ranges(params)
    if len(params.get("stop", ())) > STOPS_MAX:
        raise Refused("invalid_request", f"'stop' should have at most {STOPS_MAX} texts")
    if params.get("logprobs", 0) > LOGPROBS_MAX:
        raise Refused("invalid_request", f"'logprobs' should be at most {LOGPROBS_MAX}")


class TextGeneration(Generation):
    names = ("text-generation",)

    def read(self, item):
        params = read(item.job, {**_PARAMS, "echo": "bool"})
        tokens = [p for p in item.parts if p.kind == "tokens"]
        if tokens:
            if len(item.parts) != 1:
                raise Refused("invalid_request", "text-generation takes one text, or one list of tokens")
            ids = [int(i) for i in tokens[0].data]
            self._check_ids(ids)
            return self._request(item, params, ids, self.model.tokenizer.decode(ids, skip_special_tokens=True))
        text = item.text()
        return self._request(item, params, self.model.tokenizer(text)["input_ids"], text)

    def _check_ids(self, ids):
        vocabulary = self.model.config.get_text_config(decoder=True).vocab_size
        wrong = next((i for i in ids if not 0 <= i < vocabulary), None)
        if wrong is not None:
            raise Refused("invalid_request", f"the model has no token {wrong}: its vocabulary has {vocabulary}")


class Chat(Generation):
    names = ("chat",)

    def __init__(self, model):
        super().__init__(model)
        self._template = ChatTemplate(model.tokenizer)

    @classmethod
    def suits(cls, model):
        return bool(getattr(model.tokenizer, "chat_template", None))

    def extra(self):
        return {"chat": self.suits(self.model)}

    def read(self, item):
        params = read(item.job, {**_PARAMS, "tools": "list", "template": "map", "continue": "bool"})
        if not self.suits(self.model):
            raise Refused("unsupported_task", "the model has no chat template; use text-generation with a prompt")
        tools = params.pop("tools", None) or None
        if tools and not all(isinstance(tool, dict) for tool in tools):
            raise Refused("invalid_request", "'tools' should be a list of objects")
        text = self._template.render(messages(item), tools, params.pop("template", {}), params.pop("continue", False))
        ids = self.model.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._request(item, params, ids, text)


def messages(item):
    """The conversation of an item's parts, as templates take it (src/ipc/task.h)."""
    made = []
    for part in item.parts:
        if part.kind != "text":
            raise Refused("invalid_request", "this model's chat takes text only")
        if part.role:
            made.append(_message(part))
        elif not made or "parts" not in made[-1]:
            raise Refused("invalid_request", "the first part of a conversation should have a role")
        else:
            made[-1]["parts"].append(part.data)
    if not made:
        raise Refused("invalid_request", "a conversation should have at least one message")
    return [{"role": m["role"], "content": "\n".join(m["parts"])} if "parts" in m else m for m in made]


def _message(part):
    if part.media == JSON:
        return _whole_message(part.data)
    if part.role not in ROLES:
        raise Refused("invalid_request", f"a message's role should be one of {', '.join(ROLES)}")
    return {"role": part.role, "parts": [part.data]}


def _whole_message(text):
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise Refused("invalid_request", "a message is not JSON") from e
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise Refused("invalid_request", f"a message should be an object, its role one of {', '.join(ROLES)}")
    message = {name: value for name, value in message.items() if value is not None}
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [_call(call) for call in calls]
    return message


def _call(call):
    """A tool call whose arguments are an object, as templates want them, also where a client sent them as text."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        return call
    try:
        return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
    except (ValueError, RecursionError):
        return call
