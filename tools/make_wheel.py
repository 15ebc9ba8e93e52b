#!/usr/bin/env python3
"""Makes the wheel of python/berth_transformers: make_wheel.py VERSION FOLDER WHEEL DEPFILE

A wheel is a zip with three files of metadata (PEP 427): pip installs it without a build backend, and nothing is fetched
at build time. FOLDER holds the package and requirements.txt, whose lines become Requires-Dist. The same sources give the
same bytes. DEPFILE tells ninja what it was made of, folders included, so that a new file is noticed.
"""
import base64
import hashlib
import pathlib
import sys
import zipfile

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first date that a zip can hold


def requirements(path):
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


def main():
    version, folder, wheel, depfile = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    sources = sorted((folder / "berth_transformers").rglob("*.py"))
    members = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sources}
    info = f"berth_transformers-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", "Name: berth-transformers", f"Version: {version}",
                "Summary: berth's inference server on the Transformers library", "License: Apache-2.0",
                "Requires-Python: >=3.11",
                *(f"Requires-Dist: {line}" for line in requirements(folder / "requirements.txt"))]
    members[f"{info}/METADATA"] = ("\n".join(metadata) + "\n").encode()
    members[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: make_wheel\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = [record_line(name, data) for name, data in members.items()] + [f"{info}/RECORD,,"]
    members[f"{info}/RECORD"] = ("\n".join(record) + "\n").encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(zipfile.ZipInfo(name, LONG_AGO), data, zipfile.ZIP_DEFLATED)
    folders = {p.parent for p in sources}
    depfile.write_text(f"{wheel}: {' '.join(map(str, [folder / 'requirements.txt', *sorted(folders), *sources]))}\n")


main()
