"""What sentence-transformers puts around a model: modules.json and the files that it leads to.

Read and computed here, without that library: it takes a second to import. A module, a mode or an activation that is
not known is refused by its name, as the native server does (src/pipeline/embedder.c).
"""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from ..checkpoint import read_json
from ..jobs import Refused

# As a checkpoint names them, and as it named them before, in the order in which those are put together.
MODES = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens", "mean": "pooling_mode_mean_tokens",
         "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
         "weightedmean": "pooling_mode_weightedmean_tokens", "lasttoken": "pooling_mode_lasttoken"}
ACTIVATIONS = ("Tanh", "Identity", "ReLU", "Sigmoid", "SiLU", "GELU")
LENGTH_FILES = tuple(f"sentence_{m}_config.json" for m in (
    "bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"))
PROMPTS_FILE = "config_sentence_transformers.json"
TINY = 1e-9  # a sum of weights is at least this


def refuse(file, what, name):
    return Refused("unsupported_option", f"{file}: {what} \"{str(name)[:200]}\" is not supported")


def damaged(sentence):
    return Refused("damaged_file", sentence)


class Modules:
    """The modules of a folder; without modules.json: the mean of the tokens.

    modes: names of MODES; layers: functions of a tensor [batch][dim]; dim: of the result; normalizes: whether the last
    of them makes vectors of length 1; prompts: name to text; default_prompt: a name, or None; skip_prompt: whether the
    tokens of a prompt are left out of the pooling; lower_case: whether text is put in lower case first."""

    def __init__(self, folder, hidden, device):
        self.folder, self.hidden, self.device = Path(folder), hidden, device
        self.present = (self.folder / "modules.json").is_file()
        self.modes, self.layers, self.dim, self.normalizes = [], [], hidden, False
        self.prompts, self.default_prompt, self.skip_prompt, self.lower_case = {}, None, False, False
        if not self.present:
            self.modes = ["mean"]
            return
        for i, entry in enumerate(self._entries()):
            self._read(i, entry)
        if not self.modes:
            raise Refused("unsupported_option", "modules.json: a model without pooling is not supported")
        self._read_case()
        self._read_prompts()

    # ---- reading ----

    def _entries(self):
        try:
            entries = json.loads((self.folder / "modules.json").read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise damaged("modules.json is not JSON") from None
        if not isinstance(entries, list) or not entries or not all(isinstance(e, dict) for e in entries):
            raise damaged("modules.json is not a list of modules")
        return entries

    def _read(self, i, entry):
        kind, path = entry.get("type"), entry.get("path") or ""
        if not isinstance(kind, str) or not isinstance(path, str):
            raise damaged(f"modules.json: entry {i} has no type")
        name = kind.rpartition(".")[2]
        readers = {"Transformer": None, "Pooling": self._pooling, "Dropout": None, "Dense": self._dense,
                   "LayerNorm": self._norm, "Normalize": self._normalize}
        if not kind.startswith("sentence_transformers.") or name not in readers:
            raise refuse("modules.json", "the module", kind)
        if (name == "Transformer") != (i == 0):
            raise Refused("unsupported_option", "modules.json: the first module must be the transformer, and no other")
        if name == "Transformer" and path:
            raise refuse("modules.json", "a transformer in the folder", path)
        if name not in ("Transformer", "Pooling", "Dropout") and not self.modes:
            raise Refused("unsupported_option", f"modules.json: {name} stands before the pooling")
        if ".." in Path(path).parts or Path(path).is_absolute():
            raise damaged(f"modules.json: the path of entry {i} leads out of the model's folder")
        if readers[name]:
            self.normalizes = name == "Normalize"
            readers[name](path, read_json(self.folder, f"{path}/config.json") if path else {})

    def _pooling(self, path, config):
        file = f"{path}/config.json"
        if self.modes:
            raise Refused("unsupported_option", "modules.json: a second pooling is not supported")
        if not config:
            raise damaged(f"{file} is missing")
        dim = config.get("embedding_dimension", config.get("word_embedding_dimension", self.hidden))
        if dim != self.hidden:
            raise damaged(f"{file}: embedding_dimension is {dim}, the model's is {self.hidden}")
        modes = config.get("pooling_mode")
        if modes is None:
            unknown = [k for k, v in config.items() if k.startswith("pooling_mode") and v is True
                       and k not in MODES.values()]
            if unknown:
                raise refuse(file, "the pooling", unknown[0])
            modes = [m for m, old in MODES.items() if config.get(old) is True] or ["mean"]
        self.modes = [modes] if isinstance(modes, str) else list(modes)
        for mode in self.modes:
            if mode not in MODES:
                raise refuse(file, "pooling_mode", mode)
        self.skip_prompt = config.get("include_prompt") is False
        self.dim = len(self.modes) * self.hidden

    def _weights(self, path, shapes):
        """The tensors of a module's own file, in f32 on the device. shapes: name to shape."""
        file = self.folder / path / "model.safetensors"
        if not file.is_file():
            raise damaged(f"{path}/model.safetensors is missing; a pickle in its place is never read: save the model "
                          "again as safetensors")
        tensors = load_file(file)
        for name, shape in shapes.items():
            if name not in tensors or tuple(tensors[name].shape) != shape:
                raise damaged(f"{path}/model.safetensors: {name} should be a tensor of the shape {list(shape)}")
        return [tensors[name].to(self.device, torch.float32) for name in shapes]

    def _dense(self, path, config):
        file = f"{path}/config.json"
        n_in, n_out = config.get("in_features"), config.get("out_features")
        if not isinstance(n_in, int) or not isinstance(n_out, int):
            raise damaged(f"{file} has no in_features or no out_features")
        if n_in != self.dim:
            raise damaged(f"{file}: in_features is {n_in}, what comes in has {self.dim}")
        if config.get("use_residual"):
            raise refuse(file, "use_residual", "true")
        _check_names(file, config)
        activation = _activation(file, config.get("activation_function"))
        shapes = {"linear.weight": (n_out, n_in)}
        if config.get("bias", True):
            shapes["linear.bias"] = (n_out,)
        weights = self._weights(path, shapes)
        self.layers.append(lambda x: activation(torch.nn.functional.linear(x, *weights)))
        self.dim = n_out

    def _norm(self, path, config):
        shape = (self.dim,)
        weight, bias = self._weights(path, {"norm.weight": shape, "norm.bias": shape})
        self.layers.append(lambda x: torch.nn.functional.layer_norm(x, shape, weight, bias))

    def _normalize(self, path, config):
        _check_names(f"{path}/config.json", config)
        self.layers.append(normalized)

    def _read_case(self):
        file = next((f for f in LENGTH_FILES if (self.folder / f).is_file()), None)
        self.lower_case = bool(file and read_json(self.folder, file).get("do_lower_case"))

    def _read_prompts(self):
        said = read_json(self.folder, PROMPTS_FILE)
        for name, text in (said.get("prompts") or {}).items():
            if text is not None and not isinstance(text, str):
                raise damaged(f"{PROMPTS_FILE}: the prompt \"{name[:100]}\" is not text")
            if text is not None:
                self.prompts[name] = text
        for usual in ("query", "document"):  # in every model, empty if it does not say
            self.prompts.setdefault(usual, "")
        self.default_prompt = said.get("default_prompt_name")
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise damaged(f"{PROMPTS_FILE}: default_prompt_name is no prompt of its")

    # ---- computing ----

    def vectors(self, rows, mask, skip):
        """[batch][dim] of token vectors [batch][tokens][hidden], in f32. mask: bool [batch][tokens], padding on the
        right is false; skip: ints [batch], how many tokens at the beginning are of a prompt."""
        rows = rows.float()
        places = torch.arange(rows.shape[1], device=rows.device)
        skip = torch.tensor(skip, device=rows.device)
        counted = mask & (places[None] >= skip[:, None])
        pooled = torch.cat([_pool(m, rows, mask, counted, places) for m in self.modes], dim=-1)
        for layer in self.layers:
            pooled = layer(pooled)
        return pooled


def _pool(mode, rows, mask, counted, places):
    """One mode; counted: which tokens are pooled."""
    batch = torch.arange(len(rows), device=rows.device)
    if mode == "cls":  # the first that counts; with none, the first there is
        return rows[batch, counted.int().argmax(1)]
    if mode == "lasttoken":  # zeros where none counts
        return rows[batch, mask.sum(1) - 1] * counted.any(1, keepdim=True)
    if mode == "max":
        return rows.masked_fill(~counted[..., None], float("-inf")).amax(1)
    weights = counted.float() * (places + 1 if mode == "weightedmean" else 1)
    total = weights.sum(1, keepdim=True).clamp(min=TINY)
    if mode == "mean_sqrt_len_tokens":
        total = total.sqrt()
    return torch.einsum("bth,bt->bh", rows, weights) / total


def normalized(vectors):
    """Of length 1 along the last dimension."""
    return torch.nn.functional.normalize(vectors, dim=-1)


def _check_names(file, config):
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, "sentence_embedding"):
            raise refuse(file, key, config[key])


def _activation(file, said):
    """A class of torch by its last name; without one it is Tanh."""
    if said is None:
        return torch.nn.Tanh()
    name = str(said).rpartition(".")[2]
    if not str(said).startswith("torch.") or name not in ACTIVATIONS:
        raise refuse(file, "activation_function", said)
    return getattr(torch.nn, name)()
