#!/usr/bin/env python3
"""Writes src/token/tables/unicode_table.c from what the tokenizers library does.

    make_unicode_tables.py [OUT]

Every code point goes through the installed tokenizers wheel (0.23.3 made the
committed table), so that the C code equals the wheel whatever Unicode version
each of its parts was built with. Nothing is taken from Python's unicodedata.
"""
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

SURROGATES = range(0xD800, 0xE000)
POINTS = [cp for cp in range(0x110000) if cp not in SURROGATES]
BLOCK = 128
HANGUL = range(0xAC00, 0xAC00 + 11172)  # decomposed by arithmetic in C
FLAGS = ["DROP", "BLANK", "SPACE", "PUNCT", "CJK", "MN", "MARK", "WORD"]


def norm(n):
    return n.normalize_str


def bert(**kw):
    flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return norm(normalizers.BertNormalizer(**{**flags, **kw}))


def splits(pre, text):
    return [t for t, _ in pre.pre_tokenize_str(text)]


class Added:
    """What an added token sees in the character beside it."""

    def __init__(self, **kw):
        self.t = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
        self.t.add_tokens([AddedToken("X", normalized=False, **kw)])
        self.id = self.t.token_to_id("X")

    def start(self, text):
        e = self.t.encode(text)
        return next((o[0] for i, o in zip(e.ids, e.offsets) if i == self.id), None)


def flag_sets():
    """{flag: set of code points}"""
    clean, cjk = bert(clean_text=True), bert(handle_chinese_chars=True)
    bert_pre, split = pre_tokenizers.BertPreTokenizer(), pre_tokenizers.WhitespaceSplit()
    regex, punct = pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()
    mn, marks = bert(strip_accents=True), norm(normalizers.StripAccents())
    single, left = Added(single_word=True), Added(lstrip=True)
    sets = {name: set() for name in FLAGS}
    for cp in POINTS:
        c = chr(cp)
        text = "a" + c + "b"
        cleaned = clean(text)
        if cleaned == "ab":
            sets["DROP"].add(cp)
        elif cleaned == "a b":
            sets["BLANK"].add(cp)
        elif cleaned != text:
            raise SystemExit(f"U+{cp:04X}: clean_text gives {cleaned!r}")
        got = splits(bert_pre, text)
        if got == ["a", "b"]:
            sets["SPACE"].add(cp)
        elif got == ["a", c, "b"]:
            sets["PUNCT"].add(cp)
        if cjk(text) != text:
            sets["CJK"].add(cp)
        if mn("a" + c) == "a":
            sets["MN"].add(cp)
        if marks("a" + c) == "a":
            sets["MARK"].add(cp)
        if splits(regex, text) == [text]:
            sets["WORD"].add(cp)
        # One class each for what four parts of the library ask.
        space, word = cp in sets["SPACE"], cp in sets["WORD"]
        if (splits(split, text) == ["a", "b"]) != space:
            raise SystemExit(f"U+{cp:04X}: WhitespaceSplit differs from BertPreTokenizer")
        if not word and (splits(regex, text) == ["a", "b"]) != space:
            raise SystemExit(f"U+{cp:04X}: Whitespace differs from BertPreTokenizer")
        if (splits(punct, text) == ["a", c, "b"]) != (cp in sets["PUNCT"]):
            raise SystemExit(f"U+{cp:04X}: Punctuation differs from BertPreTokenizer")
        if c != "X" and (single.start(c + "X") is None) != word:
            raise SystemExit(f"U+{cp:04X}: single_word differs from Whitespace")
        if c != "X" and (left.start("a" + c + "X") == 1) != space:
            raise SystemExit(f"U+{cp:04X}: lstrip differs from BertPreTokenizer")
    return sets


def decompositions(kind):
    f = norm(kind())
    found = {}
    for cp in POINTS:
        d = f(chr(cp))
        if d != chr(cp):
            found[cp] = tuple(map(ord, d))
    return found


