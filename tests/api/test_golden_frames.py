"""The golden and the bad frames, read by the short Python reader with cbor2."""

import subprocess
import sys
from pathlib import Path

import cbor2
import pytest

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
import framing  # noqa: E402

FRAMES = TESTS / "golden/frames"


@pytest.mark.parametrize("path", sorted((FRAMES / "good").glob("*.bin")), ids=lambda p: p.stem)
def test_good(path):
    data = path.read_bytes()
    frame = framing.decode(data)
    assert framing.encode(frame.type, frame.body, frame.job, frame.n_fds) == data


@pytest.mark.parametrize("path", sorted((FRAMES / "bad").glob("*.bin")), ids=lambda p: p.stem)
def test_bad(path):
    with pytest.raises(framing.BadFrame):
        framing.decode(path.read_bytes())


def test_cbor2_alone_would_not_do():
    """Why the reader looks itself: cbor2 takes several of the bad ones."""
    taken = []
    for path in (FRAMES / "bad").glob("*.bin"):
        try:
            cbor2.loads(path.read_bytes()[framing.HEADER.size:])
            taken.append(path.stem)
        except Exception:
            pass
    assert {"duplicate_key", "indefinite_map", "tag_bignum"} <= set(taken)


def test_every_type_has_a_golden_frame():
    seen = {framing.decode(p.read_bytes()).type for p in (FRAMES / "good").glob("*.bin")}
    assert seen == set(framing.TYPES)


def test_the_files_are_what_the_script_makes():
    subprocess.run([sys.executable, FRAMES / "make_frames.py", "--check"], check=True)
