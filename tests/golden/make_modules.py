"""Writes the sentence-transformers modules that tests/api/test_worker.py loads, and what they give.

    python tests/golden/make_modules.py

Each folder of modules/ holds what stands around the tiny model of bert/: modules.json in the old or
the new spelling, poolings alone and together, Dense with activations, LayerNorm, Normalize, prompts
that count in the pooling or do not. vectors.json has sentence-transformers' vectors for TEXTS, by
prompt, and the versions of the libraries.
"""
import json
import shutil
import tempfile
from pathlib import Path

import sentence_transformers
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer

HERE = Path(__file__).parent
OUT = HERE / "modules"
MODEL = HERE / "bert"
HIDDEN, VOCAB = 32, 100
OLD = "sentence_transformers.models."
NEW = "sentence_transformers.sentence_transformer.modules."
NEW_BASE = "sentence_transformers.base.modules."
ALL = ["mean", "cls", "max", "lasttoken", "weightedmean", "mean_sqrt_len_tokens"]
TEXTS = ["a", "", "a b c", "word60 word70 bcd ef", "w " * 60]


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def old_pooling(*on):
    keys = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
    return {"word_embedding_dimension": HIDDEN} | {f"pooling_mode_{k}": k in on for k in keys}


def new_pooling(modes, **more):
    return {"embedding_dimension": HIDDEN, "pooling_mode": modes} | more


def dense(folder, n_in, n_out, activation, bias, gen):
    write(folder / "config.json", {"in_features": n_in, "out_features": n_out, "bias": bias,
                                   "activation_function": activation})
    weights = {"linear.weight": torch.randn(n_out, n_in, generator=gen) / n_in ** 0.5}
    if bias:
        weights["linear.bias"] = torch.randn(n_out, generator=gen)
    save_file(weights, folder / "model.safetensors")


def layer_norm(folder, n, gen):
    write(folder / "config.json", {"dimension": n})
    save_file({"norm.weight": torch.randn(n, generator=gen), "norm.bias": torch.randn(n, generator=gen)},
              folder / "model.safetensors")


def case(name, types, pooling, prompts=None, default=None):
    folder = OUT / name
    entries = [{"idx": i, "name": str(i), "path": "" if i == 0 else f"{i}_{t.rpartition('.')[2]}", "type": t}
               for i, t in enumerate(types)]
    write(folder / "modules.json", entries)
    write(folder / entries[1]["path"] / "config.json", pooling)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 30, "do_lower_case": False})
    if prompts:
        write(folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": default})
    return folder


def write_cases():
    gen = torch.Generator().manual_seed(11)
    names = ["transformer.Transformer", "pooling.Pooling"]
    everything = case("everything", [NEW_BASE + names[0], NEW + names[1], NEW_BASE + "dense.Dense",
                                     NEW + "layer_norm.LayerNorm", NEW_BASE + "normalize.Normalize"],
                      new_pooling(ALL), {"query": "b c ", "plain": ""})
    dense(everything / "2_Dense", 6 * HIDDEN, 16, "torch.nn.modules.activation.Tanh", True, gen)
    layer_norm(everything / "3_LayerNorm", 16, gen)
    old = case("old_cls", [OLD + "Transformer", OLD + "Pooling", OLD + "Dense", OLD + "Dense"],
               old_pooling("cls_token"))
    dense(old / "2_Dense", HIDDEN, 40, "torch.nn.modules.linear.Identity", False, gen)
    dense(old / "3_Dense", 40, 8, "torch.nn.modules.activation.GELU", True, gen)
    case("old_several", [OLD + "Transformer", OLD + "Pooling", OLD + "Normalize"],
         old_pooling("max_tokens", "cls_token", "mean_tokens"))
    case("last", [OLD + "Transformer", OLD + "Pooling"], old_pooling("lasttoken"))
    case("weighted_without_prompt", [OLD + "Transformer", OLD + "Pooling"],
         new_pooling("weightedmean", include_prompt=False), {"query": "b c ", "long": "word80 d "}, "long")
    case("all_without_prompt", [OLD + "Transformer", OLD + "Pooling"],
         new_pooling(ALL, include_prompt=False), {"query": "b c "})


def vectors(folder):
    with tempfile.TemporaryDirectory() as t:
        whole = Path(t) / "m"
        shutil.copytree(folder, whole)
        for f in (MODEL / "config.json", MODEL / "model.safetensors", OUT / "vocab.txt", OUT / "tokenizer_config.json"):
            shutil.copy(f, whole)
        model = SentenceTransformer(str(whole), device="cpu")
        names = [None] + [n for n in model.prompts if model.prompts[n]]
        return {n or "": model.encode(TEXTS, prompt_name=n, batch_size=1).tolist() for n in names}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    letters = [x for c in "abcdefghijklmnopqrstuvwxyz" for x in (c, "##" + c)]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    words += [f"word{i}" for i in range(len(words), VOCAB)]
    (OUT / "vocab.txt").write_text("\n".join(words) + "\n")
    write(OUT / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    write_cases()
    found = {f.name: vectors(f) for f in sorted(OUT.iterdir()) if f.is_dir()}
    (OUT / "vectors.json").write_text(json.dumps(
        {"versions": {m.__name__: m.__version__ for m in (torch, transformers, sentence_transformers)},
         "texts": TEXTS, "vectors": found}) + "\n")


if __name__ == "__main__":
    main()
