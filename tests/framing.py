"""Frames in Python, written apart from the implementations that they test.

A short, strict reader and writer of the frames of src/ipc/frame.h for tests:
it drives a child over a socketpair, and it proves the golden frames with cbor2.
The table of fields is read out of frame.h, the rules of CBOR are its own.

    child = Child(build / "berth-fetch")
    child.hello()
    child.send("JOB", {"task": "pull", "params": {...}}, job=1)
    frame = child.recv()            # frame.type, frame.job, frame.body, frame.fds
"""

import array
import os
import re
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import cbor2

HEADER = struct.Struct("<IHHQ")
BODY_MAX = 256 << 10
FDS_MAX = 253
DEPTH_MAX = 32
VALUES_MAX = 65536
VERSION = 1

_HEADER_FILE = Path(__file__).resolve().parent.parent / "src/ipc/frame.h"


class BadFrame(Exception):
    """A frame that must be refused; the text says why."""


def _tables():
    text = _HEADER_FILE.read_text()
    consts = {k: eval(v, {}, {}) for k, v in
              re.findall(r"^ +(FRAME_\w+) = ([\d <]+),", text, re.M)}
    consts |= {"UINT16_MAX": 2**16 - 1, "INT32_MAX": 2**31 - 1,
               "INT64_MAX": 2**63 - 1, "UINT64_MAX": 2**64 - 1}
    types = {n: int(v) for n, v in re.findall(r"T\((\w+), (\d+)\)", text)}
    fields = {n: {} for n in types}
    row = r"F\((\w+),\s+(\w+),\s+([A-Z]+),\s+([01]),\s+(\w+)\)"
    for frame, key, kind, required, most in re.findall(row, text):
        most = consts[most] if most in consts else int(most)
        fields[frame][key] = (kind, required == "1", most)
    return types, fields


TYPES, FIELDS = _tables()
NAMES = {number: name for name, number in TYPES.items()}


class _Scan:
    """Walks the heads of one CBOR value and refuses what frames may not hold."""

    def __init__(self, data):
        self.data, self.at, self.values = data, 0, 0
        self.open = []  # [children left, keys of a map or None, key next]

    def take(self, n):
        if n > len(self.data) - self.at:
            raise BadFrame("ends inside a value")
        piece = self.data[self.at:self.at + n]
        self.at += n
        return piece

    def argument(self, info):
        if info < 24:
            return info
        if info > 27:
            raise BadFrame("an indefinite or reserved length")
        return int.from_bytes(self.take(1 << (info - 24)), "big")

    def begins(self, major):
        """One more value; the name of its place is a key where it must be."""
        self.values += 1
        if self.values > VALUES_MAX:
            raise BadFrame("too many values")
        if not self.open or self.open[-1][1] is None:
            return None
        top = self.open[-1]
        top[2] = not top[2]
        if not top[2]:
            return None
        if major != 3:
            raise BadFrame("a key is not text")
        return top[1]

    def string(self, major, n, keys):
        piece = self.take(n)
        if major == 2:
            return
        try:
            text = piece.decode()
        except UnicodeDecodeError:
            raise BadFrame("invalid UTF-8") from None
        if keys is None:
            return
        if text in keys:
            raise BadFrame("a key appears twice")
        keys.add(text)

    def value(self):
        head = self.take(1)[0]
        major, info = head >> 5, head & 31
        keys = self.begins(major)
        if major == 7:
            if info not in (20, 21, 22, 25, 26, 27):
                raise BadFrame("a simple value or a break")
            self.take({25: 2, 26: 4, 27: 8}.get(info, 0))
            return self.closes()
        n = self.argument(info)
        if major == 6:
            raise BadFrame("a tag")
        if major in (2, 3):
            self.string(major, n, keys)
        if major in (4, 5):
            return self.container(major, n)
        return self.closes()

    def container(self, major, n):
        if len(self.open) == DEPTH_MAX:
            raise BadFrame("too deep")
        if n > VALUES_MAX - self.values:
            raise BadFrame("too many values")
        if n == 0:
            return self.closes()
        is_map = major == 5
        self.open.append([n * (2 if is_map else 1), set() if is_map else None, False])
        return False

    def closes(self):
        """True when the outermost value is complete."""
        while self.open:
            self.open[-1][0] -= 1
            if self.open[-1][0] > 0:
                return False
            self.open.pop()
        return True


def check_cbor(data):
    scan = _Scan(data)
    while not scan.value():
        pass
    if scan.at != len(data):
        raise BadFrame("bytes after the value")


_KINDS = {"UINT": int, "BOOL": bool, "TEXT": str, "BYTES": bytes, "ARRAY": list, "MAP": dict}


