"""A root that holds berth's programs, the libraries they link and a model, and no Python: everything but the Transformers
backend works there, and asking for that says what to install."""
import json
import os
import re
import shutil
import subprocess

import pytest

from daemon import BUILD, MODELS, MINILM, ROOT

PROGRAMS = ["berth", "berthd", "berth-fetch", "berth-worker"]
CLASSIFIER = ROOT / "tests/golden/tasks/text_classification"

INSIDE = r"""
set -eu
mount -t proc proc "$0/proc"
exec chroot "$0" /bin/sh -eu -c '
export BERTH_HOME=/home HF_HUB_CACHE=/hub HF_ENDPOINT=http://127.0.0.1:9 PATH=/bin
berthd --listen 127.0.0.1:0 2>/log &
daemon=$!
i=0
until [ -e /home/berth.json ]; do i=$((i + 1)); [ $i -lt 600 ]; sleep 0.05; done
berth add minilm /models/minilm
berth add classifier /models/classifier
berth embed minilm "no Python here" >/vector
berth status >/dev/null
berth show minilm
berth load classifier 2>/refused && exit 3
berth unload minilm
berth load minilm --backend transformers 2>/refused2 && exit 3
berth plan classifier >/plan 2>&1 || true
berth backend ls >/backends
berth backend install transformers 2>/install && exit 3
kill $daemon
wait $daemon
'
"""


def copy_program(path, root):
    """The program, and what the dynamic loader maps for it."""
    shutil.copy(path, root / "bin")
    for library in re.findall(r"(/\S+) \(0x", subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout):
        to = root / library.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if not to.exists():
            shutil.copy(os.path.realpath(library), to)


@pytest.mark.skipif(os.geteuid() != 0, reason="a root of one's own is made by root")
def test_without_python_everything_else_works(tmp_path):
    root = tmp_path / "root"
    for folder in "bin", "dev", "proc", "home", "hub", "tmp", "models":
        (root / folder).mkdir(parents=True)
    for name in PROGRAMS:
        copy_program(BUILD / name, root)
    for name in "sh", "sleep":
        copy_program(f"/bin/{name}", root)
    for wheel in BUILD.glob("*.whl"):
        shutil.copy(wheel, root / "bin")
    shutil.copytree(MODELS / MINILM, root / "models/minilm")
    shutil.copytree(CLASSIFIER, root / "models/classifier")
    for device in "null", "urandom":
        os.mknod(root / "dev" / device, 0o20666, os.stat(f"/dev/{device}").st_rdev)
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, str(root)],
                          capture_output=True, text=True, timeout=120)
    log = (root / "log").read_text() if (root / "log").exists() else ""
    assert done.returncode == 0, (done.stdout, done.stderr, log[-4000:])
    assert not list(root.rglob("*python*"))
    assert len(json.loads((root / "vector").read_text())) == 384
    assert "native: everything in it is supported" in done.stdout
    for name in "refused", "refused2":
        assert "berth backend install transformers" in (root / name).read_text(), name
    assert "no backend beside the native one" in (root / "backends").read_text()
    assert "apt-get install python3 python3-venv" in (root / "install").read_text()
    print((root / "refused").read_text() + (root / "install").read_text())
