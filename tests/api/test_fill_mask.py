"""fill-mask on a model of distilbert-base-uncased's exact configuration, against Transformers.

The weights are made here from a seed (tests/golden/distilbert_mlm/weights.py); what Transformers
answers for them was written down once, with its versions, by make_reference.py beside it.
"""
import json
import subprocess
import sys

import numpy as np
import pytest

from daemon import BUILD, MINILM, MODELS, ROOT, Daemon

GOLDEN = ROOT / "tests/golden/distilbert_mlm"
sys.path.insert(0, str(GOLDEN))
import weights  # noqa: E402

NAME = "distilbert-base-uncased"
REFERENCE = json.loads((GOLDEN / "reference.json").read_text())


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distilbert")
    digest = weights.write_model(folder, MODELS / MINILM / "vocab.txt")
    assert digest == REFERENCE["sha256"], "other weights than those of the reference"
    return folder


def test_scores_and_tokens_are_those_of_transformers(snapshot, tmp_path):
    with Daemon(tmp_path) as d:
        d.add(NAME, snapshot)
        d.post("/berth/load", model=NAME)
        worst = 0.0
        for case in REFERENCE["cases"]:
            got = d.post(f"/models/{NAME}", inputs=case["text"], parameters={"top_k": 20})
            assert [(g["token"], g["token_str"], g["sequence"]) for g in got] == [
                (w["token"], w["token_str"], w["sequence"]) for w in case["top"]]
            worst = max(worst, *(abs(g["score"] / w["score"] - 1) for g, w in zip(got, case["top"])))
            assert case["top"][0]["score"] > 0.1
            some = d.post(f"/models/{NAME}", inputs=case["text"], parameters={"targets": REFERENCE["target_words"]})
            assert [g["token_str"] for g in some] == [w["token_str"] for w in case["targets"]]
        d.post("/berth/unload", model=NAME)
        print(f"first 20 tokens of {len(REFERENCE['cases'])} texts the same, scores within {worst:.1e} relative")
        assert worst <= 1e-3


def test_logits_are_those_of_transformers(snapshot):
    want = np.load(GOLDEN / "logits.npy")
    for case, row in zip(REFERENCE["cases"], want):
        out = subprocess.run([BUILD / "tests/golden/distilbert_mlm/engine_logits", snapshot, str(case["mask"]), *map(str, case["ids"])],
                             check=True, capture_output=True).stdout
        far = float(np.abs(np.frombuffer(out, "<f4") - row).max())
        print(f"logits within {far:.1e} of Transformers'")
        assert far <= 1e-4
