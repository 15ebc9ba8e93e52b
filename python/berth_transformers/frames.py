"""Bytes to frames and back: the table of src/ipc/frame.h, and CBOR as strict as frames are.

A frame is a header of 16 bytes (u32 length, u16 type, u16 flags, u64 job, little-endian) and one CBOR map. cbor2 takes
indefinite lengths, tags, keys that appear twice and bytes after the value; so check() walks the heads first, and cbor2
only sees what it let through. Any thread.
"""
import struct

import cbor2

VERSION = 1
HEADER = struct.Struct("<IHHQ")
BODY_MAX = 256 << 10
FDS_MAX = 253  # the kernel's SCM_MAX_FD
ITEMS_MAX = 4096  # of a job
PARTS_MAX = 1024  # of an item: a long conversation
CHUNK_MAX = 4096  # bytes of the body of a CHUNK
INLINE_MAX = 65536  # part bytes inside a frame; above it they all travel in one sealed memfd
TEXT_MAX = 4096  # bytes of names and sentences
DATA_MAX = 1 << 30  # part bytes in a memfd
FILES_MAX = 253
LIST_MAX = 1024
DEPTH_MAX = 32
VALUES_MAX = 65536

_U16, _I32, _I64, _U64 = 2**16 - 1, 2**31 - 1, 2**63 - 1, 2**64 - 1

TYPES = {"HELLO": 1, "LOAD": 2, "STATUS": 3, "READY": 4, "JOB": 5, "CHUNK": 6, "DONE": 7, "ERROR": 8, "CANCEL": 9,
         "CREDIT": 10, "PING": 11, "PONG": 12, "DRAIN": 13, "LOG": 14, "PLAN": 15}
NAMES = {number: name for name, number in TYPES.items()}

# Type to its fields: (name, kind, must be there, maximum: of the value of a UINT, of the length of a TEXT, of the
# count of an ARRAY or a MAP). Unknown fields are skipped.
FIELDS = {
    "HELLO": (("version", "UINT", True, _U16), ("build", "TEXT", True, TEXT_MAX), ("kind", "TEXT", True, 64),
              ("threads", "UINT", False, 4096), ("cores", "UINT", False, 4096), ("memory", "UINT", False, _U64),
              ("isa", "TEXT", False, 64), ("degraded", "BOOL", False, 0), ("pid", "UINT", False, _I32),
              ("tasks", "ARRAY", False, LIST_MAX), ("features", "ARRAY", False, LIST_MAX),
              ("limits", "MAP", False, LIST_MAX)),
    "LOAD": (("model", "TEXT", True, TEXT_MAX), ("revision", "TEXT", True, TEXT_MAX), ("dtype", "TEXT", True, 64),
             ("device", "TEXT", True, 64), ("options", "MAP", False, LIST_MAX), ("files", "ARRAY", True, FILES_MAX),
             ("folder", "TEXT", False, TEXT_MAX), ("root", "TEXT", False, TEXT_MAX), ("memory", "UINT", False, _U64)),
    "STATUS": (("phase", "TEXT", True, 64), ("done", "UINT", False, _I64), ("all", "UINT", False, _I64),
               ("rate", "UINT", False, _I64), ("file", "TEXT", False, TEXT_MAX), ("detail", "TEXT", False, TEXT_MAX),
               ("sandbox", "MAP", False, LIST_MAX)),
    "READY": (("tasks", "ARRAY", True, LIST_MAX), ("task", "TEXT", True, 64), ("dim", "UINT", True, _I32),
              ("max_tokens", "UINT", True, _I32), ("memory", "UINT", True, _I64), ("dtype", "TEXT", True, 64),
              ("isa", "TEXT", True, 64), ("load_ns", "UINT", False, _I64), ("limits", "MAP", False, LIST_MAX),
              ("extra", "MAP", False, LIST_MAX)),
    "JOB": (("task", "TEXT", True, 64), ("deadline_ns", "UINT", False, _U64), ("priority", "UINT", False, 9),
            ("caller", "TEXT", False, 256), ("affinity", "TEXT", False, 256), ("params", "MAP", False, LIST_MAX),
            ("items", "ARRAY", False, ITEMS_MAX), ("data", "UINT", False, DATA_MAX), ("credit", "UINT", False, _I64)),
    "CHUNK": (("item", "UINT", True, ITEMS_MAX), ("parts", "ARRAY", True, PARTS_MAX),
              ("result", "TREE", False, 0)),
    "DONE": (("item", "UINT", False, ITEMS_MAX), ("parts", "ARRAY", False, PARTS_MAX),
             ("usage", "MAP", False, LIST_MAX), ("flags", "ARRAY", False, LIST_MAX),
             ("times", "MAP", False, LIST_MAX), ("result", "TREE", False, 0), ("data", "UINT", False, DATA_MAX)),
    "ERROR": (("code", "TEXT", True, 64), ("text", "TEXT", True, TEXT_MAX), ("item", "UINT", False, ITEMS_MAX)),
    "CANCEL": (),
    "CREDIT": (("jobs", "UINT", False, _I32), ("bytes", "UINT", False, _I64)),
    "PING": (("time_ns", "UINT", True, _U64),),
    "PONG": (("time_ns", "UINT", True, _U64), ("threads", "ARRAY", True, 4096), ("busy", "UINT", False, _I32),
             ("memory", "UINT", False, _I64)),
    "DRAIN": (),
    "LOG": (("level", "TEXT", True, 16), ("text", "TEXT", True, TEXT_MAX)),
    "PLAN": (("architecture", "TEXT", True, TEXT_MAX), ("model_type", "TEXT", True, TEXT_MAX),
             ("task", "TEXT", True, 64), ("tasks", "ARRAY", True, LIST_MAX), ("tensors", "UINT", True, _I32),
             ("parameters", "UINT", True, _I64), ("bytes", "MAP", True, 64), ("context", "UINT", True, _I32),
             ("dim", "UINT", False, _I32), ("vocab", "UINT", False, _I32), ("labels", "UINT", False, _I32),
             ("unsupported", "ARRAY", True, LIST_MAX), ("weights", "UINT", True, _I64),
             ("runtime", "ARRAY", True, 64), ("licence", "TEXT", False, TEXT_MAX), ("extra", "MAP", False, LIST_MAX)),
}

