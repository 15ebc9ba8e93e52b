"""Frames, descriptors and memfds over a real socketpair; the other end is tests/framing.py."""
import fcntl
import os
import socket

import framing
import numpy
import pytest

from berth_transformers import channel, frames, parts
from berth_transformers.jobs import Part


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ends = channel.Channel(ours), framing.Channel(theirs)
    yield ends
    ends[1].close()
    ours.close()


def memfd(data, seals=parts.SEALS):
    fd = os.memfd_create("parts", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def test_frames_arrive_whole_however_they_are_cut(pair):
    ours, daemon = pair
    data = b"".join(framing.encode("PING", {"time_ns": i}) for i in range(5))
    for at in range(0, len(data), 7):
        daemon.send_bytes(data[at:at + 7])
    assert [ours.recv().body["time_ns"] for _ in range(5)] == [0, 1, 2, 3, 4]
    daemon.send_bytes(data[:20])
    daemon.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(frames.BadFrame):
        ours.recv()


def test_the_end_between_two_frames_is_no_error(pair):
    ours, daemon = pair
    daemon.send("DRAIN", {})
    daemon.sock.shutdown(socket.SHUT_WR)
    assert ours.recv().type == "DRAIN"
    assert ours.recv() is None


def test_descriptors_belong_to_their_frames(pair):
    ours, daemon = pair
    fds = [memfd(bytes([i]) * (70000 + i)) for i in range(3)]
    for i, fd in enumerate(fds):
        daemon.send("PING", {"time_ns": i})
        daemon.send("JOB", {"task": "t", "data": 70000 + i, "items": [[{"k": "bytes", "o": 0, "n": 70000 + i}]]},
                    job=i + 1, fds=[fd])
        os.close(fd)
    for i in range(3):
        assert not ours.recv().fds
        frame = ours.recv()
        (((part,),), size) = parts.read_items(frame.body, frame.fds)
        frame.close_fds()
        assert size == 70000 + i and bytes(part.data) == bytes([i]) * size


def test_a_frame_that_names_descriptors_it_does_not_bring(pair):
    ours, daemon = pair
    daemon.send_bytes(framing.encode("DRAIN", {}, n_fds=1))
    with pytest.raises(frames.BadFrame, match="descriptors"):
        ours.recv()


def read(entry, fds=(), data=0):
    return parts.read_items({"items": [[entry]], "data": data}, list(fds))[0][0][0]


def test_parts_of_every_kind():
    assert read({"k": "text", "d": "zwei".encode(), "role": "query"}) == Part("text", "zwei", "query")
    assert read({"k": "tokens", "d": b"\1\0\0\0\xff\xff\xff\xff"}).data == [1, 2**32 - 1]
    tensor = read({"k": "tensor", "dtype": "f32", "shape": [1, 2], "d": numpy.array([1, 2], "<f4").tobytes()})
    assert tensor.data.tolist() == [[1, 2]]
    assert read({"k": "bytes", "media": "image/png", "d": b"x"}) == Part("bytes", b"x", "", "image/png")
    fd = memfd(b"abcdef")
    assert read({"k": "text", "o": 2, "n": 3}, [fd], 6).data == "cde"
    os.close(fd)


BAD_PARTS = [5, {}, {"k": "text"}, {"k": "text", "d": "a text"}, {"k": "song", "d": b""}, {"k": "text", "d": b"\xff"},
             {"k": "tokens", "d": b"abc"}, {"k": "text", "o": 0, "n": 1}, {"k": "tensor", "d": b"1234"},
             {"k": "tensor", "d": b"1234", "dtype": "f32", "shape": [2]},
             {"k": "tensor", "d": b"1234", "dtype": "f32", "shape": [-1]},
             {"k": "tensor", "d": b"", "dtype": "f32", "shape": [2**31 - 1, 2**31 - 1]},
             {"k": "tensor", "d": b"1234", "dtype": "c64", "shape": [1]},
             {"k": "tensor", "d": b"1234", "dtype": "f32", "shape": [1] * 9}]


@pytest.mark.parametrize("entry", BAD_PARTS, ids=str)
def test_bad_parts_are_refused(entry):
    with pytest.raises(frames.BadFrame):
        read(entry)


@pytest.mark.parametrize("o, n", [(0, 7), (7, 0), (-1, 2), (2**63, 2), (6, 1), (0, -1), (True, 2)])
def test_parts_outside_the_memfd_are_refused(o, n):
    fd = memfd(b"abcdef")
    with pytest.raises(frames.BadFrame):
        read({"k": "bytes", "o": o, "n": n}, [fd], 6)
    os.close(fd)


def test_a_memfd_must_be_sealed_and_of_its_size(tmp_path):
    entry = {"k": "bytes", "o": 0, "n": 2}
    (tmp_path / "file").write_bytes(b"abcdef")
    plain = os.open(tmp_path / "file", os.O_RDONLY)
    half = memfd(b"abcdef", fcntl.F_SEAL_WRITE)
    whole = memfd(b"abcdef")
    for fds, data in [([plain], 6), ([half], 6), ([whole], 5), ([whole], 7), ([whole], 0), ([whole, whole], 6),
                      ([], 6)]:
        with pytest.raises(frames.BadFrame):
            read(entry, fds, data)
    for fd in (plain, half, whole):
        os.close(fd)


def test_results_over_64_kib_travel_in_a_sealed_memfd(pair):
    ours, daemon = pair
    small, large = numpy.arange(4, dtype="f4"), numpy.arange(30000, dtype="f4").reshape(100, 300)
    entries, size, fd = parts.write_parts([Part("tensor", small)])
    assert (size, fd) == (0, -1) and entries[0]["d"] == small.tobytes()
    entries, size, fd = parts.write_parts([Part("text", "ü"), Part("tensor", large)])
    ours.send_bytes(frames.write("DONE", {"item": 0, "parts": entries, "data": size}, 3, 1), fd)
    os.close(fd)
    frame = daemon.recv()
    (got,) = frame.fds
    assert fcntl.fcntl(got, fcntl.F_GET_SEALS) == parts.SEALS and os.fstat(got).st_size == size == 120002
    text, tensor = frame.body["parts"]
    assert os.pread(got, text["n"], text["o"]).decode() == "ü"
    assert os.pread(got, tensor["n"], tensor["o"]) == large.tobytes() and tensor["shape"] == [100, 300]
    os.close(got)


def test_no_descriptor_is_left(pair):
    ours, daemon = pair
    before = len(os.listdir("/proc/self/fd"))
    for i in range(20):
        fd = memfd(b"x" * 70000)
        daemon.send("JOB", {"task": "t", "data": 70000, "items": [[{"k": "bytes", "o": 0, "n": 70000}]]}, 1, [fd])
        os.close(fd)
        frame = ours.recv()
        items = parts.read_items(frame.body, frame.fds)
        frame.close_fds()
        _, _, fd = parts.write_parts([Part("bytes", items[0][0][0].data)])
        os.close(fd)
        del items
    assert len(os.listdir("/proc/self/fd")) == before
