"""Parts of items in and out of frames (src/ipc/job.h), small ones inside, large ones in a sealed memfd. Any thread."""
import array
import fcntl
import mmap
import os

import numpy

from .frames import DATA_MAX, INLINE_MAX, PARTS_MAX, BadFrame
from .jobs import Part, Refused

SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK
RANK_MAX = 8
_DTYPES = {"f32": "<f4", "i64": "<i8"}
_I32 = 2**31 - 1


# ---- reading ----

def read_items(body, fds):
    """(items of a JOB as lists of Part, bytes of all parts). fds: the frame's descriptors, which stay the caller's.
    BadFrame: the peer broke the protocol. Bytes parts of a memfd are views into it, which keep it mapped."""
    data = _map(body, fds)
    size = 0
    items = []
    for item in body.get("items", ()):
        if type(item) is not list or len(item) > PARTS_MAX:
            raise BadFrame("an item is no array of parts")
        parts = []
        for entry in item:
            part, n = _read_part(entry, data)
            parts.append(part)
            size += n
        items.append(parts)
    return items, size


def _map(body, fds):
    size = body.get("data", 0)
    if not size and not fds:
        return None
    wrong = BadFrame("a frame's data are not one sealed memfd of the size that it names")
    if len(fds) != 1 or not size or os.fstat(fds[0]).st_size != size:
        raise wrong
    try:
        sealed = fcntl.fcntl(fds[0], fcntl.F_GET_SEALS) == SEALS
    except OSError:  # no memfd at all
        sealed = False
    if not sealed:
        raise wrong
    return memoryview(mmap.mmap(fds[0], size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))


def _field(entry, key, kind, other):
    value = entry.get(key, other)
    return value if type(value) is kind else other


def _read_data(entry, data):
    inline = entry.get("d")
    if type(inline) is bytes:
        return inline
    at, n = _field(entry, "o", int, -1), _field(entry, "n", int, -1)
    if data is None or at < 0 or n < 0 or at + n > len(data):
        raise BadFrame("a part without its data")
    return data[at:at + n]


def _read_part(entry, data):
    if type(entry) is not dict:
        raise BadFrame("a part is no map")
    kind, raw = entry.get("k"), _read_data(entry, data)
    if kind == "text":
        value = _read_text(raw)
    elif kind == "bytes":
        value = raw
    elif kind == "tokens":
        value = _read_tokens(raw)
    elif kind == "tensor":
        value = _read_tensor(entry, raw)
    else:
        raise BadFrame("a part of unknown kind")
    return Part(kind, value, _field(entry, "role", str, ""), _field(entry, "media", str, "")), len(raw)


def _read_text(raw):
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError:
        raise BadFrame("a part is text that is not valid UTF-8") from None


def _read_tokens(raw):
    if len(raw) % 4:
        raise BadFrame("a part with tokens is not a multiple of 4 bytes")
    return numpy.frombuffer(raw, dtype="<u4").tolist()


def _read_tensor(entry, raw):
    shape, dtype = entry.get("shape"), entry.get("dtype")
    if type(shape) is not list or len(shape) > RANK_MAX or type(dtype) is not str or not dtype:
        raise BadFrame("a part is a tensor without a dtype or a shape")
    if not all(type(n) is int and 0 <= n <= _I32 for n in shape):
        raise BadFrame("a part is a tensor with a bad shape")
    if dtype not in _DTYPES:
        raise BadFrame(f"a part is a tensor of an unknown dtype {dtype[:16]}")
    flat = numpy.frombuffer(raw, dtype=numpy.uint8)
    itemsize, count = numpy.dtype(_DTYPES[dtype]).itemsize, 1
    for n in shape:
        count *= n
    if count * itemsize != len(raw):
        raise BadFrame("a part is a tensor whose bytes do not fill its shape")
    return flat.view(_DTYPES[dtype]).reshape(shape)


# ---- writing ----

def write_parts(parts):
    """(entries for a frame's "parts", its "data" or 0, a sealed memfd or -1) of the parts of one item. The memfd is the
    caller's to send and close."""
    raws = [_raw(p) for p in parts]
    size = sum(len(r) for r in raws)
    if size > DATA_MAX:
        raise Refused("too_large", "the answer is too large for one message; ask for less of it")
    if size <= INLINE_MAX:
        return inline(parts), 0, -1
    entries, at = [], 0
    for part, raw in zip(parts, raws):
        entries.append(_entry(part) | {"o": at, "n": len(raw)})
        at += len(raw)
    return entries, size, _seal(raws)


def inline(parts):
    """Entries for a frame's "parts", with their bytes inside."""
    return [_entry(p) | {"d": bytes(_raw(p))} for p in parts]


def _raw(part):
    """The bytes of a part, without a copy where there is one already."""
    if part.kind == "text":
        return part.data.encode()
    if part.kind == "bytes":
        return memoryview(part.data).cast("B")
    if part.kind == "tokens":
        return memoryview(array.array("I", part.data)).cast("B")
    return memoryview(numpy.ascontiguousarray(part.data)).cast("B") if part.data.size else b""


def _entry(part):
    entry = {"k": part.kind}
    if part.role:
        entry["role"] = part.role
    if part.media:
        entry["media"] = part.media
    if part.kind == "tensor":
        entry["dtype"] = {"float32": "f32", "int64": "i64"}[part.data.dtype.name]
        entry["shape"] = list(part.data.shape)
    return entry


def _seal(raws):
    fd = os.memfd_create("parts", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for raw in raws:
            view = memoryview(raw)
            while len(view):
                view = view[os.write(fd, view):]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd
