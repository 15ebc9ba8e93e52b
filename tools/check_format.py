#!/usr/bin/env python3
"""Fails when a C file is not laid out as clang-format-19 does it; --fix lays it out."""
import concurrent.futures
import os
import shutil
import subprocess
import sys

import source

PROGRAM = "clang-format-19"
EXEMPT = ("src/token/tables/",)  # generated
BATCH = 16


def run(batch, fix):
    how = ["-i"] if fix else ["--dry-run", "-Werror"]
    return subprocess.run([PROGRAM, *how, *batch], capture_output=True, text=True)


def main():
    if not shutil.which(PROGRAM):
        print(f"{PROGRAM} is not installed")
        sys.exit(77)  # skipped
    files = [str(p) for p in source.c_files() if not source.name(p).startswith(EXEMPT)]
    batches = [files[i:i + BATCH] for i in range(0, len(files), BATCH)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda b: run(b, "--fix" in sys.argv), batches))
    problems = sorted({line.replace(str(source.ROOT) + "/", "") for r in results for line in r.stderr.splitlines()
                       if ": error: " in line})
    problems += [r.stderr for r in results if r.returncode and ": error: " not in r.stderr]
    source.finish(problems, f"{len(files)} files")


if __name__ == "__main__":
    main()
