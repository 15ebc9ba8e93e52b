"""Folders of backends that are not what they should be: what is asked of them is refused in a sentence, and what does not
need them works."""
import os
import shutil

import pytest

from daemon import BUILD, MINILM, MODELS, Daemon


def backend(folder, python=None):
    """A folder that says it holds a backend; python(path) makes its interpreter."""
    (folder / "transformers/bin").mkdir(parents=True)
    (folder / "transformers/backend.json").write_text("{}")
    if python:
        python(folder / "transformers/bin/python")
    return str(folder)


def programs(folder):
    """Without a backend beside them."""
    folder.mkdir()
    shutil.copy(BUILD / "berthd", folder)
    for name in "berth-fetch", "berth-worker":
        (folder / name).symlink_to(BUILD / name)
    return folder


def script(path):
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)


def broken(path):
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)


def link_to_itself(folder):
    folder.mkdir()
    (folder / "transformers").symlink_to("transformers")
    return str(folder)


NOT_THERE = (422, "is not installed: berth backend install transformers")
NO_PROGRAM = (500, "leads to no 64-bit program")
CASES = {
    "empty": (lambda f: "", NOT_THERE),
    "colons": (lambda f: ":::", NOT_THERE),
    "relative": (lambda f: "nowhere:../nowhere", NOT_THERE),
    "long": (lambda f: "/" + "x" * 5000, NOT_THERE),
    "many": (lambda f: ":".join(["/nowhere"] * 5000), NOT_THERE),
    "file": (lambda f: "/etc/passwd", NOT_THERE),
    "loop": (link_to_itself, NOT_THERE),
    "no-python": (backend, NOT_THERE),
    "loop-python": (lambda f: backend(f, lambda p: p.symlink_to("python")), NOT_THERE),
    "folder-python": (lambda f: backend(f, lambda p: p.mkdir()), NO_PROGRAM),
    "script": (lambda f: backend(f, script), NO_PROGRAM),
    "broken": (lambda f: backend(f, broken), NO_PROGRAM),
    "between": (lambda f: f":nowhere:{backend(f, script)}:", NO_PROGRAM),
    "exits": (lambda f: backend(f, lambda p: p.symlink_to("/bin/true")), (503, "times in a row")),
}


@pytest.mark.parametrize("name", CASES)
def test_backends_that_are_none(tmp_path, name):
    make, (status, words) = CASES[name]
    with Daemon(tmp_path, build=programs(tmp_path / "programs"), BERTH_BACKENDS=make(tmp_path / "backends")) as d:
        d.add(MINILM, MODELS / MINILM)
        got, _, answer = d.ask("POST", "/berth/load", {"model": MINILM, "backend": "transformers"})
        assert got == status and words in answer["error"]["message"], answer
        before = len(os.listdir(f"/proc/{d.process.pid}/fd"))
        d.post("/berth/unload", model=MINILM)
        assert d.post("/berth/load", model=MINILM, backend="native")["state"] == "ready"
        assert len(os.listdir(f"/proc/{d.process.pid}/fd")) < before + 10
