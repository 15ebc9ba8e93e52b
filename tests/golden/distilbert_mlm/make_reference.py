#!/usr/bin/env python3
"""Writes reference.json and logits.npy beside itself: what Transformers answers for weights.py's model.

    make_reference.py VOCAB     (VOCAB: vocab.txt of sentence-transformers/all-MiniLM-L6-v2)

Needs torch and transformers; the versions are recorded in reference.json.
"""
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers

import weights

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "The capital of France is [MASK].",
    "[MASK] is the first word of this sentence, and it is hidden.",
    "A man is eating [MASK] while the others, who came late, wait for theirs in the rain.",
    "café [MASK] 北京!",
]
TARGETS = ["paris", "london", "berlin"]


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        digest = weights.write_model(folder, sys.argv[1])
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForMaskedLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager").eval()
        pipe = transformers.pipeline("fill-mask", model=model, tokenizer=tokenizer, top_k=20)
        cases, logits = [], []
        for text in TEXTS:
            ids = tokenizer(text)["input_ids"]
            place = ids.index(tokenizer.mask_token_id)
            with torch.inference_mode():
                row = model(input_ids=torch.tensor([ids])).logits[0, place]
            logits.append(row.numpy())
            cases.append({"text": text, "ids": ids, "mask": place, "top": pipe(text),
                          "targets": pipe(text, targets=TARGETS)})
    np.save(HERE / "logits.npy", np.stack(logits).astype("<f4"))
    versions = {"transformers": transformers.__version__, "torch": torch.__version__, "numpy": np.__version__}
    (HERE / "reference.json").write_text(json.dumps(
        {"versions": versions, "sha256": digest, "target_words": TARGETS, "cases": cases}, ensure_ascii=False, indent=1) + "\n")
    for case in cases:
        print(case["text"], [(t["token_str"], round(t["score"], 3)) for t in case["top"][:3]])


main()
