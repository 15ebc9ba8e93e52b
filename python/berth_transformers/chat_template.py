"""Chat templates: the model's own text, rendered in Transformers' sandbox, and bounded in time and output.

A template is a program that a stranger wrote. Transformers' environment keeps it from attributes that it should not
reach; here it also ends: every line of it that runs is counted against a clock, what would make one operation of it
very large is refused, and so is a long output. What one call inside Python's own code may still take is bounded by the
process's memory limit, and, when it hangs, by the daemon, which ends a server whose progress has stopped.
"""
import functools
import re
import sys
import time

from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers.utils import chat_template_utils

from .jobs import Refused

SECONDS_MAX = 2.0  # that a rendering may take
OUTPUT_MAX = 4 << 20  # characters of a rendering
SIZE_MAX = 16 << 20  # characters or elements that one operation may make
NUMBER_MAX = 10**6  # the largest number that an argument or a format may hold
BITS_MAX = 4096  # of a product or a power
CHECK_EVERY = 64  # lines between looks at the clock
CONTINUE = "\x02continued\x02 "  # marks where the last message ends, when it is to be continued
RESERVED = ("messages", "tools", "documents", "add_generation_prompt", "chat_template", "continue_final_message")
_WIDTH = re.compile(r"[%{:.][^%}]*?\d{7,}")  # in a format
_INNER = re.compile(r"\{[^}]*\{")


class TooMuch(Exception):
    """The template makes too much, or takes too long."""


class _Generator(CodeGenerator):
    """Has whatever a template puts together looked at: what holds itself twice, forty times over, would keep one call
    of Python's busy for years."""

    def visit_Concat(self, node, frame):
        self.write("environment.joined((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node, frame):
        self._looked_at(super().visit_List, node, frame)

    def visit_Dict(self, node, frame):
        self._looked_at(super().visit_Dict, node, frame)

    def visit_Tuple(self, node, frame):
        if node.ctx == "load":
            self._looked_at(super().visit_Tuple, node, frame)
        else:  # names that are assigned to
            super().visit_Tuple(node, frame)

    def _looked_at(self, visit, node, frame):
        self.write("environment.bounded(")
        visit(node, frame)
        self.write(")")


class _Bounded(ImmutableSandboxedEnvironment):
    """Refuses single operations that would run for long, or fill the memory, inside one call of Python's."""
    code_generator_class = _Generator
    intercepted_binops = frozenset(("*", "**", "%", "+"))

    def __init__(self, **options):
        super().__init__(finalize=self.output, **options)
        self.written = 0  # characters that this rendering has put out, in blocks that are kept as texts too

    @staticmethod
    def bounded(value):
        """The value, unless it is very large."""
        if isinstance(value, (str, list, tuple, dict)):
            _check_weight(value)
        return value

    @staticmethod
    def joined(parts):
        """a ~ b ~ c"""
        _check_weight(parts)
        return "".join(map(str, parts))

    def output(self, value):
        self.written += len(value) if isinstance(value, str) else 0
        if self.written > SIZE_MAX:
            raise TooMuch
        return value

    def call_binop(self, context, operator, left, right):
        if operator == "*":
            _check_product(left, right)
        elif operator == "**" and _bits(left) * abs(right if isinstance(right, int) else 1) > BITS_MAX:
            raise TooMuch
        elif operator == "%":
            _check_format(left, right if isinstance(right, tuple) else (right,))
        elif operator == "+" and _size(left) + _size(right) > SIZE_MAX:
            raise TooMuch
        return self.bounded(super().call_binop(context, operator, left, right))

    def call(self, context, function, /, *args, **kwargs):
        _check_call(function, args, kwargs)
        return self.bounded(super().call(context, function, *args, **kwargs))


def _check_weight(value):
    """Counts characters and elements, those of what it holds included, as often as it holds them."""
    weight, left = 0, [value]
    while left:
        some = left.pop()
        weight += 1
        if isinstance(some, str):
            weight += len(some)
        elif isinstance(some, dict):
            left += some.keys()
            left += some.values()
        elif isinstance(some, (list, tuple)):
            left += some
        if weight + len(left) > SIZE_MAX:
            raise TooMuch


def _size(value):
    return len(value) if isinstance(value, (str, list, tuple, dict)) else 0


def _bits(value):
    return value.bit_length() if isinstance(value, int) else 0


def _check_product(left, right):
    for some, times in ((left, right), (right, left)):
        if _size(some) and isinstance(times, int) and _size(some) * times > SIZE_MAX:
            raise TooMuch
    if _bits(left) + _bits(right) > BITS_MAX:
        raise TooMuch


def _check_numbers(values):
    if any(isinstance(value, int) and abs(value) > NUMBER_MAX for value in values):
        raise TooMuch


def _check_format(text, values):
    """A format with a width that is very large, or that takes its width from the values."""
    if isinstance(text, str):
        if _WIDTH.search(text):
            raise TooMuch
        if "*" in text or _INNER.search(text):
            _check_numbers(values)


def _check_replace(text, old, new):
    if isinstance(text, str) and isinstance(old, str) and isinstance(new, str):
        if (text.count(old) if old else len(text) + 1) * len(new) > SIZE_MAX:
            raise TooMuch


def _check_call(function, args, kwargs):
    name = getattr(function, "__name__", "")
    owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)  # the sandbox wraps str.format
    if name in ("format", "format_map"):
        _check_format(owner, (*args, *kwargs.values()))
    elif name == "strftime_now":
        _check_format(args[0] if args else "", ())
    elif name in ("ljust", "rjust", "center", "zfill", "expandtabs"):
        _check_numbers((*args, *kwargs.values()))
    elif name == "replace" and len(args) >= 2:
        _check_replace(owner, *args[:2])
    elif name == "join" and args and isinstance(owner, str) and _size(args[0]) * len(owner) > SIZE_MAX:
        raise TooMuch


