"""What libraries raise, as berth's codes and sentences. Any thread."""
import contextlib
import re
import traceback

from .jobs import Refused

SENTENCE_MAX = 400  # of a sentence taken from a library
_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory",
           "unable to allocate")
_WORD = re.compile(r"\w{4,}")
_PATH = re.compile(r"(?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*")


def is_memory(error):
    """Whether memory ran out: Python's own, torch's allocator on any device, or the system's."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(m in str(error).lower() for m in _MEMORY)


@contextlib.contextmanager
def no_panic():
    """A library in Rust that gives up (tokenizers, over an expression that takes too long) raises what is no Exception,
    and would end the process: a refusal instead."""
    try:
        yield
    except BaseException as e:
        if type(e).__name__ != "PanicException":
            raise
        raise Refused("invalid_request", "the model's tokenizer gave up on this input; send another, or a shorter "
                      "one") from None


def plain(error):
    """The first line of what a library says, on one line, bounded, without a path of this machine."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = _PATH.sub("the model's folder", lines[0]) if lines else type(error).__name__
    text = "".join(c if c.isprintable() else " " for c in text)
    return text[:SENTENCE_MAX].rstrip(" .:")


def trace(error, item):
    """For the log: what failed and where. Its message too, unless it has a word of the input: that is nobody's but the
    caller's."""
    lines, texts = [], list(_texts([p.data for p in item.parts] + [item.job.params]))
    while error is not None:
        lines += traceback.format_tb(error.__traceback__)
        message = plain(error)
        quoted = any(word in text for word in _WORD.findall(message) for text in texts)
        lines.append(f"{type(error).__name__}: {'(it quotes the input)' if quoted else message}\n")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "".join(lines)


def _texts(values):
    left = list(values)
    while left:
        value = left.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            left += [*value.keys(), *value.values()]
        elif isinstance(value, list) and not (value and isinstance(value[0], int)):
            left += value


def of_load(error):
    """Why a model cannot be loaded, from whatever loading it raised."""
    if isinstance(error, Refused):
        return error
    if is_memory(error):
        return Refused("insufficient_memory", "the model does not fit into the memory that it may use; "
                       "unload another, or raise the limit")
    if "trust_remote_code" in str(error):
        return Refused("unsupported_architecture", "the model needs code of its own (auto_map), which is never run")
    if isinstance(error, ImportError):
        return Refused("unsupported_option", f"the model needs a package that is not installed: {plain(error)}")
    return Refused("damaged_file", f"the model cannot be loaded: {plain(error)}")


def of_job(error):
    """Why an item failed, from whatever its task raised; the log has the rest."""
    if isinstance(error, Refused):
        return error
    if is_memory(error):
        return Refused("insufficient_memory", "there is not enough memory for this input; send less of it at once")
    return Refused("internal", "the model failed on this input; the log has the details")
