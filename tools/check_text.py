#!/usr/bin/env python3
"""Fails on what has no place in a C file: // comments, dead code, work left for later, a first line that does not say
which file it is."""
import re

import source

WORDS = {
    "TODO": "do it, or open an issue",
    "FIXME": "do it, or open an issue",
    "XXX": "do it, or open an issue",
    "HACK": "do it right, or say why not",
}
WORD = re.compile(r"\b(" + "|".join(WORDS) + r")\b")
DEAD = re.compile(r"^\s*#\s*if\s+(0|1)\b", re.M)
SLASHES = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|(//[^\n]*)', re.S)


def check(path):
    name, text = source.name(path), path.read_text()
    begins = f"/* {name.removeprefix('src/')} - " if name.startswith("src/") else ""
    def at(match, group=0):
        return f"{name}:{text.count(chr(10), 0, match.start(group)) + 1}"

    problems = []
    if not text.startswith(begins):
        problems.append(f"{name}:1: does not begin with \"{begins}\" and what it is for")
    problems += [f"{at(m)}: {m[1]}: {WORDS[m[1]]}" for m in WORD.finditer(text)]
    problems += [f"{at(m)}: #if {m[1]}: dead code" for m in DEAD.finditer(text)]
    problems += [f"{at(m, 1)}: comments are /* like this */" for m in SLASHES.finditer(text) if m[1]]
    return problems


def main():
    files = [p for p in source.c_files() if not source.name(p).startswith("src/token/tables/")]
    source.finish([p for f in files for p in check(f)], f"{len(files)} files")


if __name__ == "__main__":
    main()
