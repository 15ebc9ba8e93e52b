"""The frames of the package against src/ipc/frame.h, the golden frames and the bad ones."""
import re

import framing
import pytest
from conftest import ROOT

from berth_transformers import frames

GOLDEN = ROOT / "tests/golden/frames"


def decode(data):
    if len(data) < frames.HEADER.size:
        raise frames.BadFrame("no whole header")
    length, name, n_fds, job = frames.read_header(data)
    if len(data) != frames.HEADER.size + length:
        raise frames.BadFrame("not one whole frame")
    return name, job, n_fds, frames.read_body(name, data[frames.HEADER.size:])


def test_the_table_is_that_of_frame_h():
    assert frames.TYPES == framing.TYPES
    ours = {name: {key: tuple(rest) for key, *rest in rows} for name, rows in frames.FIELDS.items()}
    assert ours == framing.FIELDS


def test_the_limits_are_those_of_frame_h():
    text = (ROOT / "src/ipc/frame.h").read_text()
    said = {k: eval(v, {}, {}) for k, v in re.findall(r"^ +FRAME_(\w+) = ([\d <]+),", text, re.M)}
    assert said.pop("HEADER") == frames.HEADER.size
    assert said == {k: getattr(frames, k) for k in said}
    text = (ROOT / "src/ipc/wire.h").read_text()
    assert f"WIRE_DEPTH_MAX = {frames.DEPTH_MAX}, WIRE_NODES_MAX = {frames.VALUES_MAX}" in text


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("good/*.bin")), ids=lambda p: p.stem)
def test_good_frames_are_read_and_written_again(path):
    data = path.read_bytes()
    name, job, n_fds, body = decode(data)
    assert frames.write(name, body, job, n_fds) == data
    known = framing.decode(data)
    assert (name, job, n_fds) == (known.type, known.job, known.n_fds)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("bad/*.bin")), ids=lambda p: p.stem)
def test_bad_frames_are_refused(path):
    with pytest.raises(frames.BadFrame):
        decode(path.read_bytes())


def test_every_cut_and_every_flipped_bit_is_refused_or_read():
    """Damage never comes out as anything but BadFrame; and what the other implementation refuses is refused."""
    data = (GOLDEN / "good/job_chat.bin").read_bytes()
    damaged = [data[:n] for n in range(len(data))]
    damaged += [data[:i] + bytes([data[i] ^ 1 << b]) + data[i + 1:] for i in range(len(data)) for b in range(8)]
    refused = 0
    for one in damaged:
        try:
            decode(one)
            framing.decode(one)
        except frames.BadFrame:
            refused += 1
            with pytest.raises((framing.BadFrame, ValueError)):
                framing.decode(one)
    assert len(data) < refused < len(damaged)


def test_a_body_over_the_limit_is_not_written():
    with pytest.raises(frames.TooLarge):
        frames.write("DONE", {"result": "x" * frames.BODY_MAX})
    with pytest.raises(frames.TooLarge):
        frames.write("CHUNK", {"item": 0, "parts": [], "result": "x" * 4096}, limit=frames.CHUNK_MAX)
    around = 3  # the map, its key, the list
    with pytest.raises(frames.TooLarge):
        frames.write("DONE", {"result": [0] * (frames.VALUES_MAX - around + 1)})
    frames.write("DONE", {"result": [0] * (frames.VALUES_MAX - around)})
    with pytest.raises(ValueError):
        frames.write("DONE", {"result": object()})
    with pytest.raises(ValueError):
        frames.write("DONE", {"result": "\ud800"})
