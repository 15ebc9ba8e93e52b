#!/usr/bin/env python3
"""Fails when a header of src/ does not compile alone, or its guard is not FOLDER_FILE_H: check_headers.py BUILD."""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

import source

# Bodies in words that another header gives them; they compile behind one of those.
BEHIND = {
    "kernels/vec_math.h": "kernels/avx2/vec.h",
    "kernels/vec_row.h": "kernels/avx2/vec.h",
    "kernels/vec_attention.h": "kernels/avx2/vec.h",
}
DROP_NEXT = {"-o", "-MF", "-MQ", "-MT"}
DROP = {"-c", "-MD", "-MMD"}


def flags_by_folder(build):
    """The compiler and its flags for the C files of each folder under src/."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if path.suffix != ".c" or not path.is_relative_to(source.ROOT / "src"):
            continue
        words, kept = shlex.split(entry["command"])[:-1], []
        while words:
            word = words.pop(0)
            if word in DROP_NEXT:
                words.pop(0)
            elif word not in DROP:
                kept.append(word)
        flags.setdefault(str(path.parent.relative_to(source.ROOT / "src")), (entry["directory"], kept))
    return flags


def guard_names(place):
    """FOLDER_FILE_H; a level's own header, kernels/avx2/avx2.h, need not say its name twice."""
    parts = list(pathlib.PurePosixPath(place).with_suffix("").parts)
    names = {"_".join(parts)}
    if len(parts) > 2 and parts[-1] == parts[-2]:
        names.add("_".join(parts[:-1]))
    return {re.sub(r"\W", "_", n).upper() + "_H" for n in names}


def check_guard(place, text):
    match = re.search(r"^#ifndef (\w+)\n#define (\w+)\n", text, re.M)
    if match and match[1] == match[2] and match[1] in guard_names(place):
        return []
    return [f"src/{place}: its include guard is not {' or '.join(sorted(guard_names(place)))}"]


def check_alone(place, flags):
    behind = BEHIND.get(place)
    folder = str(pathlib.PurePosixPath(behind or place).parent)
    where, words = flags.get(folder) or flags["base"]
    first = ["-include", behind] if behind else []
    command = [*words, "-Werror", "-Wno-pedantic", "-fsyntax-only", *first, "-include", place, "-x", "c", "/dev/null"]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True)
    return [f"src/{place} does not compile alone:\n{done.stderr}"] if done.returncode else []


def main():
    flags = flags_by_folder(pathlib.Path(sys.argv[1]))
    headers = [p.relative_to(source.ROOT / "src").as_posix() for p in source.c_files("src") if p.suffix == ".h"]
    problems = [p for h in headers for p in check_guard(h, (source.ROOT / "src" / h).read_text())]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda h: check_alone(h, flags), headers):
            problems += found
    source.finish(problems, f"{len(headers)} headers")


if __name__ == "__main__":
    main()
