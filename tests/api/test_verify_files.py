"""berth verify --files: the bytes of a pulled model, hashed again."""
import pathlib

from daemon import MINILM, MODELS, Daemon, local_hub


def weights(daemon):
    [link] = pathlib.Path(daemon.cache).glob("models--*/snapshots/*/model.safetensors")
    return link.resolve()


def test_files_are_hashed_again_while_they_are_served(tmp_path):
    with local_hub() as hub, Daemon(tmp_path, HF_ENDPOINT=hub) as d:
        d.post("/berth/pull", model=MINILM)
        d.post("/berth/load", model=MINILM)
        before = d.workers()
        assert d.post("/berth/verify", model=MINILM)["model_state"] == "registered"
        assert d.workers() == before
        path = weights(d)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        status, _, answer = d.ask("POST", "/berth/verify", {"model": MINILM})
        assert status == 422 and answer["error"]["code"] == "wrong_hash", answer
        assert "model.safetensors" in answer["error"]["message"]
        status, _, answer = d.ask("POST", "/v1/embeddings", {"model": MINILM, "input": "not from these bytes"})
        assert status == 422 and answer["error"]["code"] == "wrong_hash", answer
        d.post("/berth/unload", model=MINILM)
        status, _, answer = d.ask("POST", "/berth/load", {"model": MINILM})
        assert status == 422 and answer["error"]["code"] == "wrong_hash", answer


def test_a_folder_of_ones_own_has_nothing_to_compare_with(tmp_path):
    with Daemon(tmp_path) as d:
        d.add("mine", MODELS / MINILM)
        status, _, answer = d.ask("POST", "/berth/verify", {"model": "mine"})
        assert status == 409 and "no hashes" in answer["error"]["message"]
        assert d.ask("POST", "/berth/verify", {"model": "none"})[0] == 404
