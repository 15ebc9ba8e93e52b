"""A tiny BERT with a WordPiece tokenizer, and ways to damage its files.

CASES is a list of (cause, damage, words): damage(folder) spoils a copy of the model, words are what
the sentence of refusal must hold: the file, the field and the value.
"""
import json
import struct

import numpy as np

HIDDEN, LAYERS, HEADS, FFN, POSITIONS = 32, 2, 4, 64, 64
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a", "##b", "##c", "."]
CONFIG = {
    "architectures": ["BertModel"], "model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS, "intermediate_size": FFN, "max_position_embeddings": POSITIONS,
    "vocab_size": len(VOCAB), "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute", "pad_token_id": 0,
}
TOKENIZER = {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [{"id": i, "content": VOCAB[i], "single_word": False, "lstrip": False, "rstrip": False,
                      "normalized": False, "special": True} for i in range(5)],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                   "lowercase": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing",
                       "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                  {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                       "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}},
                                {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                       "special_tokens": {t: {"id": t, "ids": [VOCAB.index(t)], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {t: i for i, t in enumerate(VOCAB)}},
}
WEIGHTS, CONFIG_FILE, TOKENS, INDEX = "model.safetensors", "config.json", "tokenizer.json", "model.safetensors.index.json"
WORD = "embeddings.word_embeddings.weight"


def shapes():
    yield WORD, (len(VOCAB), HIDDEN)
    yield "embeddings.position_embeddings.weight", (POSITIONS, HIDDEN)
    yield "embeddings.token_type_embeddings.weight", (2, HIDDEN)
    yield from pair("embeddings.LayerNorm", (HIDDEN,))
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            yield from pair(f"{at}.attention.self.{name}", (HIDDEN, HIDDEN))
        yield from pair(f"{at}.attention.output.dense", (HIDDEN, HIDDEN))
        yield from pair(f"{at}.attention.output.LayerNorm", (HIDDEN,))
        yield from pair(f"{at}.intermediate.dense", (FFN, HIDDEN))
        yield from pair(f"{at}.output.dense", (HIDDEN, FFN))
        yield from pair(f"{at}.output.LayerNorm", (HIDDEN,))


def pair(name, shape):
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def write_tiny(folder):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    header, data = {}, b""
    for name, shape in shapes():
        raw = (rng.standard_normal(shape).astype("<f4") * np.float32(0.1)).tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    write_weights(folder, json.dumps(header), data)
    (folder / CONFIG_FILE).write_text(json.dumps(CONFIG))
    (folder / TOKENS).write_text(json.dumps(TOKENIZER))


def write_weights(folder, header, data, length=None):
    raw = header if isinstance(header, bytes) else header.encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)


def read_weights(folder):
    raw = (folder / WEIGHTS).read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    return raw[8:8 + n].decode(), raw[8 + n:]


def header(change):
    """Damage to the parsed header of the weights."""
    def damage(folder):
        text, data = read_weights(folder)
        h = json.loads(text)
        change(h)
        write_weights(folder, json.dumps(h), data)
    return damage


def field(name, key, value):
    return header(lambda h: h[name].__setitem__(key, value))


def text_of_header(change):
    def damage(folder):
        text, data = read_weights(folder)
        write_weights(folder, change(text), data)
    return damage


def config(**changes):
    def damage(folder):
        write_json(folder / CONFIG_FILE, {k: v for k, v in {**CONFIG, **changes}.items() if v is not None})
    return damage


def tokenizer(change):
    def damage(folder):
        t = json.loads(json.dumps(TOKENIZER))
        change(t)
        write_json(folder / TOKENS, t)
    return damage


def raw(name, content):
    return lambda folder: (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def write_json(path, value):
    path.write_text(json.dumps(value))


def cut(name, keep):
    def damage(folder):
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content[:keep if keep >= 0 else len(content) + keep])
    return damage


def sharded(shard):
    """All tensors in the first of two shards, by the index; but one, which it says is in another file."""
    def damage(folder):
        places = {name: "part-a.safetensors" for name, _ in shapes()}
        write_json(folder / INDEX, {"metadata": {}, "weight_map": {**places, WORD: shard}})
        (folder / WEIGHTS).rename(folder / "part-a.safetensors")
    return damage


def pickle_only(folder):
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def first_tensor(h, key, value):
    h[WORD][key] = value


