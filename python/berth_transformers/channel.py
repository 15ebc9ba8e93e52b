"""Frames over the socketpair to the daemon: descriptor 3, a blocking stream socket.

One thread reads; any thread sends, whole frames at a time. Descriptors travel with the first byte of their frame, and a
frame's header says how many are its own, so they are claimed in order.
"""
import array
import os
import socket
import threading
from dataclasses import dataclass, field

from . import frames

FD = 3
READ_STEP = 128 << 10


@dataclass(slots=True)
class Frame:
    type: str
    job: int
    body: dict
    fds: list = field(default_factory=list)  # closed by close_fds(); whoever keeps one takes it out

    def close_fds(self):
        while self.fds:
            os.close(self.fds.pop())


class Channel:
    def __init__(self, sock):
        sock.setblocking(True)
        self._sock = sock
        self._data, self._fds = b"", []
        self._writing = threading.Lock()

    @classmethod
    def of_daemon(cls):
        """The channel on descriptor 3; OSError when there is none."""
        return cls(socket.socket(fileno=FD))

    # ---- reading: one thread ----

    def recv(self):
        """The next Frame; None when the daemon has hung up between two frames. BadFrame: it broke the protocol."""
        need = frames.HEADER.size
        while len(self._data) < need:
            if not self._more():
                return None
        length, name, n_fds, job = frames.read_header(self._data)
        need += length
        while len(self._data) < need:
            if not self._more():
                raise frames.BadFrame("the daemon ended inside a frame")
        body = self._data[frames.HEADER.size:need]
        self._data = self._data[need:]
        if n_fds > len(self._fds):
            raise frames.BadFrame(f"{name} frame without its descriptors")
        fds, self._fds = self._fds[:n_fds], self._fds[n_fds:]
        frame = Frame(name, job, None, fds)
        try:
            frame.body = frames.read_body(name, body)
        except frames.BadFrame:
            frame.close_fds()
            raise
        return frame

    def _more(self):
        """False at the end of the stream."""
        data, control, flags, _ = self._sock.recvmsg(READ_STEP, socket.CMSG_SPACE(frames.FDS_MAX * 4),
                                                     socket.MSG_CMSG_CLOEXEC)
        for level, kind, payload in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                got = array.array("i")
                got.frombytes(payload[:len(payload) // 4 * 4])
                self._fds += got
        if flags & socket.MSG_CTRUNC:
            raise frames.BadFrame("descriptors were cut off")
        self._data = self._data + data if self._data else data
        if not data and self._data:
            raise frames.BadFrame("the daemon ended inside a frame")
        return bool(data)

    # ---- writing: any thread ----

    def send(self, name, body, job=0):
        self.send_bytes(frames.write(name, body, job))

    def send_bytes(self, data, fd=-1):
        """Sends one whole frame, with a descriptor that stays the caller's. OSError: the daemon is gone."""
        with self._writing:
            sent = 0
            if fd >= 0:
                rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
                sent = self._sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)
            if sent < len(data):
                self._sock.sendall(data[sent:], socket.MSG_NOSIGNAL)
