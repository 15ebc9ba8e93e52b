#!/usr/bin/env python3
"""Fails when a file of src/ includes what its folder may not know.

A folder may include itself and the folders of its row. Calls go down by name; what comes up comes by callbacks.
"""
import re

import source

ENGINE_SIDE = "pipeline engine arch model token template kernels base"
MAY_INCLUDE = {
    "base": "",
    "kernels": "",
    "ipc": "base",
    "template": "base",
    "hub": "base",
    "store": "base",
    "http": "base",
    "sandbox": "base",
    "model": "kernels base",
    "token": "kernels base",
    "arch": "model base",
    "engine": "arch model kernels base",
    "pipeline": "engine arch model token template base",
    "worker": f"ipc sandbox {ENGINE_SIDE}",
    "fetch": "hub ipc sandbox base",
    "manager": "ipc hub store base",
    "api": "manager http ipc base",
    "daemon": "api manager http store ipc hub base",
    "cli": "base",
}
# Neither half may know of the other, not even by way of a third folder.
HALVES = {
    "daemon": "engine arch model token kernels pipeline worker template".split(),
    "worker": "http api manager store daemon cli".split(),
    "fetch": "http api manager store daemon cli engine arch model token kernels pipeline worker".split(),
    "cli": "http api manager store daemon ipc hub engine arch model token kernels pipeline worker".split(),
}
# Libraries, each behind the folder that hides it.
LIBRARY_HEADERS = {
    "microhttpd.h": {"http"},
    "sqlite3.h": {"store"},
    "yaml.h": {"daemon"},
    "systemd/": {"daemon"},
    "curl/": {"fetch", "cli"},
    "openssl/": {"fetch"},
    "seccomp.h": {"sandbox"},
    "linux/landlock.h": {"sandbox"},
    "pcre2.h": {"token"},
    "utf8proc.h": {"token"},
    "cbor": {"ipc"},
    "simdjson.h": {"base"},
    "histedit.h": {"cli"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)


def included_folders(text):
    """(line, folder) of each include of ours, (line, header) of each of others."""
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield line, match[1], match[2]


def check_file(path, graph):
    folder = path.relative_to(source.ROOT / "src").parts[0]
    if folder not in MAY_INCLUDE:
        return [f"{source.name(path)}: the folder {folder} has no row in check_layers.py"]
    allowed = {folder, *MAY_INCLUDE[folder].split()}
    problems = []
    for line, ours, others in included_folders(path.read_text()):
        where = f"{source.name(path)}:{line}"
        if ours:
            target = ours.split("/")[0]
            graph.setdefault(folder, set()).add(target)
            if "/" not in ours or not (source.ROOT / "src" / ours).exists() and not ours.endswith(".inc"):
                problems.append(f"{where}: \"{ours}\" is not a path from src/")
            elif target not in allowed:
                problems.append(f"{where}: {folder} may not include {target}")
            continue
        for header, folders in LIBRARY_HEADERS.items():
            if others.startswith(header) and folder not in folders:
                problems.append(f"{where}: <{others}> belongs to {' and '.join(sorted(folders))}")
    return problems


def reach(graph, folder):
    seen, todo = set(), [folder]
    while todo:
        for target in graph.get(todo.pop(), ()):
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen


def main():
    graph, problems = {}, []
    files = source.c_files("src") + sorted((source.ROOT / "src").rglob("*.def"))
    for path in files:
        problems += check_file(path, graph)
    for half, never in HALVES.items():
        for folder in sorted(reach(graph, half) & set(never)):
            problems.append(f"src/{half}: reaches {folder}, which belongs to another program")
    source.finish(problems, f"{len(files)} files in {len(graph)} folders")


if __name__ == "__main__":
    main()
