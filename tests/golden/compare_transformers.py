#!/usr/bin/env python3
"""Compares our tokenizer with transformers' AutoTokenizer: compare_transformers.py TOOL

Model folders with and without tokenizer.json, with all that the files beside it
may say, made from sentence-transformers/all-MiniLM-L6-v2's: ids, offsets, types
and cutting of golden texts; decode() of every single id and of whole texts.
"""
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer, __version__

sys.path.insert(0, str(Path(__file__).resolve().parent))
from make_texts import HERE, MODEL  # noqa: E402
from tokenpipe import TokenPipe  # noqa: E402

TEXTS = 400


def token(content, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
            "special": True, **flags}


def texts():
    with open(HERE / "texts.jsonl", encoding="ascii") as f:
        made = [json.loads(line) for line in f]
    return random.Random(3).sample(made, TEXTS) + ["the new one", "a zzword zzwords", "x <e1>[NEWMASK]  <e2>", "it ' s"]


def differences(tool, folder):
    hf, ours = AutoTokenizer.from_pretrained(str(folder)), TokenPipe(tool, folder)
    bad = []
    for t in texts():
        e = hf(t, truncation=False, return_offsets_mapping=True)
        want = [(i, *o) for i, o in zip(e["input_ids"], e["offset_mapping"])]
        if [row[:3] for row in ours.encode(t)] != want:
            bad.append(("encode", t))
        for skip in (False, True):
            if ours.decode(e["input_ids"], skip) != hf.decode(e["input_ids"], skip_special_tokens=skip):
                bad.append(("decode", t))
        e = hf(t, "the other text", truncation=True, max_length=16)
        got = ours.encode(t, "the other text", max_tokens=16)
        if [row[0] for row in got] != e["input_ids"] or \
                [row[3] for row in got] != e.get("token_type_ids", [row[3] for row in got]):
            bad.append(("cut pair", t))
    bad += [("id", i) for i in range(len(hf)) if ours.decode([i]) != hf.decode([i])]
    ours.close()
    return bad


FOLDERS = {
    # name: (files taken over, tokenizer_config.json, special_tokens_map.json, added_tokens.json)
    "vocab.txt alone": (["vocab.txt"], None, None, None),
    "vocab.txt, cased": (["vocab.txt"], {"do_lower_case": False, "tokenizer_class": "BertTokenizer"}, None, None),
    "vocab.txt, accents and no chinese": (
        ["vocab.txt"], {"do_lower_case": True, "strip_accents": False, "tokenize_chinese_chars": False}, None, None),
    "vocab.txt, new tokens": (
        ["vocab.txt"], {"mask_token": "[NEWMASK]", "additional_special_tokens": ["<e1>", "<e2>"]}, None, None),
    "vocab.txt, added_tokens_decoder": (
        ["vocab.txt"], {"clean_up_tokenization_spaces": True, "added_tokens_decoder": {
            "0": token("[PAD]"), "100": token("[UNK]"), "101": token("[CLS]"), "102": token("[SEP]"),
            "103": token("[MASK]"), "30522": token("the new", normalized=True, special=False)}}, None, None),
    "vocab.txt, special_tokens_map": (
        ["vocab.txt"], {}, {"mask_token": {"content": "[MASK]", "lstrip": True, "rstrip": False,
                                           "single_word": False, "normalized": False}}, None),
    "vocab.txt, added_tokens": (["vocab.txt"], {}, None, {"zzword": 30522, "[other]": 30523}),
    "tokenizer.json alone": (["tokenizer.json"], None, None, None),
    "tokenizer.json, cased by config": (["tokenizer.json", "vocab.txt"], {"do_lower_case": False}, None, None),
    "tokenizer.json, generic class": (
        ["tokenizer.json"], {"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}, None, None),
    "tokenizer.json, cleaned up": (["tokenizer.json"], {"clean_up_tokenization_spaces": True}, None, None),
    "tokenizer.json, new tokens": (
        ["tokenizer.json"], {"mask_token": "[NEWMASK]", "additional_special_tokens": ["<e1>"]}, None, None),
    "all of MiniLM's": (["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"],
                        None, None, None),
}


def main():
    failed = False
    for name, (taken, *own) in FOLDERS.items():
        with tempfile.TemporaryDirectory() as tmp:
            for f in taken:
                shutil.copy(MODEL / f, tmp)
            (Path(tmp) / "config.json").write_text('{"model_type": "bert"}')
            for f, v in zip(("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"), own):
                if v is not None:
                    (Path(tmp) / f).write_text(json.dumps(v))
            bad = differences(sys.argv[1], tmp)
        print(f"transformers {__version__}, {name}: {len(bad)} differ", *bad[:3], flush=True)
        failed |= bool(bad)
    return failed


if __name__ == "__main__":
    sys.exit(main())
