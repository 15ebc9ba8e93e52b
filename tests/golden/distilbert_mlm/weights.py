"""A model of distilbert-base-uncased's exact configuration with seeded weights.

write_model(FOLDER, VOCAB) makes the folder: config.json as the Hub has it, the vocabulary (MiniLM's
vocab.txt is the same file), and model.safetensors from a fixed seed. The gain of the last layer
norm before the decoder is large, so that the top scores of fill-mask stand out. Returns the sha256
of the weights, which the reference names. They are uniform: drawing normal numbers calls libm,
whose last bits differ between systems.
"""
import hashlib
import json
import pathlib
import shutil

import numpy as np
from safetensors.numpy import save_file

SEED = 20240229
GAIN = 4.0  # of vocab_layer_norm: top scores above 0.1
CONFIG = {
    "activation": "gelu",
    "architectures": ["DistilBertForMaskedLM"],
    "attention_dropout": 0.1,
    "dim": 768,
    "dropout": 0.1,
    "hidden_dim": 3072,
    "initializer_range": 0.02,
    "max_position_embeddings": 512,
    "model_type": "distilbert",
    "n_heads": 12,
    "n_layers": 6,
    "pad_token_id": 0,
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "sinusoidal_pos_embds": False,
    "tie_weights_": True,
    "transformers_version": "4.10.0.dev0",
    "vocab_size": 30522,
}
TOKENIZER_CONFIG = {"do_lower_case": True, "model_max_length": 512}


def shapes():
    """(name, shape) of every tensor, in file order. Linear weights are [out][in]."""
    dim, ffn, vocab = CONFIG["dim"], CONFIG["hidden_dim"], CONFIG["vocab_size"]
    yield "distilbert.embeddings.word_embeddings.weight", (vocab, dim)
    yield "distilbert.embeddings.position_embeddings.weight", (CONFIG["max_position_embeddings"], dim)
    yield from norm("distilbert.embeddings.LayerNorm", dim)
    for layer in range(CONFIG["n_layers"]):
        at = f"distilbert.transformer.layer.{layer}"
        for name in ("q_lin", "k_lin", "v_lin", "out_lin"):
            yield from linear(f"{at}.attention.{name}", dim, dim)
        yield from norm(f"{at}.sa_layer_norm", dim)
        yield from linear(f"{at}.ffn.lin1", ffn, dim)
        yield from linear(f"{at}.ffn.lin2", dim, ffn)
        yield from norm(f"{at}.output_layer_norm", dim)
    yield from linear("vocab_transform", dim, dim)
    yield from norm("vocab_layer_norm", dim)
    yield "vocab_projector.bias", (vocab,)


def norm(name, n):
    yield f"{name}.weight", (n,)
    yield f"{name}.bias", (n,)


def linear(name, out, n):
    yield f"{name}.weight", (out, n)
    yield f"{name}.bias", (out,)


def tensor(rng, name, shape):
    values = (rng.random(shape, dtype=np.float32) - np.float32(0.5)) * np.float32(0.1732)  # deviation 0.05
    if "norm" in name.lower() and name.endswith("weight"):
        values += np.float32(1)
    if name == "vocab_layer_norm.weight":
        values *= np.float32(GAIN)
    return values


def write_model(folder, vocab):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(SEED))
    tensors = {name: tensor(rng, name, shape) for name, shape in shapes()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER_CONFIG) + "\n")
    shutil.copyfile(vocab, folder / "vocab.txt")
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
