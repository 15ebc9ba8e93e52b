"""Images and sound in the sandbox: all that media.py and the tasks need works where nothing is written and nothing is
started, and the answers are those outside (tests/golden/tasks/make_media.py)."""
import subprocess

import pytest

from test_sandbox import REFERENCE, backend, hello, launch

pytest.importorskip("torch")
from test_media_tasks import FOLDERS, GOLDEN, assert_same, golden  # noqa: E402

ASKS = """
import json, os, socket, struct, sys
from pathlib import Path
sys.modules["scipy"] = sys.modules["sklearn"] = None  # as __main__.py does: a backend does without
channel = socket.socket(fileno=3)
stream = channel.makefile("rb")
length, = struct.unpack("<I12x", stream.read(16))
stream.read(length)
tasks = Path(stream.readline().decode().strip())
import torch
from berth_transformers import loading
from berth_transformers.jobs import Item, Job, Part, Refused
def part(said):
    if "file" in said:
        return Part("bytes", (tasks / "media" / said["file"]).read_bytes(), said.get("role", ""))
    return Part("text", said["text"], said.get("role", ""))
with torch.inference_mode():
    for line in stream:
        folder = line.decode().strip()
        said = json.loads((tasks / f"{folder}.json").read_text())
        model = loading.load(tasks / folder, device="cpu")
        task, told = model.tasks[said["task"]], []
        for case in said["cases"]:
            job = Job(1, said["task"], case["parameters"], [])
            answer, = task.run([task.read(Item(job, 0, [part(p) for p in case["parts"]]))])
            told.append(answer.result if answer.result is not None else [len(p.data) for p in answer.parts])
        channel.sendall(json.dumps(told).encode() + b"\\n")
"""


@pytest.mark.timeout(300)
def test_images_and_sound_are_read_in_the_sandbox(tmp_path):
    python = REFERENCE / "bin" / "python"
    packages = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], check=True,
                              capture_output=True, text=True).stdout.strip()
    server = backend(tmp_path / "transformers", ASKS, python, [packages])
    with launch(server, GOLDEN, REFERENCE) as child:
        child.channel.settimeout(200)
        child.say(hello(threads=1) + f"{GOLDEN}\n".encode())
        for folder in FOLDERS:
            child.say(f"{folder}\n".encode())
            told, said = child.line(), golden(folder)
            assert len(told) == len(said["cases"])
            for answer, case in zip(told, said["cases"]):
                if said["task"] in ("text-to-audio", "image-feature-extraction"):
                    assert answer[0] > 0  # parts: their size
                elif said["task"] == "image-text-to-text":
                    assert answer["text"] == case["answer"]
                else:
                    want = case["answer"][0] if said["task"] == "image-to-text" else case["answer"]
                    assert_same(answer, want, folder)
