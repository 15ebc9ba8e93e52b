"""The golden texts through the HF Inference route: sentence-transformers' vectors, to the bit the same
however they are asked for.

200 texts in the ordinary run, 40 of them at scalar, which is slow; BERTH_TEXTS=all (script/test exact) takes all
2,000, and 200 at scalar.
"""
import json
import os

import numpy as np
import pytest

from daemon import MINILM, MODELS, ROOT, Daemon

GOLDEN = ROOT / "tests/golden"
NEAR = 5e-6  # design target: absolute, on normalised vectors
FIXED, BATCH = 200, 32
ALL = os.environ.get("BERTH_TEXTS") == "all"
TEXTS = [json.loads(line) for line in (GOLDEN / "texts.jsonl").read_text().splitlines()]
WANT = np.load(GOLDEN / "texts.vectors.npy")
FEW = [i * len(TEXTS) // FIXED for i in range(FIXED)]  # spread over all kinds of text


def has(flag):
    with open("/proc/cpuinfo") as f:
        return flag in f.read().split()


LEVELS = ["scalar"] + ["avx2"] * has("avx2") + ["avx512"] * has("avx512_vnni")


def embed(daemon, texts, connection):
    status, _, answer = daemon.ask("POST", f"/models/{MINILM}/pipeline/feature-extraction", {"inputs": texts},
                                   connection=connection)
    assert status == 200, answer
    return np.array(answer, dtype=np.float32)


def vectors(folder, level, threads, chosen, batch):
    """float32 [chosen][384], asked for in batches of that size."""
    with Daemon(folder, config=f"threads: {threads}\n", BERTH_ISA=level) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        assert d.get(f"/berth/models/{MINILM}")["instances"][0]["level"] == level
        connection = d.connect()
        parts = [embed(d, [TEXTS[i] for i in chosen[at:at + batch]], connection) for at in range(0, len(chosen), batch)]
        return np.concatenate(parts)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("level", LEVELS)
def test_vectors_are_those_of_sentence_transformers(tmp_path, level):
    chosen = list(range(len(TEXTS))) if ALL else FEW
    if level == "scalar":
        chosen = FEW if ALL else FEW[::5]
    alone = vectors(tmp_path / "alone", level, 2, chosen, 1)
    far = float(np.abs(alone - WANT[chosen]).max())
    print(f"{level}: {len(chosen)} texts, largest difference {far:.2e}")
    assert far <= NEAR
    mixed = list(reversed(chosen))
    batched = vectors(tmp_path / "batched", level, 2, mixed, BATCH)[::-1]
    assert np.array_equal(alone, batched), "a batch changes bits"
    single = vectors(tmp_path / "single", level, 1, mixed, BATCH)[::-1]
    assert np.array_equal(alone, single), "the number of threads changes bits"
