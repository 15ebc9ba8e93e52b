"""What the tests of the running daemon share: a daemon without models, one with MiniLM, raw sockets."""
import contextlib
import json
import pathlib
import shutil
import socket
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from daemon import BUILD, MINILM, MODELS, Daemon  # noqa: E402
from damaged import write_tiny  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): how long a test may take")


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A daemon that knows no model."""
    with Daemon(tmp_path_factory.mktemp("empty")) as d:
        yield d


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """A daemon that serves MiniLM, which is its default_model."""
    with Daemon(tmp_path_factory.mktemp("minilm"), config=f"default_model: {MINILM}\n") as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        yield d


class Raw:
    """A connection on which anything may be said."""

    def __init__(self, daemon, timeout=30):
        self.socket = socket.create_connection((daemon.host, daemon.port), timeout)
        self.left = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            return False
        self.left += data
        return bool(data)

    def answer(self):
        """(status, headers in lower case, body) of the next answer; status 0: the connection ended first."""
        while b"\r\n\r\n" not in self.left:
            if not self.more():
                return 0, {}, b""
        head, _, self.left = self.left.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}
        n = int(headers.get("content-length", 0))
        while len(self.left) < n:
            assert self.more(), "the connection ended within a body"
        body, self.left = self.left[:n], self.left[n:]
        return int(lines[0].split()[1]), headers, body

    def closed(self):
        """Whether the peer has closed; waits for it, reading what still comes."""
        while self.more():
            pass
        return True


@pytest.fixture
def raw(empty):
    with Raw(empty) as r:
        yield r


def request(method, path, *headers, body=b"", host="localhost"):
    """A request's bytes; a Content-Length where there is a body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def json_request(path, value, *headers):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return request("POST", path, "Content-Type: application/json", *headers, body=body)


FAKE = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the name under which a stand-in is served


@contextlib.contextmanager
def fake_daemon(folder, **options):
    """A daemon whose inference servers are fake_worker.py; FAKE is added, and said() is what they were told."""
    programs, model = folder / "programs", folder / "model"
    programs.mkdir()
    shutil.copy(BUILD / "berthd", programs)
    (programs / "berth-fetch").symlink_to(BUILD / "berth-fetch")
    worker = programs / "berth-worker"
    ours = f"{sys.executable} {pathlib.Path(__file__).with_name('fake_worker.py')} {folder / 'said'}"
    worker.write_text(f"#!/bin/sh\ncase \"$1\" in\n'' | --inspect) exec {ours} \"$@\" ;;\n"
                      f"*) exec {BUILD / 'berth-worker'} \"$@\" ;;\nesac\n")
    worker.chmod(0o755)
    write_tiny(model)
    (folder / "said").touch()
    with Daemon(folder, build=programs, **options) as d:
        d.said = (folder / "said").read_text
        d.add(FAKE, model)
        yield d


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    with fake_daemon(tmp_path_factory.mktemp("fake")) as d:
        yield d
