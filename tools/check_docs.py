#!/usr/bin/env python3
"""Fails when a page is not what its table gives: check_docs.py PAGE PROGRAM [ARGUMENT...]
With --write FOLDER PROGRAM... it writes them instead: NAME_docs prints FOLDER/NAME.md.

The program prints the page. A page may also be hand-written around such a part: then what is printed stands in it
between the lines "<!-- from: NAME -->" and "<!-- end: NAME -->", NAME being the program's.
"""
import difflib
import pathlib
import subprocess
import sys

import source


def part(text, name):
    """What stands between the marks of name, or the whole text where there are none."""
    begin, end = f"<!-- from: {name} -->\n", f"<!-- end: {name} -->"
    if begin not in text:
        return text
    return text.partition(begin)[2].partition(end)[0]


def write(folder, programs):
    for program in map(pathlib.Path, programs):
        page = folder / f"{program.name.removesuffix('_docs')}.md"
        new = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        have = page.read_text() if page.exists() else ""
        begin = f"<!-- from: {program.name} -->\n"
        if begin in have:
            head, _, tail = have.partition(begin)
            new = head + begin + new + have[have.index(f"<!-- end: {program.name} -->"):]
        page.write_text(new)


def main():
    if sys.argv[1] == "--write":
        return write(pathlib.Path(sys.argv[2]), sys.argv[3:])
    page, program = pathlib.Path(sys.argv[1]), sys.argv[2]
    want = subprocess.run(sys.argv[2:], check=True, capture_output=True, text=True).stdout
    have = part(page.read_text(), pathlib.Path(program).name)
    lines = difflib.unified_diff(have.splitlines(), want.splitlines(), str(page), "its table", lineterm="", n=1)
    source.finish(list(lines), f"{len(want.splitlines())} lines of {page.name}")


if __name__ == "__main__":
    main()