def check_fields(name, body):
    if not isinstance(body, dict):
        raise BadFrame("the body is no map")
    for key, (kind, required, most) in FIELDS[name].items():
        if key not in body:
            if required:
                raise BadFrame(f"{name} without {key}")
            continue
        value = body[key]
        if kind == "TREE":
            continue
        if type(value) is not _KINDS[kind] or kind == "UINT" and value < 0:
            raise BadFrame(f"{name}: {key} is of the wrong kind")
        size = value if kind == "UINT" else len(value.encode()) if kind == "TEXT" else \
            0 if kind == "BOOL" else len(value)
        if size > most:
            raise BadFrame(f"{name}: {key} is over its limit")


@dataclass
class Frame:
    type: str
    job: int
    body: dict
    fds: list = field(default_factory=list)
    n_fds: int = 0


def encode(name, body, job=0, n_fds=0):
    data = cbor2.dumps(body)
    return HEADER.pack(len(data), TYPES[name], n_fds, job) + data


def decode_header(data):
    length, number, flags, job = HEADER.unpack(data)
    if number not in NAMES:
        raise BadFrame(f"unknown type {number}")
    if length > BODY_MAX:
        raise BadFrame("too long")
    if flags > FDS_MAX:
        raise BadFrame("unknown flags")
    return length, NAMES[number], flags, job


def decode(data):
    """Exactly one whole frame, or BadFrame."""
    if len(data) < HEADER.size:
        raise BadFrame("no whole header")
    length, name, n_fds, job = decode_header(data[:HEADER.size])
    body = data[HEADER.size:]
    if len(body) != length:
        raise BadFrame("not one whole frame")
    check_cbor(body)
    body = cbor2.loads(body)
    check_fields(name, body)
    return Frame(name, job, body, n_fds=n_fds)


class Channel:
    """One end of a socketpair. recv() returns None when the peer has closed."""

    def __init__(self, sock):
        self.sock, self.data, self.fds = sock, b"", []

    def send(self, name, body, job=0, fds=()):
        self.send_bytes(encode(name, body, job, len(fds)), fds)

    def send_bytes(self, data, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.settimeout(30)
        sent = self.sock.sendmsg([data], control)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def _more(self, deadline):
        self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        data, control, flags, _ = self.sock.recvmsg(1 << 17, socket.CMSG_SPACE(FDS_MAX * 4))
        assert not flags & socket.MSG_CTRUNC
        for level, kind, payload in control:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            got = array.array("i")
            got.frombytes(payload[:len(payload) // 4 * 4])
            self.fds += got
        self.data += data
        return bool(data)

    def recv(self, timeout=30):
        deadline = time.monotonic() + timeout
        need = HEADER.size
        while len(self.data) < need:
            if not self._more(deadline):
                if self.data:
                    raise BadFrame("the peer ended inside a frame")
                return None
            if len(self.data) >= HEADER.size:
                need = HEADER.size + decode_header(self.data[:HEADER.size])[0]
        if need == HEADER.size:
            need += decode_header(self.data[:HEADER.size])[0]
            while len(self.data) < need:
                if not self._more(deadline):
                    raise BadFrame("the peer ended inside a frame")
        frame = decode(self.data[:need])
        self.data = self.data[need:]
        assert len(self.fds) >= frame.n_fds, "a frame without its descriptors"
        frame.fds, self.fds = self.fds[:frame.n_fds], self.fds[frame.n_fds:]
        return frame

    def close(self):
        for fd in self.fds:
            os.close(fd)
        self.fds = []
        self.sock.close()


class Child(Channel):
    """A program with its end of a socketpair as descriptor 3, environment empty
    but for what steers a sanitizer."""

    SANITIZERS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")

    def __init__(self, *argv, env=None, stderr=None, **popen):
        ours, theirs = socket.socketpair()
        super().__init__(ours)
        held = self._hold_low()
        try:
            self.process = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL,
                stderr=stderr, pass_fds=(3,), env=(env or {}) | {
                    k: os.environ[k] for k in self.SANITIZERS if k in os.environ},
                preexec_fn=lambda: os.dup2(theirs.fileno(), 3), **popen)
        finally:
            for fd in held:
                os.close(fd)
            theirs.close()

    @staticmethod
    def _hold_low():
        """Popen's own descriptors must not be number 3."""
        held = []
        while not held or held[-1] < 3:
            held.append(os.open("/dev/null", os.O_RDONLY))
        return held

    def hello(self, **extra):
        self.send("HELLO", {"version": VERSION, "build": "test", "kind": "daemon",
                            "threads": 1, "cores": 1, "memory": 0, "isa": "",
                            "degraded": True} | extra)
        frame = self.recv()
        assert frame and frame.type == "HELLO", frame
        return frame.body

    def recv_until(self, *names, timeout=60):
        """The next frame of one of these types, and those that came before."""
        seen, deadline = [], time.monotonic() + timeout
        while True:
            frame = self.recv(max(deadline - time.monotonic(), 0.001))
            if frame is None or frame.type in names:
                return frame, seen
            seen.append(frame)

    def end(self, timeout=10):
        """Closes our end; the child's exit status."""
        self.close()
        try:
            return self.process.wait(timeout)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
