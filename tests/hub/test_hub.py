"""The local hub, checked with the library that everybody uses: huggingface_hub."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from repos import SMALL, make_repository, safetensors


def hf(hub, cache, code, **env):
    """Runs code with huggingface_hub in a process of its own; what it prints."""
    run = subprocess.run(
        [sys.executable, "-c", "from huggingface_hub import *\nimport json\n" + code],
        env={"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "PATH": os.environ["PATH"],
             "HF_HOME": str(cache / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | env,
        capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def get(url, headers={}, method="GET"):
    request = urllib.request.Request(url, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as r:
        return r.status, r.headers, r.read()


def test_model_info(hub, tmp_path):
    out = json.loads(hf(hub, tmp_path / "c", """
i = HfApi().model_info('acme/tiny', files_metadata=True)
print(json.dumps([i.sha, i.gated, {s.rfilename: [s.size, s.lfs and s.lfs.sha256] for s in i.siblings}]))
"""))
    assert len(out[0]) == 40 and out[1] is False
    assert out[2]["config.json"] == [len(SMALL["config.json"]), None]
    assert len(out[2]["model.safetensors"][1]) == 64


def test_the_commit_follows_the_contents(hub, root):
    info = lambda: json.loads(get(hub.url + "/api/models/acme/tiny")[2])["sha"]
    before = info()
    assert info() == before
    (root / "acme/tiny/config.json").write_bytes(b'{"model_type": "roberta"}')
    assert info() != before


def test_hf_hub_download_and_what_is_not_there(hub, root, tmp_path):
    for name in ("config.json", "model.safetensors", "1_Pooling/config.json"):
        path = hf(hub, tmp_path / "c", f"print(hf_hub_download('acme/tiny', '{name}'))")
        assert open(path, "rb").read() == (root / "acme/tiny" / name).read_bytes()
    out = hf(hub, tmp_path / "c", """
from huggingface_hub.errors import *
for repo, name, rev in (('acme/tiny', 'no.txt', 'main'), ('acme/none', 'x', 'main'),
                        ('acme/tiny', 'config.json', 'nobranch')):
    try:
        hf_hub_download(repo, name, revision=rev)
    except HfHubHTTPError as e:
        print(type(e).__name__)
""")
    assert out.split() == ["RemoteEntryNotFoundError", "RepositoryNotFoundError",
                           "RevisionNotFoundError"]


def test_snapshot_download_then_offline(hub, tmp_path):
    path = hf(hub, tmp_path / "c", "print(snapshot_download('acme/tiny'))")
    assert len(os.listdir(path)) == 7
    before = len(hub.log)
    again = hf(hub, tmp_path / "c", "print(snapshot_download('acme/tiny'))", HF_HUB_OFFLINE="1")
    assert again == path and len(hub.log) == before


def test_a_dropped_connection_is_resumed(hub, root, tmp_path):
    """The library writes 10 MiB at a time, so that much must have come."""
    (root / "acme/tiny/model.safetensors").write_bytes(safetensors(12 << 20))
    hub.fault("drop", "_cdn/.*model.safetensors", times=1, after=11 << 20)
    path = hf(hub, tmp_path / "c", "print(hf_hub_download('acme/tiny', 'model.safetensors'))")
    assert open(path, "rb").read() == (root / "acme/tiny/model.safetensors").read_bytes()
    assert [r["range"] for r in hub.log if "_cdn" in r["path"]][-1].startswith("bytes=")


def test_gated_and_private_want_the_token(hub, root, tmp_path):
    make_repository(root / "acme/gated", SMALL | {".hub.json": b'{"gated": "auto"}'})
    make_repository(root / "acme/private", SMALL | {".hub.json": b'{"private": true}'})
    code = """
from huggingface_hub.errors import *
for repo in ('acme/gated', 'acme/private'):
    for token in ('hf_wrong', 'hf_right'):
        try:
            print(bool(hf_hub_download(repo, 'config.json', token=token)))
        except HfHubHTTPError as e:
            print(type(e).__name__)
"""
    assert hf(hub, tmp_path / "c", code).split() == [
        "GatedRepoError", "True", "RepositoryNotFoundError", "True"]


def test_a_renamed_repository_and_one_without_organisation(hub, root, tmp_path):
    make_repository(root / "acme/new", SMALL | {".hub.json": b'{"was": ["acme/old"]}'})
    make_repository(root / "plain", SMALL)
    for name in ("acme/old", "plain"):
        path = hf(hub, tmp_path / "c", f"print(hf_hub_download('{name}', 'config.json'))")
        assert open(path, "rb").read() == SMALL["config.json"]


def test_another_revision(hub, root, tmp_path):
    make_repository(root / "acme/tiny@v2", {"config.json": b'{"v": 2}'})
    path = hf(hub, tmp_path / "c",
              "print(hf_hub_download('acme/tiny', 'config.json', revision='v2'))")
    assert open(path, "rb").read() == b'{"v": 2}'


def test_ranges(hub, root):
    data = (root / "acme/tiny/model.safetensors").read_bytes()
    url = hub.url + "/acme/tiny/resolve/main/model.safetensors"
    etag = get(url)[1]["ETag"]
    status, headers, body = get(url, {"Range": "bytes=10-19"})
    assert (status, body) == (206, data[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(data)}"
    assert get(url, {"Range": "bytes=-5"})[2] == data[-5:]
    assert get(url, {"Range": "bytes=5-", "If-Range": etag})[0] == 206
    assert get(url, {"Range": "bytes=5-", "If-Range": '"other"'})[0] == 200
    with pytest.raises(urllib.error.HTTPError, match="416"):
        get(url, {"Range": f"bytes={len(data)}-"})


def test_faults_over_http(hub):
    url = hub.url + "/acme/tiny/resolve/main/config.json"
    post = json.dumps({"kind": "status", "path": "config", "times": 2, "code": 503,
                       "headers": {"Retry-After": "1"}}).encode()
    urllib.request.urlopen(urllib.request.Request(hub.url + "/_fault", post, method="POST"))
    for _ in range(2):
        with pytest.raises(urllib.error.HTTPError, match="503"):
            get(url)
    assert get(url)[0] == 200
    hub.fault("flip", "resolve-cache/.*config.json", at=3)
    assert get(url)[2] != SMALL["config.json"]
    urllib.request.urlopen(urllib.request.Request(hub.url + "/_fault", method="DELETE"))
    assert get(url)[2] == SMALL["config.json"]
