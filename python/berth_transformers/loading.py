"""A folder to a Model: config, tokenizer or processor, weights, in phases that are told as they go.

Only safetensors (or one GGUF file) are read, only from the folder, and code that a repository carries is never run.
"""
import contextlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from . import checkpoint, choosing, devices, errors
from .jobs import Refused
from .tasks import task_class

# What LOAD may ask for, to torch's name. "exact": the checkpoint's values in f32 arithmetic; "auto": its own type.
DTYPES = {"exact": "float32", "auto": "auto", "float32": "float32", "f32": "float32", "bfloat16": "bfloat16",
          "bf16": "bfloat16", "float16": "float16", "f16": "float16"}
SHORT = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "float64": "f64"}
OPTIONS = ("task", "attention")
ATTENTION = ("sdpa", "eager")
LAYERS_MAX = 1000  # of one kind
LABELS_MAX = 100_000
_LAYERS = re.compile(r"(layers?|depths?|blocks)$")
PICTURE_SIDE_MAX = 16384  # pixels that a picture may be brought to before the model sees it
KEYS_NAMED = 3  # weights named in a sentence
UNLIMITED_TOKENS = 10**9  # tokenizers write a number beyond this for "no limit"


@dataclass
class Model:
    """A loaded model; owned by the compute thread once loaded. tasks: name to Task, the default one first."""
    model: object  # a torch module in eval mode, on device
    config: object
    tokenizer: object
    processor: object
    feature_extractor: object
    image_processor: object
    device: object  # torch.device
    placement: devices.Placement
    dtype: object  # torch.dtype of the weights
    folder: str
    max_tokens: int  # of one input, special tokens included; 0: the model sets no limit
    notes: list = field(default_factory=list)  # what was ignored or replaced: for status
    tasks: dict = field(default_factory=dict)

    @property
    def task(self):
        return next(iter(self.tasks))

    @property
    def short_dtype(self):
        name = str(self.dtype).removeprefix("torch.")
        return SHORT.get(name, name)


def no_progress(phase, done=0, all=0):
    """What load() calls with the phase it is in, and the bytes done and of all."""


def load(folder, task=None, dtype="exact", device="auto", options=None, memory=0, progress=no_progress):
    """A Model, ready to answer; Refused with the reason otherwise. task: the default one; None: as the model says.
    memory: bytes that may be used on the device, 0 = no limit."""
    try:
        return _load(str(folder), task, dtype, device, options or {}, memory, progress)
    except Exception as e:
        raise errors.of_load(e) from e


def _load(folder, task, dtype, device, options, memory, progress):
    if dtype not in DTYPES:
        raise Refused("unsupported_option", f"there is no dtype '{dtype}'; there are {', '.join(DTYPES)}")
    for name in options:
        if name not in OPTIONS:
            raise Refused("unsupported_option", f"there is no option '{name}'; there are {', '.join(OPTIONS)}")
    placement = devices.choose(device)
    progress("config")
    notes = []
    config = _config(folder, notes)
    task = choosing.default_task(folder, config, task or options.get("task"))
    made = task_class(task)
    _check_packages(task, made)
    progress("tokenizer")
    parts = _parts(folder, made, config)
    auto = choosing.auto_class(task, config)
    made.prepare(config)
    module = _weights(folder, config, auto, DTYPES[dtype], options.get("attention"), made.spare, placement, memory,
                      notes, progress)
    loaded = Model(model=module, config=module.config, device=placement.device, placement=placement,
                   dtype=next((p.dtype for p in module.parameters()), None), folder=folder, notes=notes,
                   max_tokens=max_tokens(folder, config, parts["tokenizer"], task), **parts)
    loaded.tasks = {t: task_class(t)(loaded) for t in choosing.served_tasks(loaded, task, auto)}
    return loaded


# ---- config ----

def _config(folder, notes):
    from transformers import CONFIG_MAPPING, AutoConfig
    gguf = checkpoint.gguf_file(folder)
    if gguf:
        return AutoConfig.from_pretrained(folder, gguf_file=gguf, **_always())
    said = checkpoint.read_json(folder, "config.json")
    if not said:
        raise Refused("damaged_file", "the model has no config.json")
    model_type, known = said.get("model_type"), said.get("model_type") in CONFIG_MAPPING
    if "auto_map" in said and not known:
        raise Refused("unsupported_architecture", f"the model carries its own code for '{model_type}' (auto_map in "
                      "config.json), which is never run")
    if model_type and not known:
        import transformers
        raise Refused("unsupported_architecture",
                      f"Transformers {transformers.__version__} has no architecture '{model_type}'")
    _check_config(said)
    if "auto_map" in said:
        notes.append(f"the repository carries code of its own (auto_map); it was not run, Transformers' own "
                     f"{model_type} was loaded")
    if "quantization_config" in said:
        method = said["quantization_config"].get("quant_method", "quantized")
        notes.append(f"the weights are quantized ({method})")
    try:
        return AutoConfig.from_pretrained(folder, **_always())
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise Refused("damaged_file" if known else "unsupported_architecture",
                      f"config.json cannot be used: {errors.plain(e)}") from e


