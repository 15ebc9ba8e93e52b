"""Tests of python/berth_transformers, by an interpreter that has its packages:

    BACKEND/bin/python -m pytest tests/transformers
"""
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests"), str(Path(__file__).parent)]
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402


@pytest.fixture(scope="session")
def minilm():
    """The folder of all-MiniLM-L6-v2, real weights, as script/setup puts it there."""
    cache = os.environ.get("BERTH_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "berth")
    folder = Path(cache, "models/sentence-transformers/all-MiniLM-L6-v2")
    if not (folder / "model.safetensors").is_file():
        pytest.skip("all-MiniLM-L6-v2 is not there: script/setup test")
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A function that makes a tiny seeded BERT of a class of transformers, with a tokenizer; saved once a class."""
    made = {}

    def make(name="BertModel", **config):
        key = name + repr(config)
        if key not in made:
            made[key] = _make_bert(tmp_path_factory.mktemp(name), name, config)
        return made[key]
    return make


def _make_bert(folder, name, config):
    import torch
    import transformers
    torch.manual_seed(7)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    size = {"vocab_size": len(words), "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
            "intermediate_size": 64, "max_position_embeddings": 128}
    getattr(transformers, name)(transformers.BertConfig(**size | config)).save_pretrained(folder)
    return folder
