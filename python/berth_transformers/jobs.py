"""What the tasks see of frames: jobs, their items, the parts of an item, and how to refuse one.

The contract between serve.py (which makes them of JOB frames) and tasks/ (which answer them).
"""
from dataclasses import dataclass, field


class Refused(Exception):
    """One item, or a load, cannot be done. code is a name of src/base/err.h; the sentence is for the user:
    what happened and what to do. Nothing else that a task raises reaches a user as it is."""

    def __init__(self, code, sentence):
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


@dataclass(slots=True)
class Part:
    """One part of an item or of a result (src/ipc/job.h). data: str of a text, bytes or a memoryview of bytes,
    a list of ints of tokens, a numpy array (float32, int64) of a tensor."""
    kind: str  # "text", "tokens", "bytes", "tensor"
    data: object
    role: str = ""
    media: str = ""


@dataclass(slots=True)
class Job:
    """A JOB frame, checked. params: the task's, as they came (params.py reads them)."""
    id: int
    task: str
    params: dict
    items: list  # of Item
    deadline_ns: int = 0  # CLOCK_MONOTONIC; 0 = none
    priority: int = 5
    caller: str = ""
    credit: int | None = None  # bytes of chunks that may still be sent; None: the client wants none
    cancelled: bool = False


@dataclass(slots=True)
class Item:
    """One item of a job. A task answers it through the Answer that it returns, or by raising Refused."""
    job: Job
    index: int
    parts: list  # of Part
    arrived_ns: int = 0

    def text(self, role=""):
        """The one text part with that role; Refused where there is none, or more."""
        found = [p for p in self.parts if p.kind == "text" and p.role == role]
        if len(found) != 1:
            named = f"one text with the role '{role}'" if role else "one text"
            raise Refused("invalid_request", f"{self.job.task} takes {named}")
        return found[0].data

    def bytes(self):
        """(data, media type) of the one part of bytes."""
        found = [p for p in self.parts if p.kind == "bytes"]
        if len(found) != 1:
            raise Refused("invalid_request", f"{self.job.task} takes one image or one piece of sound")
        return found[0].data, found[0].media


@dataclass(slots=True)
class Answer:
    """The result of one item: a tree for DONE's "result" (dicts with text keys, lists, str, bool, int, float, None),
    or parts; never both."""
    result: object = None
    parts: list = field(default_factory=list)
    tokens: int = 0  # of the input, special tokens included
    generated: int = 0  # of the output
    truncated: bool = False
