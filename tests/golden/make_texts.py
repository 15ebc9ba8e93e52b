#!/usr/bin/env python3
"""Makes the 2,000 golden texts and what the reference libraries give for them.

    make_texts.py [--only-tokens]

Written beside this script:
    texts.json            what made them: versions, seed, counts
    texts.jsonl           one JSON string a line
    texts.tokens.bin      little-endian, for each text: u32 n, then n records of
                          u32 id, u32 start, u32 end (code points), by tokenizers
                          with special tokens, truncation and padding off
    texts.vectors.npy     float32 [2000][384], by sentence-transformers at
                          max_seq_length 256

The model is sentence-transformers/all-MiniLM-L6-v2 in
${BERTH_CACHE:-~/.cache/berth}/models. The texts are composed here, from a fixed
seed: words of the model's vocabulary, code points of scripts, and the oddities
that tokenizers trip over.
"""
import json
import os
import random
import struct
import sys
from pathlib import Path

import tokenizers

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("BERTH_CACHE")
             or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "berth")
NAME = "sentence-transformers/all-MiniLM-L6-v2"
MODEL = CACHE / "models" / NAME
SEED, COUNT, LONGEST = 20260101, 2000, 600

SCRIPTS = {
    "latin": [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F)],
    "vietnamese": [(0x61, 0x7A), (0x1EA0, 0x1EF9)],
    "greek": [(0x386, 0x3CE), (0x1F00, 0x1FFC)],
    "cyrillic": [(0x400, 0x52F)],
    "armenian": [(0x531, 0x556), (0x561, 0x587)],
    "georgian": [(0x10A0, 0x10FF), (0x1C90, 0x1CBF)],
    "hebrew": [(0x5D0, 0x5EA), (0x5B0, 0x5C7)],
    "arabic": [(0x620, 0x652), (0x671, 0x6D3)],
    "syriac": [(0x710, 0x74A)],
    "devanagari": [(0x900, 0x97F)],
    "bengali": [(0x980, 0x9FE)],
    "gurmukhi": [(0xA01, 0xA75)],
    "tamil": [(0xB82, 0xBFA)],
    "telugu": [(0xC00, 0xC7F)],
    "thai": [(0xE01, 0xE3A), (0xE3F, 0xE5B)],
    "tibetan": [(0xF00, 0xFBC)],
    "myanmar": [(0x1000, 0x109F)],
    "khmer": [(0x1780, 0x17F9)],
    "ethiopic": [(0x1200, 0x137C)],
    "cherokee": [(0x13A0, 0x13FD), (0xAB70, 0xABBF)],
    "hangul": [(0xAC00, 0xD7A3), (0x1100, 0x11FF)],
    "hiragana": [(0x3041, 0x309F)],
    "katakana": [(0x30A0, 0x30FF), (0xFF66, 0xFF9D)],
    "han": [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0xF900, 0xFAD9)],
}
SPACELESS = {"thai", "han", "hiragana", "katakana", "khmer", "tibetan", "myanmar"}
SPACES = [" ", " ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", "\u202f"]
MARKS = [(0x300, 0x36F), (0x1AB0, 0x1ABE), (0x20D0, 0x20F0), (0x5B0, 0x5BD), (0x93C, 0x94D), (0x64B, 0x655)]
CONTROLS = [0, 1, 7, 8, 0xB, 0xC, 0x1B, 0x7F, 0x80, 0x85, 0x9F, 0xAD, 0x200B, 0x200C, 0x200D, 0x200E,
            0x202A, 0x2060, 0xFEFF, 0xFFF9, 0xFFFD, 0xE000, 0xE0001, 0x10FFFD, 0x378, 0xFFFF]
FACES = [(0x1F600, 0x1F64F), (0x1F300, 0x1F5FF), (0x1F680, 0x1F6C5), (0x2600, 0x26FF), (0x1F900, 0x1F9FF)]
ZWJ = ["\U0001F468\u200d\U0001F469\u200d\U0001F467\u200d\U0001F466", "\U0001F3F3\ufe0f\u200d\U0001F308",
       "\U0001F469\U0001F3FD\u200d\U0001F4BB", "\u2764\ufe0f\u200d\U0001F525", "1\ufe0f\u20e3",
       "\U0001F1E9\U0001F1EA", "\U0001F44D\U0001F3FF"]
SPECIALS = ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "[UNK]", "[mask]", "[ MASK ]", "[[MASK]]", "[MASK][MASK]",
            "x[MASK]y", "[unused1]", "##ing", "<s>", "</s>"]
SNIPPETS = ["https://example.org/a?b=c&d=%20e#f", "me@example.com", "3.14159", "1,000,000", "$9.99", "-40°C",
            "don't", "it's", "I'M", "WE'RE", "ﬁnance", "①②③", "½", "x²+y³", "İstanbul", "ẞtraße", "ΑΣ", "ǅ",
            "e\u0301\u0323", "Å", "\u212b", "\u2126", "for(i=0;i<n;++i){a[i]=~b;}", "a_b-c", "…", "“q”", "—",
            "C:\\dir\\file", "`x`", "\u0344", "\u0f73", "𝒳𝔞𝕓", "ﷺ", "㍿", "\u1e9b\u0323"]


def point(r, ranges):
    lo, hi = r.choice(ranges)
    return chr(r.randint(lo, hi))


