"""Damaged and hostile model files: each refused with a sentence that says what is wrong where; the
daemon is untouched."""
import shutil

import pytest

from daemon import Daemon
from damaged import CASES, write_tiny

GROWTH_BYTES = 256 << 10  # of the daemon by the second time that it refuses them all


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
        status, _, answer = daemon.ask("POST", "/berth/load", {"model": name, "backend": "native"})
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


def test_refusals_leave_no_memory_behind(tmp_path):
    write_tiny(tmp_path / "sound")
    with Daemon(tmp_path / "daemon") as d:
        d.keep_connection()
        seen = []
        for turn in range(2):
            for i, (_, damage, _) in enumerate(CASES):
                folder = tmp_path / f"{turn}-{i}"
                shutil.copytree(tmp_path / "sound", folder)
                damage(folder)
                status, _, answer = d.ask("POST", "/berth/add", {"model": "damaged", "dir": str(folder)})
                if status == 200:
                    status, _, answer = d.ask("POST", "/berth/load", {"model": "damaged", "backend": "native"})
                assert status == 422, answer
                d.ask("POST", "/berth/remove", {"model": "damaged"})
            seen.append(d.rss_anon())
        print(f"RssAnon after {len(CASES)} refusals {seen[0]}, after as many more {seen[1]}")
        assert seen[1] - seen[0] <= GROWTH_BYTES
        assert d.children() == []
