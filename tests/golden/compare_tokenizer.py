#!/usr/bin/env python3
"""Compares our tokenizer with the tokenizers library, case by case.

    compare_tokenizer.py TOOL sweep            every code point, alone and between letters
    compare_tokenizer.py TOOL fuzz N [SEED]    N random cases over all variants
    compare_tokenizer.py TOOL decode N [SEED]  N random lists of ids

TOOL is the built token_tool. The variants are tokenizers made here with the
library: flags of BertNormalizer, other normalizers and pre-tokenizers, added
tokens of every kind, post-processors; and the real one of
sentence-transformers/all-MiniLM-L6-v2. Exits with 1 at the first differences.
"""
import json
import os
import random
import struct
import sys
import tempfile
import threading
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

sys.path.insert(0, str(Path(__file__).resolve().parent))
from make_texts import CONTROLS, FACES, MARKS, MODEL, SCRIPTS, SNIPPETS, SPACES, SPECIALS, ZWJ  # noqa: E402
from tokenpipe import OFFSETS, SPECIALS as WITH_SPECIALS, TokenPipe  # noqa: E402

BATCH = 2000
SURROGATES = range(0xD800, 0xE000)
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def points_vocab():
    """Every code point of planes 0 and 1, first and inner: nothing hides in an unknown token."""
    chars = [chr(c) for c in range(0x20000) if c not in SURROGATES]
    return {t: i for i, t in enumerate(BERT + chars + ["##" + c for c in chars])}


def letters_vocab():
    chars = "abcdefghijklmnopqrstuvwxyzßéAB0123456789.,!?'-_中文가"
    words = ["the", "then", "##en", "ab", "##bc", "abc", "do", "not", "n't", "##ss", "xx", "##", "[x]"]
    return {t: i for i, t in enumerate(dict.fromkeys(BERT + list(chars) + ["##" + c for c in chars] + words))}


def build(vocab, norm, pre, post="template", added=()):
    t = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    if norm:
        t.normalizer = norm
    if pre:
        t.pre_tokenizer = pre
    cls, sep = ("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])
    if post == "template":
        t.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[cls, sep])
    elif post == "odd":
        t.post_processor = processors.TemplateProcessing(
            single="$A:3 [SEP]", pair="[SEP]:2 $B:5 [CLS] [CLS] $A:7", special_tokens=[cls, sep])
    elif post == "bert":
        t.post_processor = processors.BertProcessing(sep, cls)
    t.decoder = decoders.WordPiece()
    t.add_special_tokens(BERT)
    if added:
        t.add_tokens(list(added))
    return t


def bert(clean=True, chinese=True, strip=None, lower=True):
    return normalizers.BertNormalizer(clean_text=clean, handle_chinese_chars=chinese,
                                      strip_accents=strip, lowercase=lower)


def added_tokens():
    a = AddedToken
    return [a("[x]", normalized=False), a("[x]y", normalized=False), a("ab", single_word=True, normalized=False),
            a("<l>", lstrip=True, normalized=False), a("<r>", rstrip=True, normalized=False),
            a("<lr>", lstrip=True, rstrip=True, normalized=False), a("Été", normalized=True),
            a("NORM", normalized=True, single_word=True), a(" z ", normalized=True, lstrip=True, rstrip=True),
            a("\n", normalized=False), a("中中", normalized=True), a("\t", lstrip=True, rstrip=True, normalized=False)]


def variants():
    points, letters = points_vocab(), letters_vocab()
    n, p = normalizers, pre_tokenizers
    made = {
        "uncased": build(points, bert(), p.BertPreTokenizer()),
        "cased": build(points, bert(lower=False), p.BertPreTokenizer(), "bert"),
        "lower, accents kept": build(points, bert(strip=False), p.BertPreTokenizer(), None),
        "stripped, case kept": build(points, bert(lower=False, strip=True), p.BertPreTokenizer(), "odd"),
        "not cleaned": build(points, bert(clean=False), p.BertPreTokenizer()),
        "no chinese": build(points, bert(chinese=False), p.BertPreTokenizer()),
        "added": build(points, bert(), p.BertPreTokenizer(), "template", added_tokens()),
        "added, cased": build(letters, bert(lower=False), p.BertPreTokenizer(), "bert", added_tokens()),
        "letters": build(letters, bert(), p.BertPreTokenizer()),
        "nfd": build(points, n.NFD(), p.Whitespace()),
        "nfc": build(points, n.NFC(), p.WhitespaceSplit()),
        "nfkd": build(points, n.NFKD(), p.Punctuation()),
        "nfkc": build(points, n.NFKC(), p.Punctuation("contiguous")),
        "sequence": build(points, n.Sequence([n.NFD(), n.StripAccents(), n.Lowercase()]),
                          p.Sequence([p.WhitespaceSplit(), p.Punctuation("removed")])),
        "two": build(points, n.Sequence([n.NFKC(), bert()]), p.Sequence([p.Whitespace(), p.BertPreTokenizer()]),
                     "template", added_tokens()),
        "bare": build(points, None, None, None),
        "MiniLM": Tokenizer.from_file(str(MODEL / "tokenizer.json")),
    }
    made["MiniLM"].no_truncation()
    made["MiniLM"].no_padding()
    return made