def hangul_is_arithmetic(nfd):
    for cp in HANGUL:
        s = cp - 0xAC00
        t = s % 28
        want = (0x1100 + s // 588, 0x1161 + s % 588 // 28) + ((0x11A7 + t,) if t else ())
        if nfd.pop(cp) != want:
            raise SystemExit(f"U+{cp:04X}: not decomposed by the Hangul formula")


def combining_classes(nfd):
    """{cp: rank}: ranks order as the combining classes do; only order matters.

    a + b is reordered exactly when 0 < class(b) < class(a), so comparing each
    mark with one member of every class found so far sorts it into its place.
    """
    f = norm(normalizers.NFD())

    def swaps(a, b):
        return f("a" + chr(a) + chr(b)) == "a" + chr(b) + chr(a)

    # U+0345 has the highest class, U+0334 the lowest: every mark but those two
    # swaps with one of them.
    low, high = 0x334, 0x345
    marks = [cp for cp in POINTS if cp not in nfd and cp not in HANGUL
             and cp not in (low, high) and (swaps(high, cp) or swaps(cp, low))]
    classes = [[low], [high]]
    for cp in marks:
        at = 0
        while at < len(classes) and swaps(cp, classes[at][0]):
            at += 1
        # classes[:at] are below cp; classes[at] is its equal or above it
        if at < len(classes) and not swaps(classes[at][0], cp):
            classes[at].append(cp)
        else:
            classes.insert(at, [cp])
    return {cp: rank + 1 for rank, members in enumerate(classes) for cp in members}


def compositions(nfd):
    """[(first, second, composed)], Hangul apart."""
    f = norm(normalizers.NFC())
    found = []
    for cp, d in nfd.items():
        if len(d) < 2 or f(chr(cp)) != chr(cp):
            continue
        first = f("".join(map(chr, d[:-1])))
        if len(first) != 1 or f(first + chr(d[-1])) != chr(cp):
            raise SystemExit(f"U+{cp:04X}: is composed in another way")
        found.append((ord(first), d[-1], cp))
    return sorted(found)


def lowercase():
    f, g = norm(normalizers.Lowercase()), bert(lowercase=True)
    found = {}
    for cp in POINTS:
        low = f(chr(cp))
        if g(chr(cp)) != low:
            raise SystemExit(f"U+{cp:04X}: BertNormalizer lowers it in another way")
        if low != chr(cp):
            found[cp] = tuple(map(ord, low))
    return found


class Pool:
    """Code points of all mappings, one after another; 0 is no place."""

    def __init__(self):
        self.points, self.at = [0], {}

    def place(self, seq):
        if not seq:
            return 0, 0
        if seq not in self.at:
            self.at[seq] = len(self.points)
            self.points += seq
        return self.at[seq], len(seq)


def build():
    sets = flag_sets()
    nfd = decompositions(normalizers.NFD)
    nfkd = decompositions(normalizers.NFKD)
    hangul_is_arithmetic(nfd)
    hangul_is_arithmetic(nfkd)
    ranks, lower, pairs = combining_classes(nfd), lowercase(), compositions(nfd)
    pool, chars, blocks, stage1 = Pool(), {}, {}, []
    for start in range(0, 0x110000, BLOCK):
        block = []
        for cp in range(start, start + BLOCK):
            flags = sum(1 << i for i, name in enumerate(FLAGS) if cp in sets[name])
            low = lower.get(cp, (cp,))
            # One code point: by difference, so that alphabets share a record.
            delta, low_at = (low[0] - cp, (0, 0)) if len(low) == 1 else (0, pool.place(low))
            compat = nfkd.get(cp, ())
            canon = nfd.get(cp, ())
            key = (delta, flags, ranks.get(cp, 0), low_at, pool.place(canon), pool.place(compat))
            block.append(chars.setdefault(key, len(chars)))
        stage1.append(blocks.setdefault(tuple(block), len(blocks)))
    return pool.points, list(chars), list(blocks), stage1, pairs


def rows(values, per, fmt="{}"):
    out = []
    for i in range(0, len(values), per):
        out.append("    " + ", ".join(fmt.format(v) for v in values[i:i + per]) + ",\n")
    return "".join(out)


def write(out, points, chars, blocks, stage1, pairs):
    def record(k):
        delta, flags, rank, low, canon, compat = k
        return (f"{{{delta}, {low[0]}, {canon[0]}, {compat[0]}, {flags}, {rank}, "
                f"{low[1]}, {canon[1]}, {compat[1]}}}")

    assert len(points) < 65536 and len(chars) < 65536 and len(blocks) < 65536
    out.write(f"/* token/tables/unicode_table.c - made by tools/make_unicode_tables.py with\n"
              f" * tokenizers {tokenizers.__version__}; not to be edited. */\n"
              '#include "token/unicode.h"\n\n/* clang-format off */\n')
    out.write(f"const uint32_t unicode_points[{len(points)}] = {{\n{rows(points, 12)}}};\n")
    out.write(f"const struct unicode_char unicode_chars[{len(chars)}] = {{\n"
              f"{rows([record(k) for k in chars], 3)}}};\n")
    out.write(f"const uint16_t unicode_stage1[{len(stage1)}] = {{\n{rows(stage1, 20)}}};\n")
    flat = [v for b in blocks for v in b]
    out.write(f"const uint16_t unicode_stage2[{len(flat)}] = {{\n{rows(flat, 20)}}};\n")
    out.write(f"const struct unicode_pair unicode_pairs[{len(pairs)}] = {{\n"
              f"{rows(['{%d, %d, %d}' % p for p in pairs], 5)}}};\n"
              f"const size_t unicode_n_pairs = {len(pairs)};\n")


if __name__ == "__main__":
    path = sys.argv[1] if len(sys.argv) > 1 else "src/token/tables/unicode_table.c"
    made = build()
    with open(path, "w", encoding="ascii") as f:
        write(f, *made)
