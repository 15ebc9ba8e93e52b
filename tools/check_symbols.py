#!/usr/bin/env python3
"""Fails on a writable global that is not on the list, and on calls that are banned: check_symbols.py BUILD."""
import pathlib
import re
import subprocess
import sys

import source

# Library, symbol: what may be written to for the length of a process, and why.
WRITABLE = {
    ("base", "log_threshold"): "how much is logged; set once at start",
}
BANNED = {
    "strcpy": "str_to_z or snprintf", "strcat": "struct buf", "stpcpy": "struct buf",
    "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "getline", "strtok": "struct str", "strtok_r": "struct str",
    "sscanf": "a parser", "atoi": "strtol with its end checked", "atol": "strtol", "atoll": "strtoll", "atof": "strtod",
    "alloca": "mem_try", "rand": "getrandom", "system": "posix_spawn or fork", "popen": "posix_spawn or fork",
    "tmpnam": "memfd_create", "mktemp": "mkstemp",
}
CALL = re.compile(r"\b(" + "|".join(BANNED) + r")\s*\(")


def sections(library):
    """(object, symbol, section) of what a library defines."""
    text = subprocess.run(["nm", "-A", "--format=sysv", "--defined-only", library], check=True, capture_output=True,
                          text=True).stdout
    for line in text.splitlines():
        fields = [f.strip() for f in line.split("|")]
        if len(fields) == 7:
            where, _, symbol = fields[0].rpartition(":")
            yield where.rsplit(":", 1)[-1].rsplit("/", 1)[-1], symbol, fields[6]


def writable(section):
    kind = section.split(".")[1] if section.startswith(".") else section
    return (kind in ("data", "bss", "tdata", "tbss") and not section.startswith(".data.rel.ro")) or section == "*COM*"


def check_library(library):
    folder = library.stem.removeprefix("lib")
    for where, symbol, section in sections(library):
        bare = re.sub(r"\.\d+$", "", symbol)
        if writable(section) and (folder, bare) not in WRITABLE:
            yield f"{folder}: {where}: {symbol} can be written to ({section}): no globals, pass it around"


def check_calls(path):
    text = source.without_comments(path.read_text())
    for match in CALL.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield f"{source.name(path)}:{line}: {match[1]}() is banned: use {BANNED[match[1]]}"


def main():
    libraries = sorted(pathlib.Path(sys.argv[1], "src").rglob("lib*.a"))
    problems = [] if libraries else [f"no library under {sys.argv[1]}/src"]
    for library in libraries:
        problems += check_library(library)
    for path in source.c_files("src"):
        problems += check_calls(path)
    source.finish(problems, f"{len(libraries)} libraries")


if __name__ == "__main__":
    main()
