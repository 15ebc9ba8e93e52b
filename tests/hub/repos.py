"""Small repositories, made on the spot, and a hub that serves them."""

import random
import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from hub import Hub  # noqa: E402


def safetensors(size, seed=1):
    """A file of the right shape: one U8 tensor of random bytes."""
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + random.Random(seed).randbytes(size)


SMALL = {
    "README.md": b"---\nlicense: mit\n---\n# tiny\n",
    "config.json": b'{"model_type": "bert"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "1_Pooling/config.json": b'{"pooling_mode_mean_tokens": true}',
    "modules.json": b"[]",
}
TAKEN = {*SMALL, "model.safetensors"}


def make_repository(folder, files):
    for name, data in files.items():
        p = folder / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(data)
    return folder


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
