"""Narrowing at LOAD, in processes of their own: what can be read before and after, in threads, under Landlock."""
import subprocess
import sys

import pytest
from conftest import ROOT

from berth_transformers import sandbox

pytestmark = pytest.mark.skipif(not sandbox.abi(), reason="this kernel has no Landlock")

PROBE = """
import os, sys, threading
sys.path.insert(0, sys.argv[1])
from berth_transformers import sandbox
model, other, layers = sys.argv[2:5]
def can(path):
    try:
        os.listdir(path) if os.path.isdir(path) else open(path).close()
        return True
    except PermissionError:
        return False
print(can(model), can(other), can("/etc/passwd"))
memory = sandbox.Memory()
for _ in range(int(layers)):
    sandbox.narrow(model)
print(can(model), can(model + "/file"), can(other), can(other + "/file"), can("/etc/passwd"), can("/proc/cpuinfo"))
t = threading.Thread(target=lambda: print(can(model + "/file"), can(other + "/file")))
t.start(); t.join()
import decimal, sqlite3, xml.dom.minidom   # what an interpreter still has to import
print(memory.resident() > 1 << 20, memory.data() > 1 << 20)
sandbox.limit_memory(memory.data(), 1 << 20)
try:
    bytearray(sandbox.MEMORY_SLACK + (64 << 20))
    print("allocated")
except MemoryError:
    print("MemoryError")
"""


@pytest.mark.parametrize("layers", [1, 2])
def test_only_the_model_and_the_interpreter_are_left(tmp_path, layers):
    for name in ("model", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    said = subprocess.run([sys.executable, "-c", PROBE, ROOT / "python", tmp_path / "model", tmp_path / "other",
                           str(layers)], capture_output=True, text=True)
    assert said.stdout.splitlines() == ["True True True", "True True False False False True", "True False", "True True",
                                        "MemoryError"], said.stderr


def test_links_within_the_root_are_followed(tmp_path):
    """As the Hub's cache has them: snapshots link to blobs."""
    root = tmp_path / "models--a--b"
    (root / "blobs").mkdir(parents=True)
    (root / "snapshots/c").mkdir(parents=True)
    (root / "blobs/x").write_text("bytes")
    (root / "snapshots/c/file").symlink_to("../../blobs/x")
    code = (f"import sys; sys.path.insert(0, {str(ROOT / 'python')!r}); from berth_transformers import sandbox\n"
            f"sandbox.narrow({str(root)!r}); print(open({str(root / 'snapshots/c/file')!r}).read())")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "bytes\n"


def test_a_kernel_that_cannot_is_a_clear_refusal(monkeypatch, tmp_path):
    from berth_transformers.jobs import Refused

    def fails(*args):
        raise OSError(38, "Function not implemented")
    monkeypatch.setattr(sandbox, "_syscall", fails)
    assert sandbox.abi() == 0
    with pytest.raises(Refused) as e:
        sandbox.narrow(str(tmp_path))
    assert e.value.code == "unsupported_option" and "degraded" in e.value.sentence