def _check_config(said):
    """What the library would act upon before it has seen the weights: counts that it makes lists and modules of, code of
    the Hub that it would fetch."""
    left = [said]
    while left:
        for key, value in left.pop().items():
            if isinstance(value, dict):
                left.append(value)
            counts = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, int)]
            most = LAYERS_MAX if _LAYERS.search(key) else LABELS_MAX if key == "num_labels" else None
            if most and max(counts, default=0) > most:
                raise Refused("damaged_file", f"config.json: '{key[:100]}' is {max(counts)}; the limit is {most}")
            if key.endswith(("attn_implementation", "experts_implementation")) and "/" in json.dumps(value):
                raise Refused("unsupported_option", f"config.json: '{key[:100]}' names code of the Hub, which is never "
                              "fetched")


def _always():
    """A fresh copy for each call: the library takes things out of what it is given."""
    return {"local_files_only": True, "trust_remote_code": False}


# ---- tokenizer and processor ----

def _check_packages(task, made):
    import importlib.util
    missing = [p for p in made.packages if not importlib.util.find_spec(p)]
    if missing:
        raise Refused("unsupported_option", f"{task} needs the package {missing[0]}, which the backend lacks; "
                      "install the backend again")


def _parts(folder, made, config):
    """Tokenizer, processor and their like: what the task needs, and what else there is for tasks of the same class."""
    import transformers
    parts = {"tokenizer": None, "processor": None, "feature_extractor": None, "image_processor": None}
    if "processor" in made.needs:
        parts["processor"] = _part(folder, "processor", transformers.AutoProcessor)
        for name in ("tokenizer", "feature_extractor", "image_processor"):
            parts[name] = getattr(parts["processor"], name, None)
    if "feature_extractor" in made.needs and not parts["feature_extractor"]:
        parts["feature_extractor"] = _part(folder, "feature extractor", transformers.AutoFeatureExtractor)
    if "image_processor" in made.needs and not parts["image_processor"]:
        parts["image_processor"] = _part(folder, "image processor", transformers.AutoImageProcessor)
    if not parts["tokenizer"] and ("tokenizer" in made.needs or checkpoint.has_tokenizer(folder)):
        gguf = checkpoint.gguf_file(folder)
        parts["tokenizer"] = _part(folder, "tokenizer", transformers.AutoTokenizer, config=config,
                                   **({"gguf_file": gguf} if gguf else {}))
    if parts["image_processor"]:
        _check_pictures(parts["image_processor"])
    parts["processor"] = parts["processor"] or parts["image_processor"] or parts["feature_extractor"]
    return parts


def _check_pictures(image_processor):
    for name in ("size", "crop_size", "pad_size"):
        size = getattr(image_processor, name, None)
        sides = [v for k, v in dict(size or {}).items() if not k.endswith("pixels") and isinstance(v, int)]
        if max(sides, default=0) > PICTURE_SIDE_MAX:
            raise Refused("damaged_file", f"preprocessor_config.json: '{name}' is {max(sides)} pixels; the limit is "
                          f"{PICTURE_SIDE_MAX}")


def _part(folder, what, auto, **more):
    try:
        with errors.no_panic():
            return auto.from_pretrained(folder, **_always(), **more)
    except Exception as e:
        if errors.is_memory(e) or isinstance(e, ImportError):
            raise
        if "trust_remote_code" in str(e):
            raise Refused("unsupported_architecture", f"the model's {what} needs code of its own (auto_map), which is "
                          "never run") from e
        missing = re.search(r"Missing optional dependencies: ([\w, -]+)", str(e))
        if missing:
            raise Refused("unsupported_option", f"the model's {what} needs {missing[1]}, which the backend does not "
                          "have") from e
        raise Refused("damaged_file", f"the model's {what} cannot be loaded: {errors.plain(e)}") from e