class Pair:
    """The library's tokenizer and ours, of the same file."""

    def __init__(self, tool, name, tok, folder):
        self.name, self.tok = name, tok
        folder = Path(folder) / str(abs(hash(name)))
        folder.mkdir()
        tok.save(str(folder / "tokenizer.json"))
        self.pipe = TokenPipe(tool, folder)

    def expect(self, case):
        a, b, specials, cut = case
        if cut:
            self.tok.enable_truncation(cut)
        e = self.tok.encode(a, b, add_special_tokens=specials)
        if cut:
            self.tok.no_truncation()
        return [(i, s, t, k) for i, (s, t), k in zip(e.ids, e.offsets, e.type_ids)]

    def differences(self, cases):
        def write():
            for a, b, specials, cut in cases:
                flags = OFFSETS | (WITH_SPECIALS if specials else 0)
                self.pipe.p.stdin.write(self.pipe.request(a, b, flags, cut))
            self.pipe.p.stdin.flush()

        writer = threading.Thread(target=write)
        writer.start()
        bad = []
        for case in cases:
            got, want = self.pipe.rows(), self.expect(case)
            if got != want:
                bad.append((self.name, case, got, want))
        writer.join()
        return bad


def report(done, bad, what):
    for name, case, got, want in bad[:5]:
        print(f"{name}: {case!r}\n  ours {got}\n  want {want}")
    print(f"{what}: {done} cases, {len(bad)} differ", flush=True)
    return bool(bad)


def sweep(tool, folder):
    failed = False
    names = sys.argv[3:]
    for name, tok in variants().items():
        if names and name not in names:
            continue
        pair, done, bad, cases = Pair(tool, name, tok, folder), 0, [], []
        for cp in range(0x110001):
            if cp in SURROGATES:
                continue
            if cp < 0x110000:
                cases += [(chr(cp), None, False, 0), ("a" + chr(cp) + "b", None, False, 0)]
            if len(cases) >= BATCH or cp == 0x110000:
                bad += pair.differences(cases)
                done += len(cases)
                cases = []
        pair.pipe.close()
        failed |= report(done, bad, f"sweep, {name}")
    return failed


class Composer:
    def __init__(self, seed, pool):
        self.r, self.pool = random.Random(seed), pool

    def char(self):
        r = self.r
        k = r.randrange(10)
        if k < 3:
            return chr(r.randrange(0x20, 0x7F))
        if k < 6:
            return chr(r.choice(self.pool))
        if k == 6:
            lo, hi = r.choice(r.choice([MARKS, FACES, SCRIPTS["hangul"], SCRIPTS["han"], SCRIPTS["vietnamese"]]))
            return chr(r.randint(lo, hi))
        if k == 7:
            return r.choice([" ", " ", r.choice(SPACES), chr(r.choice(CONTROLS))])
        cp = r.randrange(r.choice([0x250, 0x3000, 0x20000, 0x110000]))
        return "?" if cp in SURROGATES else chr(cp)

    def token(self):
        return self.r.choice(["[x]", "[x]y", "ab", "<l>", "<r>", "<lr>", "Été", "ÉTÉ", "ete", "NORM", "norm", " z ",
                              "\n", "\t", " \t \t\n\t", "中中", "the", "don't", "abc"] + SPECIALS + SNIPPETS + ZWJ)

    def text(self):
        r = self.r
        n = r.choice([0, 1, 1, 2, 3, 4, 6, 8, 12, 20, 40])
        parts = [self.token() if r.random() < 0.15 else self.char() for _ in range(n)]
        if r.random() < 0.02:
            parts.append(self.char() * r.choice([99, 100, 101, 102, 260]))
            r.shuffle(parts)
        return "".join(parts)

    def case(self):
        r = self.r
        b = self.text() if r.random() < 0.25 else None
        return self.text(), b, r.random() < 0.5, r.randint(5, 16) if r.random() < 0.1 else 0


def interesting():
    """Code points that some step changes."""
    steps = [normalizers.NFD(), normalizers.NFKD(), normalizers.Lowercase(), bert(), normalizers.StripAccents()]
    return [cp for cp in range(0x20, 0x110000) if cp not in SURROGATES
            and not 0xAC00 <= cp < 0xD7A4 and not 0x4E00 <= cp < 0xA000 and not 0x20000 <= cp < 0x2F800
            and not 0xE000 <= cp < 0xF900 and cp < 0xF0000
            and any(s.normalize_str("a" + chr(cp)) != "a" + chr(cp) for s in steps)]


def fuzz(tool, folder):
    count, seed = int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1
    composer, failed = Composer(seed, interesting()), False
    made = variants()
    for name, tok in made.items():
        pair, done, bad = Pair(tool, name, tok, folder), 0, []
        while done < count // len(made):
            cases = [composer.case() for _ in range(BATCH)]
            bad += pair.differences(cases)
            done += len(cases)
        pair.pipe.close()
        failed |= report(done, bad, f"fuzz seed {seed}, {name}")
    return failed


def decode(tool, folder):
    count, seed = int(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 1
    r, tok = random.Random(seed), Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    pair, bad = Pair(tool, "MiniLM", tok, folder), []
    marks = [tok.token_to_id(t) for t in ".,?!'`" + "tsmd"] + [tok.token_to_id(t) for t in (
        "n", "do", "not", "##'", "ve", "re", "don", "##t", "it", "[CLS]", "[MASK]", "[SEP]")]
    for _ in range(count):
        ids = [r.choice(marks) if r.random() < 0.6 else r.randrange(tok.get_vocab_size() + 5)
               for _ in range(r.randint(0, 12))]
        skip = r.random() < 0.5
        got, want = pair.pipe.decode(ids, skip), tok.decode(ids, skip_special_tokens=skip)
        if got != want:
            bad.append(("decode", (ids, skip), got, want))
    return report(count, bad, f"decode seed {seed}")


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    modes = {"sweep": sweep, "fuzz": fuzz, "decode": decode}
    if len(sys.argv) < 3 or sys.argv[2] not in modes:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as tmp:
        sys.exit(modes[sys.argv[2]](sys.argv[1], tmp))
