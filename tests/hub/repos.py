"""Small repositories for a hub to serve, made on the spot."""

import random
import struct


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


def make_repository(folder, files):
    for name, data in files.items():
        p = folder / name
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_bytes(data)
    return folder
