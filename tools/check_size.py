#!/usr/bin/env python3
"""Fails on a function over 100 lines, a file over 800, nesting over 4. --report prints how large things are.

The files are laid out by clang-format, so a function's body is what stands between "{" and "}" in the first column.
"""
import re
import statistics
import sys

import source

FUNCTION_LINES, FILE_LINES, NESTING = 100, 800, 4
EXEMPT = ("src/token/tables/",)  # generated
WORDS = re.compile(r"[A-Za-z_]\w*|[0-9][\w.]*|\S")
ATTRIBUTE = re.compile(r"__attribute__\s*\(\(.*?\)\)")
NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")


class Body:
    """A function's body as nested statements; finds how deep control goes."""

    def __init__(self, text):
        self.words = WORDS.findall(text)
        self.at = 0
        self.deepest = 0

    def peek(self):
        return self.words[self.at] if self.at < len(self.words) else "}"

    def skip_group(self, opens, closes):
        depth = 0
        while self.at < len(self.words):
            word = self.words[self.at]
            self.at += 1
            depth += (word == opens) - (word == closes)
            if depth == 0:
                return

    def block(self, depth):
        self.at += 1
        while self.at < len(self.words) and self.peek() != "}":
            self.statement(depth)
        self.at += 1

    def inner(self, depth):
        self.deepest = max(self.deepest, depth)
        self.statement(depth)

    def statement(self, depth):
        word = self.peek()
        if word == "{":
            self.block(depth)
        elif word in ("if", "while", "for", "switch"):
            self.control(depth)
        elif word == "do":
            self.at += 1
            self.inner(depth + 1)
            self.expression(depth)
        elif word in ("case", "default"):
            while self.at < len(self.words) and self.peek() != ":":
                self.at += 1
            self.at += 1
        else:
            self.expression(depth)

    def control(self, depth):
        self.at += 1
        self.skip_group("(", ")")
        if self.peek() == ";":
            self.at += 1
            return
        self.inner(depth + 1)
        if self.peek() == "else":
            self.at += 1
            if self.peek() == "if":
                self.control(depth)
            else:
                self.inner(depth + 1)

    def expression(self, depth):
        """To the semicolon; name(...) { is a loop made by a macro."""
        first = self.at
        while self.at < len(self.words):
            word = self.words[self.at]
            if word == "(":
                self.skip_group("(", ")")
                if self.at - first > 2 and self.peek() == "{" and self.words[first + 1] == "(":
                    self.inner(depth + 1)
                    return
            elif word in "{[":
                self.skip_group(word, {"{": "}", "[": "]"}[word])
            elif word == "}":
                return
            else:
                self.at += 1
                if word == ";" or (word == ":" and self.at - first == 2):
                    return


def functions(text):
    """(name, first line, lines, nesting) of each function of a file."""
    lines = source.without_comments(text).split("\n")
    start = None
    for i, line in enumerate(lines):
        if line == "{" and start is not None:
            head = ATTRIBUTE.sub("", " ".join(lines[start:i]))
            called = NAME.search(head)
            end = next((k for k in range(i, len(lines)) if lines[k].startswith("}")), i)
            if called and "=" not in head:
                code = [x for x in lines[i:end + 1] if not x.lstrip().startswith("#")]
                body = Body("\n".join(code))
                body.statement(0)
                yield called[1], start + 1, end - start + 1, body.deepest
            start = None
        elif line.endswith((";", "}")) or line.startswith("#"):
            start = None
        elif start is None and line[:1].isidentifier():
            start = i


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def report(sizes, found):
    folders = {}
    for path, lines in sizes.items():
        parts = path.split("/")
        folder = "/".join(parts[:2]) if len(parts) > 2 else parts[0]
        n, total = folders.get(folder, (0, 0))
        folders[folder] = n + 1, total + lines
    print("lines per folder")
    for folder, (n, total) in sorted(folders.items()):
        print(f"  {folder:<16} {n:4} files {total:6} lines")
    print(f"  {'in all':<16} {len(sizes):4} files {sum(sizes.values()):6} lines")
    for area in ("src", "tests", "bench"):
        lengths = [lines for path, _, _, lines, _ in found if path.startswith(area + "/")]
        if lengths:
            print(f"functions of {area}: {len(lengths)}, median {statistics.median(lengths):.0f} lines, "
                  f"90th percentile {percentile(lengths, 0.9)}, longest {max(lengths)}")
    print("the ten longest of src")
    for path, name, line, lines, depth in sorted((f for f in found if f[0].startswith("src/")), key=lambda f: -f[3])[:10]:
        print(f"  {lines:4} lines, nesting {depth}  {name}  {path}:{line}")


def main():
    sizes, found, problems = {}, [], []
    for path in source.c_files():
        name = source.name(path)
        text = path.read_text()
        if name.startswith(EXEMPT):
            continue
        sizes[name] = text.count("\n")
        found += [(name, *f) for f in functions(text)]
    if "--report" in sys.argv:
        report(sizes, found)
    problems += [f"{n}: {lines} lines; a file has at most {FILE_LINES}" for n, lines in sizes.items() if lines > FILE_LINES]
    for path, name, line, lines, depth in found:
        if lines > FUNCTION_LINES:
            problems.append(f"{path}:{line}: {name} has {lines} lines; a function has at most {FUNCTION_LINES}")
        if depth > NESTING:
            problems.append(f"{path}:{line}: {name} nests {depth} deep; at most {NESTING}")
    source.finish(problems, f"{len(found)} functions in {len(sizes)} files")


if __name__ == "__main__":
    main()
