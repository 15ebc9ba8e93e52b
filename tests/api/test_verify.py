"""One model by both kinds of server: the same vectors, and berth verify's certificate of it."""
import json
import os
import subprocess

import numpy as np
import pytest

from daemon import BACKENDS, BUILD, MINILM, MODELS, ROOT, Daemon, local_hub

TEXTS = 200
NEAR = 5e-6  # absolute, on normalised vectors: what two right f32 implementations differ by


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with local_hub() as hub, Daemon(tmp_path_factory.mktemp("verify"), HF_ENDPOINT=hub) as d:
        d.post("/berth/pull", model=MINILM)
        yield d


def berth(daemon, *arguments):
    environment = {"PATH": os.environ["PATH"], "BERTH_HOME": str(daemon.home), "BERTH_BACKENDS": str(BACKENDS)}
    return subprocess.run([BUILD / "berth", *arguments], env=environment, capture_output=True, text=True, timeout=120)


def test_200_texts_have_the_same_vectors_by_both(daemon):
    lines = (ROOT / "tests/golden/texts.jsonl").read_text().splitlines()
    texts = [t for t in map(json.loads, lines) if t][:TEXTS]
    assert len(texts) == TEXTS
    vectors = {}
    for backend in "native", "transformers":
        got = [daemon.post("/v1/embeddings", model=f"{MINILM}#{backend}", input=texts[i:i + 50], truncate=True,
                           encoding_format="float")["data"] for i in range(0, TEXTS, 50)]
        vectors[backend] = np.array([v["embedding"] for part in got for v in part], dtype=np.float64)
    assert vectors["native"].shape == (TEXTS, 384)
    far = float(np.abs(vectors["native"] - vectors["transformers"]).max())
    print(f"{TEXTS} texts by both kinds of server: largest difference {far:.2e}")
    assert far <= NEAR


def test_verify_prints_its_certificate(daemon):
    done = berth(daemon, "verify", MINILM)
    assert done.returncode == 0, done.stderr
    assert "they agree" in done.stdout
    certificate = json.loads(done.stdout.partition("certificate: ")[2])
    assert certificate["agree"] and certificate["identical_ids"] == certificate["texts"] >= 20
    assert certificate["largest_difference"] <= NEAR and len(certificate["commit"]) == 40
    assert certificate["transformers"]["versions"]["transformers"]
    assert "every file" in berth(daemon, "verify", MINILM, "--files").stdout
    print(done.stdout)
