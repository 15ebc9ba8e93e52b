"""Writes the tiny models and the reference outputs that test_golden.c compares with.

    python tests/golden/make_golden.py

Each folder gets a seeded random model (config.json, safetensors) and golden.safetensors:
for sequence i, ids.i, types.i, hidden.i [n, hidden] and, where the model has the head,
logits.i [n, vocab], computed by Transformers in f32 with eager attention. Random biases and
norms and wide weights, so that a swapped tensor or a flat softmax shows. The four models
differ in what a loader can get wrong: sizes that fill no panel, old names, prefixes, shards,
16-bit weights. versions.json says which libraries made them.
"""

import json
import shutil
from pathlib import Path

import safetensors
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).parent
LENGTHS = [1, 2, 5, 12, 17, 40]


def randomise(model, seed):
    gen = torch.Generator().manual_seed(seed)
    for name, p in sorted(model.named_parameters()):
        noise = torch.randn(p.shape, generator=gen)
        is_gain = name.endswith("weight") and p.ndim == 1
        p.data = 1 + 0.2 * noise if is_gain else noise * (0.5 if "embeddings" in name else 0.25)
    model.tie_weights()
    return model.eval()


def reference(folder, cls, vocab, types):
    model = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    gen = torch.Generator().manual_seed(7)
    out = {}
    for i, n in enumerate(LENGTHS):
        ids = torch.randint(0, vocab, (n,), generator=gen)
        kind = torch.randint(0, types, (n,), generator=gen) if types else torch.zeros(n)
        args = {"input_ids": ids[None]}
        if types:
            args["token_type_ids"] = kind.long()[None]
        with torch.inference_mode():
            r = model(**args, output_hidden_states=True)
        out[f"ids.{i}"] = ids.to(torch.float32)
        out[f"types.{i}"] = kind.to(torch.float32)
        out[f"hidden.{i}"] = r.hidden_states[-1][0].contiguous()
        if hasattr(r, "logits"):
            out[f"logits.{i}"] = r.logits[0].contiguous()
    save_file(out, folder / "golden.safetensors")


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def rename(folder, change):
    """Rewrites the weights under other names, in two shards with an index."""
    state = {change(k): v for k, v in load_file(folder / "model.safetensors").items()}
    keys = sorted(state)
    shards = {"model-00001-of-00002.safetensors": keys[::2], "model-00002-of-00002.safetensors": keys[1::2]}
    for file, part in shards.items():
        save_file({k: state[k] for k in part}, folder / file)
    index = {"metadata": {}, "weight_map": {k: f for f, part in shards.items() for k in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    (folder / "model.safetensors").unlink()


def old_name(key):
    if "LayerNorm" in key:
        return key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return key


def bert():
    folder = fresh("bert")
    config = transformers.BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40)
    model = randomise(transformers.BertForMaskedLM(config), 1)
    model.save_pretrained(folder)
    reference(folder, transformers.BertForMaskedLM, 100, 2)


def bert_odd():
    folder = fresh("bert_odd")
    config = transformers.BertConfig(
        vocab_size=37, hidden_size=42, num_hidden_layers=3, num_attention_heads=3, intermediate_size=51,
        max_position_embeddings=41, type_vocab_size=3, hidden_act="gelu_new", layer_norm_eps=1e-5)
    model = randomise(transformers.BertModel(config), 2)
    model.save_pretrained(folder)
    reference(folder, transformers.BertModel, 37, 3)
    rename(folder, old_name)


def distilbert():
    folder = fresh("distilbert")
    config = transformers.DistilBertConfig(
        vocab_size=101, dim=32, n_layers=2, n_heads=2, hidden_dim=80, max_position_embeddings=40)
    model = randomise(transformers.DistilBertForMaskedLM(config), 3)
    model.save_pretrained(folder)
    reference(folder, transformers.DistilBertForMaskedLM, 101, 0)


def distilbert_half():
    folder = fresh("distilbert_half")
    config = transformers.DistilBertConfig(
        vocab_size=50, dim=48, n_layers=1, n_heads=4, hidden_dim=33, max_position_embeddings=40, activation="relu")
    model = randomise(transformers.DistilBertModel(config), 4)
    model.to(torch.bfloat16).save_pretrained(folder)
    reference(folder, transformers.DistilBertModel, 50, 0)


def main():
    for make in (bert, bert_odd, distilbert, distilbert_half):
        make()
    versions = {m.__name__: m.__version__ for m in (torch, transformers, safetensors)}
    (HERE / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