_WIDE = ("center", "indent", "wordwrap", "truncate", "batch", "slice", "tojson", "round")  # filters that take a size


def _bounded_filter(name, function):
    """A filter of the environment, whose arguments are looked at first."""
    @functools.wraps(function)  # with what tells jinja2 how to call it
    def checked(*args, **kwargs):
        if name == "replace":
            texts = [a for a in args if isinstance(a, str)]
            if len(texts) >= 3:
                _check_replace(*texts[:3])
        elif name == "format":
            _check_format(args[0], (*args[1:], *kwargs.values()))
        elif name in _WIDE:
            _check_numbers((*args[1:], *kwargs.values()))
        return _Bounded.bounded(function(*args, **kwargs))
    return checked


def _environment():
    """Transformers' own, with its filters and names, in which large operations are refused."""
    base = chat_template_utils._compile_jinja_template("").environment
    made = _Bounded(trim_blocks=base.trim_blocks, lstrip_blocks=base.lstrip_blocks,
                    extensions=[type(e) for e in base.extensions.values()])
    made.filters = {name: _bounded_filter(name, f) for name, f in base.filters.items()}
    made.globals.update(base.globals)
    return made


class ChatTemplate:
    """A model's templates. tokenizer: its own; the template may be one text, or several with names. template: another
    one than the tokenizer's, of a processor; names too."""

    def __init__(self, tokenizer, template=None):
        self._tokenizer, self._own = tokenizer, template
        self._environment = _environment()
        self._compiled = {}

    def _template(self, tools):
        text = self._tokenizer.get_chat_template(self._named(), tools)
        if text not in self._compiled:
            try:
                self._compiled[text] = self._environment.from_string(text)
            except (TemplateSyntaxError, RecursionError) as e:
                raise Refused("unsupported_option", f"the model's chat template cannot be read: {str(e)[:500]}") from e
        return self._compiled[text]

    def _named(self):
        return self._own.get("default") if isinstance(self._own, dict) else self._own

    def render(self, messages, tools, names, go_on):
        """The prompt of a conversation. messages: dicts of plain values; names: more for the template to see; go_on:
        the last message is to be continued. Refused with what the template says, or why it was stopped."""
        for name in names:
            if name in RESERVED or name in self._tokenizer.special_tokens_map or name.startswith("_"):
                raise Refused("invalid_request", f"'template' may not set '{name}'")
        messages = chat_template_utils._alias_reasoning_fields(messages)
        if go_on:
            messages = _marked(messages)
        seen = {**self._tokenizer.special_tokens_map, **names, "messages": messages, "tools": tools, "documents": None,
                "add_generation_prompt": not go_on}
        text = self._rendered(tools, seen)
        return _cut(text) if go_on else text

    def _rendered(self, tools, seen):
        try:
            with _clock():
                pieces, size = [], 0
                self._environment.written = 0
                for piece in self._template(tools).generate(seen):
                    pieces.append(piece)
                    size += len(piece)
                    if size > OUTPUT_MAX:
                        raise TooMuch
                return "".join(pieces)
        except (TooMuch, MemoryError, OverflowError) as e:
            raise Refused("unsupported_option", "the model's chat template makes too much, or takes longer than "
                          f"{SECONDS_MAX:g} s: it is not used") from e
        except SecurityError as e:
            raise Refused("unsupported_option", "the model's chat template asks for what no template may reach "
                          f"({str(e)[:200]}): it is not used") from e
        except TemplateError as e:
            raise Refused("invalid_request", f"the model's chat template refuses this conversation: "
                          f"{(e.message or type(e).__name__)[:500]}") from e
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError) as e:
            raise Refused("invalid_request", f"the model's chat template fails on this conversation: {str(e)[:500]}") \
                from e


class _clock:
    """Raises TooMuch in whatever Python code runs in this thread once SECONDS_MAX have gone."""

    def __enter__(self):
        self._end, self._left, self._before = time.monotonic() + SECONDS_MAX, CHECK_EVERY, sys.gettrace()
        sys.settrace(self._trace)

    def __exit__(self, *exc):
        sys.settrace(self._before)

    def _trace(self, frame, event, arg):
        self._left -= 1
        if self._left <= 0:
            self._left = CHECK_EVERY
            if time.monotonic() > self._end:
                raise TooMuch
        return self._trace


def _marked(messages):
    """With a mark at the end of the last message's text."""
    last = dict(messages[-1])
    content = last.get("content")
    if isinstance(content, str):
        last["content"] = content + CONTINUE
    elif isinstance(content, list) and content and content[-1].get("type") == "text":
        last["content"] = [*content[:-1], {**content[-1], "text": content[-1]["text"] + CONTINUE}]
    else:
        raise Refused("invalid_request", "'continue' needs a last message that ends with text")
    return [*messages[:-1], last]


def _cut(text):
    """Up to the mark. A template that trims messages has taken the mark's space; then what is before it is trimmed."""
    at = text.rfind(CONTINUE.strip())
    if at < 0:
        raise Refused("invalid_request", "the model's chat template leaves out the message to be continued")
    return text[:at] if text.startswith(CONTINUE, at) else text[:at].rstrip()