def max_tokens(folder, config, tokenizer, task):
    """The longest input: what the sentence-transformers module says, the tokenizer, the positions there are."""
    limits = []
    if tokenizer is not None and 0 < (getattr(tokenizer, "model_max_length", 0) or 0) < UNLIMITED_TOKENS:
        limits.append(int(tokenizer.model_max_length))
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    positions = getattr(text, "max_position_embeddings", None) or 0
    if isinstance(positions, int) and 0 < positions < UNLIMITED_TOKENS:
        limits.append(positions - _first_position(text))
    if task in ("feature-extraction", "sentence-similarity"):
        said = checkpoint.read_json(folder, "sentence_bert_config.json").get("max_seq_length")
        limits += [said] if isinstance(said, int) and 0 < said < UNLIMITED_TOKENS else []
    return min(limits, default=0)


def _first_position(config):
    """RoBERTa and its kin count positions from after the padding token's id."""
    kin = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl", "roberta-prelayernorm",
           "ibert", "esm", "xmod", "data2vec-text", "mdeberta", "layoutlmv3", "luke", "mluke",
           "clap_text_model")
    pad = getattr(config, "pad_token_id", None)
    return pad + 1 if config.model_type in kin and pad is not None else 0


# ---- weights ----

def _weights(folder, config, auto, dtype, attention, spare, placement, memory, notes, progress):
    import torch
    import transformers
    gguf = checkpoint.gguf_file(folder)
    sizes = {} if gguf else checkpoint.tensor_bytes(checkpoint.weight_files(folder))
    all_bytes = Path(folder, gguf).stat().st_size if gguf else sum(sizes.values())
    placement.reserve(all_bytes, memory)
    options = {"config": config, "dtype": dtype if dtype == "auto" else getattr(torch, dtype),
               "output_loading_info": True, **_always()}
    options |= {"gguf_file": gguf} if gguf else {"use_safetensors": True}
    if attention is not None:
        if attention not in ATTENTION:
            raise Refused("unsupported_option", f"'attention' should be one of {', '.join(ATTENTION)}")
        options["attn_implementation"] = attention
    progress("weights", 0, all_bytes)
    with _told(sizes, all_bytes, progress):
        module, info = _from_pretrained(getattr(transformers, auto), folder, options)
    progress("weights", all_bytes, all_bytes)
    _check_keys(info, spare, notes)
    return module.to(placement.device).eval().requires_grad_(False)


def _from_pretrained(auto, folder, options):
    try:
        return auto.from_pretrained(folder, **options)
    except RuntimeError as e:
        if "ignore_mismatched_sizes" not in str(e):
            raise
        raise Refused("damaged_file", "weights in the files have another shape than config.json says") from e


def _check_keys(info, spare, notes):
    """A weight that the task reads and that the files lack would be random: refused."""
    missing = sorted(info["missing_keys"])
    random = [k for k in missing if not set(k.split(".")) & set(spare)]
    if random:
        raise Refused("damaged_file", f"the files lack {len(random)} weights that this task reads ({_some(random)}): "
                      "the model was made for another task")
    if missing:
        notes.append(f"{len(missing)} weights that the task does not read are not in the files ({_some(missing)})")
    if info["unexpected_keys"]:
        unread = sorted(info["unexpected_keys"])
        notes.append(f"{len(unread)} weights of the files are not used by this task ({_some(unread)})")


def _some(names):
    return ", ".join(names[:KEYS_NAMED]) + (", ..." if len(names) > KEYS_NAMED else "")


@contextlib.contextmanager
def _told(sizes, all_bytes, progress):
    """While it lasts, each weight that the library loads is told as progress, in bytes of the files."""
    from transformers.utils import logging
    before = logging.set_tqdm_hook(lambda factory, args, options: _Counted(args, options, sizes, all_bytes, progress))
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)


class _Counted:
    """In the place of a progress bar: iterates over what it is given."""

    def __init__(self, args, options, sizes, all_bytes, progress):
        self.items = args[0] if args else options.get("iterable") or ()
        self.sizes, self.all, self.progress = sizes, all_bytes, progress

    def __iter__(self):
        done = 0
        for item in self.items:
            yield item
            name = item[0] if isinstance(item, tuple) and item and isinstance(item[0], str) else ""
            done += self.sizes.get(name) or self.sizes.get(name.partition(".")[2]) or 0
            self.progress("weights", min(done, self.all), self.all)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False

    def __getattr__(self, name):  # update(), set_description(), close() and whatever else a bar has
        return lambda *args, **options: None
