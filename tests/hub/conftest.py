"""Repositories and a hub for the tests beside this file."""

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from hub import Hub  # noqa: E402
from repos import SMALL, make_repository, safetensors  # noqa: E402


@pytest.fixture
def root(tmp_path):
    """One repository, acme/tiny: 3 MB of weights, small files, a pickle."""
    files = SMALL | {"model.safetensors": safetensors(3_000_000),
                     "pytorch_model.bin": b"\x80\x02pickle"}
    make_repository(tmp_path / "root/acme/tiny", files)
    return tmp_path / "root"


@pytest.fixture
def hub(root):
    with Hub(root) as running:
        yield running
