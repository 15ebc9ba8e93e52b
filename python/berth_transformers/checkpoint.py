"""A model's folder, read before any library reads it: what it says of itself and what its weights weigh."""
import json
import os
import struct
from pathlib import Path

from .jobs import Refused

HEADER_MAX = 100 << 20  # of a safetensors file, as the format's own readers have it
README_MAX = 1 << 20  # of README.md that is looked at for its tags
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "tokenizer_config.json",
              "sentencepiece.bpe.model", "spm.model", "source.spm", "tekken.json")


def read_json(folder, name):
    """A JSON object of the folder; {} where there is no such file."""
    path = Path(folder, name)
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise Refused("damaged_file", f"{name} is not JSON") from None
    if not isinstance(value, dict):
        raise Refused("damaged_file", f"{name} is no JSON object")
    return value


def pipeline_tag(folder):
    """What README.md's front matter says the model is for; "" where it does not."""
    path = Path(folder, "README.md")
    if not path.is_file():
        return ""
    with open(path, encoding="utf-8", errors="replace") as f:
        lines = f.read(README_MAX).splitlines()
    if not lines or lines[0].strip() != "---":
        return ""
    for line in lines[1:]:
        if line.strip() == "---":
            return ""
        if line.startswith("pipeline_tag:"):
            return line.split(":", 1)[1].strip().strip("'\"")
    return ""


def has_tokenizer(folder):
    return any(Path(folder, name).is_file() for name in TOKENIZERS)


def has_preprocessor(folder):
    return any(Path(folder, n).is_file() for n in ("preprocessor_config.json", "processor_config.json"))


def gguf_file(folder):
    """The name of the one GGUF file of a folder that has no config.json; None elsewhere."""
    files = sorted(p.name for p in Path(folder).glob("*.gguf"))
    return files[0] if len(files) == 1 and not Path(folder, "config.json").is_file() else None


def weight_files(folder):
    """The *.safetensors files of the folder itself; Refused where there are only pickles, or nothing."""
    files = sorted(p for p in Path(folder).iterdir() if p.name.endswith(".safetensors"))
    if files:
        return files
    others = [p.name for p in Path(folder).iterdir() if p.name.endswith(PICKLES)]
    if others:
        raise Refused("unsupported_option", f"the weights are only there as {others[0]}, which can carry code and is "
                      "never opened; use a revision that has model.safetensors")
    raise Refused("damaged_file", "the model has no weights: there is no *.safetensors file")


def weight_bytes(folder):
    """Of all files that hold the weights."""
    gguf = gguf_file(folder)
    return sum(os.path.getsize(f) for f in ([Path(folder, gguf)] if gguf else weight_files(folder)))


def tensor_bytes(files):
    """Tensor name to its bytes, from the headers of the files."""
    sizes = {}
    for path in files:
        for name, entry in _header(path).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                sizes[name] = end - begin
    return sizes


def _header(path):
    size = os.stat(path).st_size
    with open(path, "rb") as f:
        head = f.read(8)
        n = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 0 < n <= min(size - 8, HEADER_MAX):
            raise Refused("damaged_file", f"{path.name} is cut off, or is no safetensors file")
        data = f.read(n)
    try:
        header = json.loads(data)
        last = max((e["data_offsets"][1] for k, e in header.items() if k != "__metadata__"), default=0)
    except (ValueError, RecursionError, KeyError, TypeError, IndexError, AttributeError):
        raise Refused("damaged_file", f"the header of {path.name} is damaged") from None
    if last > size - 8 - n:
        raise Refused("damaged_file", f"{path.name} is cut off: {last + 8 + n} bytes are named, {size} are there")
    return header
