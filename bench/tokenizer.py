#!/usr/bin/env python3
"""The tokenizer beside the tokenizers library: tokenizer.py BUILD [--json]

One thread each, taking turns, pass by pass, over the same texts; the ids are
compared first. MB of UTF-8 per second of the thread's CPU time, so that other
work on the machine counts for neither. ids: against encode_batch_fast; offsets: against encode_batch.
Texts: the English of this tree's own pages, and the 2,000 golden texts.
"""
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, __version__  # noqa: E402

from rows import row  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("BERTH_CACHE")
             or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "berth")
MODEL = CACHE / "models/sentence-transformers/all-MiniLM-L6-v2"
ROUNDS = 9


def english():
    """The pages and the comments of this tree, again and again up to 1 MB."""
    pages = [p.read_text(encoding="utf-8") for p in sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md"))]
    for f in sorted(ROOT.glob("src/**/*.[ch]")):
        pages += re.findall(r"/\*(.+?)\*/", f.read_text(encoding="utf-8"), re.S)
    parts = [" ".join(p.replace("\n *", "\n").split()) for page in pages for p in page.split("\n\n")]
    parts = [p for p in parts if len(p) > 200]
    return parts * (1 + 1_000_000 // sum(map(len, parts)))


def golden():
    with open(ROOT / "tests/golden/texts.jsonl", encoding="ascii") as f:
        return [json.loads(line) for line in f]


class Ours:
    def __init__(self, build, texts, folder):
        path = Path(folder) / "texts"
        path.write_bytes(b"".join(struct.pack("<I", len(t)) + t for t in (s.encode() for s in texts)))
        self.p = subprocess.Popen([str(Path(build) / "bench/bench_token"), str(MODEL), str(path)], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.open_ms = self.answer()[0] / 1e6

    def answer(self):
        return list(map(int, self.p.stdout.readline().split()))

    def run(self, what):
        self.p.stdin.write(what + "\n")
        self.p.stdin.flush()
        ns, tokens, total = self.answer()
        return ns / 1e9, tokens, total


def measure(build, case, texts, tok):
    mb = sum(len(t.encode()) for t in texts) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(build, texts, folder)
        for what, peer in (("ids", tok.encode_batch_fast), ("offsets", tok.encode_batch)):
            mine, theirs = [], []
            for _ in range(ROUNDS):
                seconds, tokens, total = ours.run(what)
                mine.append(mb / seconds)
                start = time.thread_time()
                got = peer(texts)
                theirs.append(mb / (time.thread_time() - start))
                if tokens != sum(len(e.ids) for e in got) or total != sum(sum(e.ids) for e in got):
                    raise SystemExit(f"{case}: the ids differ")
            row("token", f"{case} {what}", "MB/s", statistics.median(mine), f"tokenizers {__version__}",
                statistics.median(theirs), lower_is_better=False, dtype="-", open_ms=round(ours.open_ms, 1),
                best=round(max(mine), 1), peer_best=round(max(theirs), 1), mb=round(mb, 2))
        ours.p.stdin.close()
        ours.p.wait()


def main():
    tok = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    tok.no_truncation()
    tok.no_padding()
    measure(sys.argv[1], "english", english(), tok)
    measure(sys.argv[1], "golden", golden(), tok)


if __name__ == "__main__":
    main()
