#!/usr/bin/env python3
"""Fails when two C files have one name: a name in a log, a profile or a review means one file.

Inside kernels/<level>/ the same names are the point. A header and its source share a name in one folder.
"""
import source


def level(place):
    parts = place.split("/")
    return parts[:2] == ["src", "kernels"] and len(parts) > 3


def main():
    places, problems = {}, []
    for path in source.c_files():
        name = source.name(path)
        if not level(name):
            places.setdefault(path.name, []).append(name)
            places.setdefault(path.stem + " (as a module)", []).append(str(path.parent.relative_to(source.ROOT)))
    for name, found in sorted(places.items()):
        if len(set(found)) > 1:
            problems.append(f"{name}: {' and '.join(sorted(set(found)))}")
    source.finish(problems, f"{len(places)} names")


if __name__ == "__main__":
    main()