def word(r, script):
    n = min(12, 1 + int(r.expovariate(0.25)))
    return "".join(point(r, SCRIPTS[script]) for _ in range(n))


def cased(r, w):
    return r.choice([w, w, w, w.capitalize(), w.upper(), w.title()])


class Composer:
    def __init__(self, words):
        self.r = random.Random(SEED)
        self.words = [w for w in words if not w.startswith("[")]
        self.kinds = [self.prose, self.prose, self.prose, self.one_script, self.one_script, self.scripts,
                      self.emoji, self.controls, self.marks, self.long_words, self.cjk, self.spaces,
                      self.specials, self.snippets, self.anything]

    def prose(self):
        w = self.r.choice(self.words)
        if w.startswith("##"):
            w = self.r.choice(self.words).removeprefix("##") + w[2:]
        return cased(self.r, w) + self.r.choice([" "] * 12 + [", ", ". ", "! ", "? ", "; ", " - ", "'s "])

    def script(self, name):
        return word(self.r, name) + ("" if name in SPACELESS and self.r.random() < 0.8 else " ")

    def one_script(self):
        return self.script(self.name)

    def scripts(self):
        return self.script(self.r.choice(list(SCRIPTS)))

    def emoji(self):
        r = self.r
        return r.choice([point(r, FACES), r.choice(ZWJ), self.prose()]) + r.choice(["", "", " "])

    def controls(self):
        r = self.r
        return r.choice([chr(r.choice(CONTROLS)), self.prose(), word(r, "latin")])

    def marks(self):
        r = self.r
        return word(r, r.choice(list(SCRIPTS)))[:2] + "".join(
            point(r, MARKS) for _ in range(r.choice([1, 1, 2, 3, 9]))) + r.choice(["", " "])

    def long_words(self):
        r = self.r
        n = r.choice([99, 100, 101, 130, 300])
        return r.choice(["a" * n + " ", "".join(word(r, "latin") for _ in range(n))[:n] + " ",
                         "é" * n + " ", self.prose(), "x" * n + "中", "0" * n + ". "])

    def cjk(self):
        r = self.r
        return r.choice([word(r, "han"), word(r, "hiragana"), word(r, "katakana"), word(r, "hangul"), "。", "、",
                         self.prose().strip(), "（", "）", "１２３ＡＢＣ"])

    def spaces(self):
        return self.prose().strip() + "".join(self.r.choice(SPACES) for _ in range(self.r.randint(1, 4)))

    def specials(self):
        return self.r.choice([self.r.choice(SPECIALS) + self.r.choice(["", " "]), self.prose()])

    def snippets(self):
        return self.r.choice(SNIPPETS) + self.r.choice(["", " ", " ", ". "])

    def anything(self):
        while True:
            cp = self.r.choice([self.r.randrange(0x110000), self.r.randrange(0x3000), self.r.randrange(0x20000)])
            if not 0xD800 <= cp < 0xE000:
                return chr(cp) + self.r.choice(["", "", "", " "])

    def text(self, count):
        """A text of 1 to LONGEST tokens, its length spread evenly over the scale of orders."""
        kind, self.name = self.r.choice(self.kinds), self.r.choice(list(SCRIPTS))
        target = int(round(LONGEST ** self.r.random()))
        made = kind()
        step = 1
        while count(made) < target:
            made += "".join(kind() for _ in range(step))
            step = max(1, (target - count(made)) // 8)
        while count(made) > LONGEST:
            made = made[:-1]
        return made


def compose(tok):
    c = Composer((MODEL / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1])

    def count(text):
        return len(tok.encode(text, add_special_tokens=False).ids)

    texts = ["", " ", "a", "\u0000", "[MASK]", "The quick brown fox jumps over the lazy dog."]
    seen = set(texts)
    while len(texts) < COUNT:
        t = c.text(count)
        if t not in seen:
            seen.add(t)
            texts.append(t)
    return texts


def write_tokens(tok, texts):
    total = 0
    with open(HERE / "texts.tokens.bin", "wb") as f:
        for text in texts:
            e = tok.encode(text)
            total += len(e.ids)
            f.write(struct.pack("<I", len(e.ids)))
            for i, (start, end) in zip(e.ids, e.offsets):
                f.write(struct.pack("<3I", i, start, end))
    return total


def write_vectors(texts):
    import numpy as np
    import sentence_transformers
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(MODEL), device="cpu")
    assert model.max_seq_length == 256
    vectors = model.encode(texts, batch_size=32, convert_to_numpy=True)
    assert vectors.dtype == np.float32 and vectors.shape == (len(texts), 384)
    np.save(HERE / "texts.vectors.npy", vectors)
    return {"sentence-transformers": sentence_transformers.__version__,
            "transformers": transformers.__version__, "torch": torch.__version__}


def main():
    tok = tokenizers.Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tok.no_truncation()
    tok.no_padding()
    texts = compose(tok)
    with open(HERE / "texts.jsonl", "w", encoding="ascii") as f:
        for t in texts:
            f.write(json.dumps(t) + "\n")
    about = {"model": NAME, "seed": SEED, "texts": len(texts), "tokens": write_tokens(tok, texts),
             "versions": {"tokenizers": tokenizers.__version__}}
    if "--only-tokens" not in sys.argv:
        about["max_seq_length"] = 256
        about["versions"] |= write_vectors(texts)
    (HERE / "texts.json").write_text(json.dumps(about, indent=2) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
