"""Repositories and inputs that are meant to do harm, given to the real Transformers server: each is refused, or harmless."""
import json
import shutil
import struct
import zlib

import pytest

from daemon import ROOT, Daemon

TASKS = ROOT / "tests/golden/tasks"
BOMBS = {
    "an attribute that it should not reach": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "a format that reaches for one": "{{ '{0.__class__}'.format(messages) }}",
    "a loop without an end": "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "a text without an end": "{% for i in range(100000) %}{{ 'many characters ' * 1000 }}{% endfor %}",
    "a call into the interpreter": "{{ cycler.__init__.__globals__.os.system('true') }}",
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("hostile")) as d:
        yield d


def change(folder, name, **members):
    path = folder / name
    said = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(said | members))


def copy_of(tmp_path, name):
    folder = tmp_path / name
    shutil.copytree(TASKS / name, folder)
    return folder


def trap(folder):
    """Code in the repository that leaves a mark when it is run."""
    mark = folder / "it-was-run"
    code = f"open({str(mark)!r}, 'w')\nclass Config: pass\nclass Model: pass\n"
    (folder / "modeling_trap.py").write_text(code)
    (folder / "configuration_trap.py").write_text(code)
    return mark


def test_code_of_an_unknown_type_is_refused_by_name(daemon, tmp_path):
    folder = copy_of(tmp_path, "text_classification")
    mark = trap(folder)
    change(folder, "config.json", model_type="trap", architectures=["TrapForSequenceClassification"],
           auto_map={"AutoConfig": "configuration_trap.Config",
                     "AutoModelForSequenceClassification": "modeling_trap.Model"})
    daemon.add("trap", folder)
    status, _, answer = daemon.ask("POST", "/berth/load", {"model": "trap", "backend": "transformers"})
    assert status == 422 and "auto_map" in answer["error"]["message"], answer
    assert "trap" in answer["error"]["message"] and not mark.exists()


def test_code_of_a_known_type_is_ignored_and_said(daemon, tmp_path):
    folder = copy_of(tmp_path, "text_classification")
    mark = trap(folder)
    change(folder, "config.json", auto_map={"AutoModelForSequenceClassification": "modeling_trap.Model"})
    daemon.add("builtin", folder)
    shown = daemon.post("/berth/load", model="builtin", backend="transformers")
    assert any("auto_map" in note for note in shown["instances"][0]["extra"]["notes"])
    assert daemon.post("/models/builtin", inputs="what is this")
    assert not mark.exists()


def test_pickles_are_not_opened(daemon, tmp_path):
    folder = copy_of(tmp_path, "text_classification")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch /tmp/it-was-run'\ntR.")
    status, _, answer = daemon.ask("POST", "/berth/add", {"model": "pickled", "dir": str(folder)})
    if status == 200:
        status, _, answer = daemon.ask("POST", "/berth/load", {"model": "pickled", "backend": "transformers"})
    assert status == 422 and "safetensors" in answer["error"]["message"], answer


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda b: b.replace(" ", "-"))
def test_a_template_does_no_harm(daemon, tmp_path, bomb):
    folder = copy_of(tmp_path, "gen_llama")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    change(folder, "tokenizer_config.json", chat_template=BOMBS[bomb])
    name = f"template-{list(BOMBS).index(bomb)}"
    daemon.add(name, folder)
    daemon.post("/berth/load", model=name)
    body = {"model": name, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 2}
    status, _, answer = daemon.ask("POST", "/v1/chat/completions", body)
    # What a format asks for is undefined in the sandbox: an empty prompt, which is refused too.
    assert 400 <= status < 500, answer
    assert "template" in answer["error"]["message"] or "no tokens" in answer["error"]["message"], answer
    pids = daemon.workers(name)
    answer = daemon.post("/v1/completions", model=name, prompt="hello", max_tokens=2)
    assert answer["choices"] and daemon.workers(name) == pids, "the same process still answers"
    daemon.post("/berth/unload", model=name)


def png(width, height):
    """A picture that claims to be of that size, and holds next to nothing."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def test_a_picture_of_a_thousand_million_pixels_is_refused(daemon):
    daemon.add("pictures", TASKS / "image_classification")
    daemon.post("/berth/load", model="pictures")
    pids = daemon.workers("pictures")
    for size in (40000, 25000), (1, 10**9):
        connection = daemon.connect()
        connection.request("POST", "/models/pictures", png(*size), {"Content-Type": "image/png"})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        assert 400 <= answer.status < 500 and "pixels" in json.dumps(said), said
    picture = next(p for p in sorted((TASKS / "media").iterdir()) if p.suffix == ".png")
    connection.request("POST", "/models/pictures", picture.read_bytes(), {"Content-Type": "image/png"})
    answer = connection.getresponse()
    assert answer.status == 200 and json.loads(answer.read())[0]["label"]
    assert daemon.workers("pictures") == pids


def test_an_address_is_never_fetched(daemon):
    daemon.add("fetching", TASKS / "image_classification")
    daemon.post("/berth/load", model="fetching")
    for address in "http://127.0.0.1:9/a.png", "file:///etc/passwd", "/etc/passwd":
        status, _, answer = daemon.ask("POST", "/models/fetching", {"inputs": address})
        assert 400 <= status < 500, (address, status, answer)