BYTES = len(VOCAB) * HIDDEN * 4
CASES = [
    # The weights.
    ("cut inside the data", cut(WEIGHTS, -100), [WEIGHTS]),
    ("shorter than its first number", cut(WEIGHTS, 5), [WEIGHTS, "5"]),
    ("empty", cut(WEIGHTS, 0), [WEIGHTS]),
    ("a header longer than the file", lambda f: write_weights(f, "{}", b"", 2**63), [WEIGHTS, str(2**63)]),
    ("a header over the limit", lambda f: write_weights(f, "{}", b"", 200_000_000), [WEIGHTS, "200000000"]),
    ("a header that is no JSON", text_of_header(lambda t: "{" + t), [WEIGHTS]),
    ("a header that is an array", text_of_header(lambda t: "[" + t + "]"), [WEIGHTS]),
    ("a header nested too deep", text_of_header(lambda t: t[:-1] + ',"x":' + "[" * 500 + "]" * 500 + "}"), [WEIGHTS]),
    ("a tensor twice", text_of_header(lambda t: t[:-1] + f',"{WORD}":{json.dumps({"dtype": "F32", "shape": [], "data_offsets": [0, 0]})}' + "}"), [WEIGHTS]),
    ("overlapping tensors", field("embeddings.position_embeddings.weight", "data_offsets", [BYTES - 4, BYTES - 4 + POSITIONS * HIDDEN * 4]), [WEIGHTS, "data_offsets"]),
    ("a hole between tensors", header(lambda h: h.pop("embeddings.position_embeddings.weight")), [WEIGHTS, "data_offsets"]),
    ("a negative offset", field(WORD, "data_offsets", [-4, BYTES - 4]), [WEIGHTS, WORD, "data_offsets", "-4"]),
    ("an end before its beginning", field(WORD, "data_offsets", [BYTES, 0]), [WEIGHTS, WORD, "data_offsets"]),
    ("an offset past the file", field(WORD, "data_offsets", [0, 2**40]), [WEIGHTS, WORD, "data_offsets", str(2**40)]),
    ("a shape that does not fit its bytes", field(WORD, "shape", [len(VOCAB) + 1, HIDDEN]), [WEIGHTS, WORD, "shape"]),
    ("a negative dimension", field(WORD, "shape", [-12, HIDDEN]), [WEIGHTS, WORD, "shape", "-12"]),
    ("a shape that overflows", field(WORD, "shape", [2**62, 2**62]), [WEIGHTS, WORD, "shape"]),
    ("a dtype that nobody knows", field(WORD, "dtype", "F33"), [WEIGHTS, WORD, "dtype", "F33"]),
    ("a shape that is a word", field(WORD, "shape", "12x32"), [WEIGHTS, WORD, "shape"]),
    ("a tensor without its dtype", header(lambda h: h[WORD].pop("dtype")), [WEIGHTS, WORD, "dtype"]),
    ("a missing tensor", header(lambda h: h.__setitem__("other", h.pop(WORD))), [WEIGHTS, "word_embeddings"]),
    ("a tensor of another shape than config.json says", config(intermediate_size=128), [WEIGHTS, "intermediate.dense.weight", "128"]),
    # The shards.
    ("a shard that is not there", sharded("part-b.safetensors"), [INDEX, "part-b.safetensors"]),
    ("a shard outside the folder", sharded("../model.safetensors"), [INDEX, "../model.safetensors"]),
    ("only pickles", pickle_only, ["pytorch_model.bin", "safetensors"]),
    # config.json.
    ("config.json is no JSON", raw(CONFIG_FILE, "{'hidden_size': 32}"), [CONFIG_FILE]),
    ("config.json is not UTF-8", raw(CONFIG_FILE, b'{"model_type": "be\xff"}'), [CONFIG_FILE, "UTF-8"]),
    ("config.json nested too deep", raw(CONFIG_FILE, '{"a":' * 300 + "1" + "}" * 300), [CONFIG_FILE]),
    ("a key twice", raw(CONFIG_FILE, json.dumps(CONFIG)[:-1] + ', "hidden_size": 64}'), [CONFIG_FILE, "twice"]),
    ("no hidden size", config(hidden_size=None), [CONFIG_FILE, "hidden_size"]),
    ("a negative size", config(hidden_size=-32), [CONFIG_FILE, "hidden_size", "-32"]),
    ("a word for a number", config(num_hidden_layers="two"), [CONFIG_FILE, "num_hidden_layers", "two"]),
    ("a billion layers", config(num_hidden_layers=10**9), [CONFIG_FILE, "num_hidden_layers", str(10**9)]),
    ("heads that do not divide", config(num_attention_heads=5), [CONFIG_FILE, "num_attention_heads", "5"]),
    ("an unknown activation", config(hidden_act="wobble"), [CONFIG_FILE, "hidden_act", "wobble"]),
    ("an unknown position embedding", config(position_embedding_type="relative_key"), [CONFIG_FILE, "position_embedding_type", "relative_key"]),
    ("an unknown architecture", config(model_type="bertolt", architectures=["BertoltModel"]), ["bertolt"]),
    ("code of its own", config(auto_map={"AutoModel": "modeling.Model"}), [CONFIG_FILE, "auto_map"]),
    ("a vocabulary larger than its table", config(vocab_size=5000), ["5000"]),
    # tokenizer.json.
    ("tokenizer.json is no JSON", raw(TOKENS, "{]"), [TOKENS]),
    ("an unknown model of tokens", tokenizer(lambda t: t["model"].__setitem__("type", "Wobble")), [TOKENS, "model", "Wobble"]),
    ("an unknown normalizer", tokenizer(lambda t: t["normalizer"].__setitem__("type", "Wobble")), [TOKENS, "normalizer", "Wobble"]),
    ("an unknown pre-tokenizer", tokenizer(lambda t: t["pre_tokenizer"].__setitem__("type", "Wobble")), [TOKENS, "pre_tokenizer", "Wobble"]),
    ("no vocabulary", tokenizer(lambda t: t["model"].pop("vocab")), [TOKENS, "vocab"]),
    ("a negative id", tokenizer(lambda t: t["model"]["vocab"].__setitem__("a", -1)), [TOKENS, "vocab", "-1"]),
    ("an id twice", tokenizer(lambda t: t["model"]["vocab"].__setitem__("a", 6)), [TOKENS, "vocab", "6"]),
    ("an id past the embedding table", tokenizer(lambda t: t["model"]["vocab"].__setitem__("zebra", 4000)), ["4000"]),
    ("an id that is a word", tokenizer(lambda t: t["model"]["vocab"].__setitem__("a", "five")), [TOKENS, "vocab", "five"]),
]