_KINDS = {"UINT": int, "BOOL": bool, "TEXT": str, "BYTES": bytes, "ARRAY": list, "MAP": dict}
# What follows the head of a simple value; the others are undefined, unassigned or a break.
_SIMPLE = {20: 0, 21: 0, 22: 0, 25: 2, 26: 4, 27: 8}
_TEXT, _BYTES, _ARRAY, _TAG, _SIMPLES = 3, 2, 4, 6, 7  # CBOR's major types


class BadFrame(Exception):
    """A frame that is refused; the text says why. Nothing after it can be read."""


class TooLarge(Exception):
    """What was to be written does not fit into a frame."""


def check(data):
    """Refuses bytes that are not exactly one CBOR value as frames may hold it. UTF-8 of values is left to cbor2."""
    at, end, values = 0, len(data), 0
    left, keys, outer = 1, None, []  # of the open container: children to come (in a map: even, a key), its keys
    while True:
        if at >= end:
            raise BadFrame("it ends inside a value")
        head = data[at]
        at += 1
        values += 1
        major, n = head >> 5, head & 31
        is_key = keys is not None and not left & 1
        if is_key and major != _TEXT:
            raise BadFrame("a key is not text")
        if major == _SIMPLES:
            if n not in _SIMPLE:
                raise BadFrame("a break, or a value without a meaning")
            at += _SIMPLE[n]
        else:
            if n >= 24:
                if n > 27:
                    raise BadFrame("an indefinite or reserved length")
                width = 1 << (n - 24)
                n = int.from_bytes(data[at:at + width], "big")
                at += width
            if major == _TEXT and is_key:
                key = data[at:at + n]
                if key in keys:
                    raise BadFrame("a key appears twice")
                keys.add(key)
                at += n
            elif major == _TEXT or major == _BYTES:
                at += n
            elif major == _TAG:
                raise BadFrame("a tag")
            elif major >= _ARRAY:
                if len(outer) == DEPTH_MAX:
                    raise BadFrame("nested too deep")
                if n > VALUES_MAX - values:
                    raise BadFrame("too many values")
                if n:
                    outer.append((left, keys))
                    left, keys = (n, None) if major == _ARRAY else (2 * n, set())
                    continue
        left -= 1
        while not left and outer:
            left, keys = outer.pop()
            left -= 1
        if not left:
            break
    if at != end:
        raise BadFrame("it ends inside a value" if at > end else "bytes after the value")
    if values > VALUES_MAX:
        raise BadFrame("too many values")


def _check_fields(name, body):
    if type(body) is not dict:
        raise BadFrame(f"{name} frame: the body is no map")
    for key, kind, required, most in FIELDS[name]:
        if key not in body:
            if required:
                raise BadFrame(f"{name} frame without \"{key}\"")
            continue
        value = body[key]
        if kind == "TREE":
            continue
        if type(value) is not _KINDS[kind] or (kind == "UINT" and value < 0):
            raise BadFrame(f"{name} frame: \"{key}\" is of the wrong kind")
        if kind == "UINT":
            size = value
        elif kind == "TEXT":
            size = len(value) if value.isascii() else len(value.encode())
        else:
            size = 0 if kind == "BOOL" else len(value)
        if size > most:
            raise BadFrame(f"{name} frame: \"{key}\" is over its limit")


def read_header(data, at=0):
    """(body length, type's name, number of descriptors, job) of the 16 bytes from at on."""
    length, number, flags, job = HEADER.unpack_from(data, at)
    if number not in NAMES:
        raise BadFrame(f"a frame of unknown type {number}")
    if length > BODY_MAX:
        raise BadFrame(f"{NAMES[number]} frame of {length} bytes, limit {BODY_MAX}")
    if flags > FDS_MAX:
        raise BadFrame(f"{NAMES[number]} frame with unknown flags {flags:#x}")
    return length, NAMES[number], flags, job


def read_body(name, data):
    """A dict that satisfies the table, from the bytes of a body."""
    check(data)
    try:
        body = cbor2.loads(data)
    except (cbor2.CBORDecodeError, UnicodeDecodeError, RecursionError) as e:
        raise BadFrame(f"{name} frame: text is not valid UTF-8, or malformed CBOR") from e
    _check_fields(name, body)
    return body


def write(name, body, job=0, n_fds=0, limit=BODY_MAX):
    """The bytes of a frame. TooLarge: its body is over the limit, or has more values than its reader takes. ValueError:
    body holds what frames cannot."""
    try:
        data = cbor2.dumps(body)
    except (cbor2.CBOREncodeError, UnicodeEncodeError, RecursionError) as e:
        raise ValueError(f"{name} frame: {e}") from e
    if len(data) > limit:
        raise TooLarge(f"{name} frame of {len(data)} bytes")
    if len(data) > VALUES_MAX:  # each takes a byte or more
        try:
            check(data)
        except BadFrame as e:
            raise TooLarge(f"{name} frame: {e}") from e
    return HEADER.pack(len(data), TYPES[name], n_fds, job) + data
