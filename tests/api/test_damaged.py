"""Damaged and hostile model files: each refused with a sentence that says what is wrong where; the
daemon is untouched."""
import shutil

import pytest

from daemon import Daemon
from damaged import CASES, write_tiny

GROWTH_BYTES = 1 << 20  # of the daemon over all refusals: names, reasons and events of that many models


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("damaged")) as d:
        yield d


@pytest.fixture(scope="module")
def sound(tmp_path_factory, daemon):
    folder = tmp_path_factory.mktemp("tiny") / "sound"
    write_tiny(folder)
    daemon.add("sound", folder)
    return folder


def test_the_sound_model_is_served(daemon, sound):
    assert len(daemon.post("/models/sound", inputs="a b c.")) >= 1


@pytest.mark.parametrize("cause, damage, words", CASES, ids=[c[0] for c in CASES])
def test_is_refused(daemon, sound, tmp_path, cause, damage, words):
    pid, name = daemon.pid, "damaged-" + str([c[0] for c in CASES].index(cause))
    folder = tmp_path / "model"
    shutil.copytree(sound, folder)
    damage(folder)
    status, _, answer = daemon.ask("POST", "/berth/add", {"model": name, "dir": str(folder)})
    if status == 200:
        status, _, answer = daemon.ask("POST", "/berth/load", {"model": name})
    print(f"{cause}: {status} {answer}")
    assert status == 422
    sentence = answer["error"]["message"]
    missing = [w for w in words if w not in sentence]
    assert not missing, (missing, sentence)
    assert daemon.process.poll() is None and daemon.pid == pid
    assert daemon.get("/livez") is not None
    model = daemon.ask("GET", f"/berth/models/{name}")
    assert model[0] == 404 or all(i["state"] == "gone" for i in model[2]["instances"])


def test_the_sound_model_is_still_served(daemon, sound):
    assert len(daemon.post("/models/sound", inputs="a b c.")) >= 1
    assert len(daemon.children()) == 1
