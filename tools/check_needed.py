#!/usr/bin/env python3
"""Fails when a program is linked with a library that is not in its row: check_needed.py PROGRAM..."""
import pathlib
import re
import subprocess
import sys

import source

ALWAYS = {"libc", "libm", "libstdc++", "libgcc_s", "ld-linux-x86-64", "ld-linux-aarch64"}
ROWS = {
    "berth": {"libcurl", "libedit", "libsimdjson"},
    "berthd": {"libmicrohttpd", "libsqlite3", "libyaml-0", "libsystemd", "libsimdjson", "libcbor"},
    "berth-fetch": {"libcurl", "libcrypto", "libseccomp", "libsimdjson", "libcbor"},
    "berth-worker": {"libseccomp", "libpcre2-8", "libutf8proc", "libsimdjson", "libcbor"},
}


def needed(program):
    text = subprocess.run(["readelf", "-d", program], check=True, capture_output=True, text=True).stdout
    return {m.split(".so")[0] for m in re.findall(r"\(NEEDED\).*\[(.*)\]", text)}


def main():
    problems = []
    for program in map(pathlib.Path, sys.argv[1:]):
        libraries = needed(program) - ALWAYS
        print(f"{program.name}: {' '.join(sorted(libraries))}")
        for extra in sorted(libraries - ROWS[program.name]):
            problems.append(f"{program.name} needs {extra}, which is not in its row")
    source.finish(problems, f"{len(sys.argv) - 1} programs")


if __name__ == "__main__":
    main()
