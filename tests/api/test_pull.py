"""berth-fetch against the local hub: what a pull does, whatever the hub does."""

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "hub")]

from fetching import BUILD, Fetch, blobs, everything, pull, snapshot_files  # noqa: E402
from framing import Child, encode  # noqa: E402
from hub import CERTIFICATE, Hub  # noqa: E402
from repos import SMALL, TAKEN, hub, make_repository, root, safetensors  # noqa: E402,F401

WEIGHTS = "acme/tiny/model.safetensors"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# ---- what it does when all is well --------------------------------------------


def test_a_pull_places_what_a_load_needs_and_nothing_else(hub, root, cache):
    job = pull(hub, cache)
    result = job.done()
    files = snapshot_files(result["snapshot"])
    assert set(files) == TAKEN == {f["name"] for f in result["files"]}
    for name, path in files.items():
        assert path.read_bytes() == (root / "acme/tiny" / name).read_bytes()
        assert path.is_symlink() and not os.path.isabs(os.readlink(path))
    assert (cache / "models--acme--tiny/refs/main").read_text() == result["commit"]
    assert result["downloaded"] == result["bytes"] == sum(f["size"] for f in result["files"])
    assert not [b for b in blobs(cache) if "incomplete" in b]
    kinds = {f["name"]: (f["kind"], f["hash"]) for f in result["files"]}
    assert kinds["model.safetensors"] == ("sha256", sha256((root / WEIGHTS).read_bytes()))
    assert kinds["config.json"][0] == "git-sha1"
    assert "pytorch_model.bin" not in "".join(r["path"] for r in hub.log)
    assert all(r["encoding"] == "identity" for r in hub.log)


def test_progress_is_told_in_phases(hub, cache):
    job = pull(hub, cache)
    job.done()
    sandbox, rest = job.status[0], job.status[1:]
    assert sandbox["phase"] == "sandbox" and sandbox["sandbox"]["no_new_privs"]
    phases = [s["phase"] for s in rest]
    assert [p for i, p in enumerate(phases) if i == 0 or phases[i - 1] != p] == [
        "resolving", "downloading", "placing"]
    assert all(a["done"] <= b["done"] for a, b in zip(rest, rest[1:]))
    assert rest[-1]["done"] == rest[-1]["all"]


def test_a_second_pull_fetches_no_file(hub, cache):
    first = pull(hub, cache).done()
    before = len(hub.log)
    second = pull(hub, cache).done()
    assert second["downloaded"] == 0 and second["commit"] == first["commit"]
    assert len(hub.log) == before + 1  # model info


def test_huggingface_hub_finds_what_berth_pulled(hub, cache):
    result = pull(hub, cache).done()
    code = f"""
from huggingface_hub import *
import os
print(snapshot_download('acme/tiny'))
print(snapshot_download('acme/tiny', local_files_only=True))
for name in {sorted(TAKEN)!r}:
    assert os.path.exists(hf_hub_download('acme/tiny', name))
    assert try_to_load_from_cache('acme/tiny', name)
r = next(iter(scan_cache_dir().repos))
print(r.repo_id, r.nb_files, r.size_on_disk, len(scan_cache_dir().warnings))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                         env={"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1",
                              "HF_HOME": str(cache / "home"), "PATH": os.environ["PATH"]})
    assert out.returncode == 0, out.stderr
    lines = out.stdout.split("\n")
    assert lines[0] == lines[1] == result["snapshot"]
    assert lines[2] == f"acme/tiny 6 {result['bytes']} 0"


def test_what_huggingface_hub_fetched_is_used(hub, cache):
    code = "from huggingface_hub import *\nprint(snapshot_download('acme/tiny'))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                         env={"HF_HUB_CACHE": str(cache), "HF_ENDPOINT": hub.url,
                              "HF_HOME": str(cache / "home"), "PATH": os.environ["PATH"]})
    assert out.returncode == 0, out.stderr
    result = pull(hub, cache).done()
    assert result["downloaded"] == 0 and result["snapshot"] == out.stdout.strip()
    found = Fetch("verify", cache=cache, repo="acme/tiny", commit=result["commit"]).done()
    assert found["wrong"] == found["unknown"] == 0
    offline = pull(hub, cache, offline=True).done()
    assert offline["commit"] == result["commit"]
    assert {f["name"] for f in offline["files"]} == TAKEN


def test_revisions_branches_and_commits(hub, root, cache):
    other = make_repository(root / "acme/tiny@v2", SMALL | {"model.safetensors": safetensors(50)})
    v2 = pull(hub, cache, revision="v2").done()
    main = pull(hub, cache).done()
    assert v2["commit"] != main["commit"]
    assert (cache / "models--acme--tiny/refs/v2").read_text() == v2["commit"]
    by_commit = pull(hub, cache, revision=v2["commit"]).done()
    assert by_commit["downloaded"] == 0
    assert not (cache / "models--acme--tiny/refs" / v2["commit"]).exists()
    weights = snapshot_files(v2["snapshot"])["model.safetensors"]
    assert weights.read_bytes() == (other / "model.safetensors").read_bytes()


def test_a_name_without_organisation_a_renamed_one_and_named_files(hub, root, cache):
    make_repository(root / "plain", SMALL | {"model.safetensors": safetensors(9)})
    make_repository(root / "acme/new", SMALL | {"model.safetensors": safetensors(8),
                                                ".hub.json": b'{"was": ["acme/old"]}'})
    assert "models--plain/" in pull(hub, cache, "plain").done()["snapshot"]
    assert "models--acme--old/" in pull(hub, cache, "acme/old").done()["snapshot"]
    some = pull(hub, cache, files=["config.json"], revision="main").done()
    assert [f["name"] for f in some["files"]] == ["config.json"]
    pull(hub, cache, files=["nothing.txt"]).fails("model_not_found")


def test_the_lock_is_shared_with_huggingface_hub(hub, root, cache):
    etag = sha256((root / WEIGHTS).read_bytes())
    folder = cache / ".locks/models--acme--tiny"
    folder.mkdir(parents=True)
    with open(folder / f"{etag}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = pull(hub, cache)
        job.until_bytes(sum(map(len, SMALL.values())))
        assert hub.sent("model.safetensors") == 0
    assert job.done()["downloaded"] > 3_000_000


def test_two_pulls_at_once_fetch_everything_once(hub, root, cache):
    """Both end well; the second waits for the first one's lock and finds its blob."""
    hub.fault("stall", "_cdn/.*model.safetensors", times=1, after=1_000_000)
    first = pull(hub, cache)
    first.until_bytes(900_000)
    second = pull(hub, cache)
    second.until_bytes(sum(map(len, SMALL.values())))
    hub.clear()
    assert first.done()["snapshot"] == second.done()["snapshot"]
    assert hub.sent("_cdn") == (root / WEIGHTS).stat().st_size


# ---- bytes that are not what they should be -----------------------------------


@pytest.mark.parametrize("name, at", [("model.safetensors", 2_999_999), ("config.json", 3)])
def test_a_flipped_bit_is_refused(hub, root, cache, name, at):
    hub.fault("flip", f"(_cdn|resolve-cache)/.*/[0-9a-f]+/{name}$", at=at)
    text = pull(hub, cache).fails("wrong_hash")
    assert name in text
    repository = root / "acme/tiny" / name
    names = {sha256(repository.read_bytes()),
             hashlib.sha1(b"blob %d\0" % repository.stat().st_size
                          + repository.read_bytes()).hexdigest()}
    assert not [b for b in blobs(cache) if b.partition(".")[0] in names]
    assert not list(cache.glob("models--*/snapshots/*")) and not list(cache.glob("models--*/refs/*"))
    hub.clear()
    assert pull(hub, cache).done()["bytes"] > 0


def test_a_damaged_partial_file_is_noticed(hub, root, cache):
    etag = sha256((root / WEIGHTS).read_bytes())
    folder = cache / "models--acme--tiny/blobs"
    folder.mkdir(parents=True)
    (folder / f"{etag}.incomplete").write_bytes(b"x" * 1_000_000)
    pull(hub, cache).fails("wrong_hash")
    assert f"{etag}.incomplete" not in blobs(cache)
    pull(hub, cache).done()


def test_a_damaged_blob_of_the_cache_is_replaced(hub, root, cache):
    result = pull(hub, cache).done()
    weights = snapshot_files(result["snapshot"])["model.safetensors"]
    right = weights.read_bytes()
    weights.resolve().write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    again = pull(hub, cache).done()
    assert again["downloaded"] == len(right) and weights.read_bytes() == right


def test_an_etag_that_contradicts_the_listing_is_refused(hub, cache):
    hub.fault("headers", "resolve/.*model.safetensors",
              headers={"X-Linked-ETag": '"%s"' % ("0" * 64)})
    pull(hub, cache).fails("wrong_hash")
    assert not [b for b in blobs(cache) if len(b) >= 64]


# ---- interruptions -------------------------------------------------------------


def big(root):
    data = safetensors(24 << 20)
    (root / WEIGHTS).write_bytes(data)
    return data


def test_a_killed_pull_resumes(hub, root, cache):
    data = big(root)
    hub.fault("stall", "_cdn/.*model.safetensors", times=1, after=16 << 20)
    job = pull(hub, cache)
    job.until_bytes(12 << 20)
    job.kill()
    hub.clear()
    etag = sha256(data)
    have = (cache / f"models--acme--tiny/blobs/{etag}.incomplete").stat().st_size
    assert have >= 12 << 20
    before = hub.sent("model.safetensors")
    result = pull(hub, cache).done()
    refetched = hub.sent("model.safetensors") - before + have - len(data)
    assert 0 <= refetched <= 8 << 20
    assert snapshot_files(result["snapshot"])["model.safetensors"].read_bytes() == data


def test_a_cancelled_pull_keeps_what_it_has(hub, root, cache):
    data = big(root)
    hub.fault("stall", "_cdn/.*model.safetensors", times=1, after=16 << 20)
    job = pull(hub, cache)
    job.until_bytes(12 << 20)
    start = time.monotonic()
    job.child.send("CANCEL", {}, job=7)
    job.fails("cancelled")
    assert time.monotonic() - start < 2
    hub.clear()
    assert f"{sha256(data)}.incomplete" in blobs(cache)
    assert pull(hub, cache).done()["downloaded"] <= 12 << 20


def test_a_daemon_that_goes_takes_the_pull_along(hub, root, cache):
    big(root)
    hub.fault("stall", "_cdn/.*model.safetensors", after=4 << 20)
    job = pull(hub, cache)
    job.until_bytes(2 << 20)
    job.child.sock.shutdown(2)
    assert job.child.process.wait(5) == 0
    job.child.close()


def test_dropped_connections_are_continued(hub, root, cache):
    size = (root / WEIGHTS).stat().st_size
    hub.fault("drop", "_cdn/.*model.safetensors", times=4, after=700_000)
    result = pull(hub, cache).done()
    assert hub.sent("model.safetensors") <= size + 4 * (1 << 16)
    ranges = [r["range"] for r in hub.log if "_cdn" in r["path"]]
    assert ranges[0] is None and all(r.startswith("bytes=") for r in ranges[1:])
    assert result["bytes"] == result["downloaded"]


def test_drops_at_many_places_of_a_small_file(hub, root, cache):
    for after in (0, 1, 2, 21):
        hub.fault("drop", "resolve-cache/models/acme/tiny/[^/]+/config.json", times=1, after=after)
        pull(hub, cache, files=["config.json"]).done()
        for blob in cache.glob("models--*/blobs/*"):
            blob.unlink()
        hub.clear()


@pytest.mark.parametrize("how", ["ignore", "wrong", "416"])
def test_a_hub_that_cannot_do_ranges(hub, root, cache, how):
    """From the start again, and in the end right."""
    data = (root / WEIGHTS).read_bytes()
    hub.fault("drop", "_cdn/.*model.safetensors", times=1, after=1_000_000)
    hub.fault("range", "_cdn/.*model.safetensors", times=2, how=how)
    result = pull(hub, cache).done()
    assert snapshot_files(result["snapshot"])["model.safetensors"].read_bytes() == data


def test_a_file_that_changes_between_two_ranges(hub, root, cache):
    """If-Range: another ETag where the bytes are means from the start."""
    hub.fault("drop", "_cdn/.*model.safetensors", times=1, after=1_000_000)
    hub.fault("headers", "_cdn/.*model.safetensors", times=1, headers={"ETag": '"other"'})
    pull(hub, cache).done()
    assert hub.sent("model.safetensors") > (root / WEIGHTS).stat().st_size + 900_000


# ---- a hub that is busy, slow, wrong or hostile ----------------------------------


def test_a_busy_hub_is_asked_again(hub, cache):
    hub.fault("status", "api/models", times=2, code=503)
    hub.fault("status", "_cdn", times=1, code=500)
    hub.fault("status", "resolve/[^/]+/config.json", times=1, code=429, headers={"Retry-After": "1"})
    start = time.monotonic()
    pull(hub, cache).done()
    assert time.monotonic() - start > 1


def test_a_hub_that_wants_an_hour_is_not_waited_for(hub, cache):
    hub.fault("status", "api/models", code=429, headers={"Retry-After": "3600"})
    start = time.monotonic()
    assert "3600" in pull(hub, cache).fails("hub_unreachable")
    assert time.monotonic() - start < 3


def test_a_hub_that_stays_broken_is_given_up(hub, cache):
    hub.fault("status", "api/models", code=502)
    start = time.monotonic()
    assert "502" in pull(hub, cache).fails("hub_unreachable")
    assert time.monotonic() - start < 35


def test_nobody_there(cache):
    text = pull("http://127.0.0.1:9", cache).fails("hub_unreachable")
    assert "127.0.0.1" in text


@pytest.mark.parametrize("fault", [
    {"kind": "body", "text": "{"},
    {"kind": "body", "text": "[]"},
    {"kind": "body", "text": '{"sha": "main", "siblings": []}'},
    {"kind": "body", "text": '{"sha": "%s", "siblings": [{"rfilename": "a"}]}' % ("0" * 40)},
    {"kind": "info", "merge": {"siblings": "x"}},
    {"kind": "info", "merge": {"siblings": [{"rfilename": n, "size": 1 << 60, "blobId": "1" * 40} for n in (
        "config.json", "tokenizer.json", "model.safetensors", *(f"{i}_Dense/config.json" for i in range(14)))]}},
    {"kind": "info", "merge": {"sha": "../../../etc"}},
    {"kind": "headers", "headers": {"Content-Encoding": "gzip"}},
    {"kind": "length", "by": 0},
])
def test_malformed_model_info(hub, cache, fault):
    if fault["kind"] == "length":
        fault = {"kind": "body", "text": "[" * 100_000}
    hub.fault(path="api/models", **fault)
    pull(hub, cache).fails("hub_unreachable")
    assert blobs(cache) == []


def test_giant_answers_are_not_read_to_their_end(hub, cache):
    hub.fault("headers", "api/models", headers={"X-Big": "x" * 60_000, "X-Big2": "x" * 10_000})
    pull(hub, cache).fails("too_large")
    hub.clear()
    hub.fault("body", "api/models", text=" " * (33 << 20))
    pull(hub, cache).fails("too_large")


def test_a_body_of_another_length_than_listed(hub, cache):
    hub.fault("body", "resolve-cache/models/acme/tiny/[^/]+/config.json", text="{}" * 500)
    pull(hub, cache).fails("hub_unreachable")


@pytest.mark.parametrize("to", ["http://127.0.0.1:{port}/loop", "file:///etc/passwd",
                                "gopher://x/", "ftp://127.0.0.1/x", "http:///", "http://["])
def test_redirects_that_lead_nowhere_good(hub, cache, to):
    hub.fault("redirect", "loop|resolve/[^/]+/config.json",
              to=to.format(port=hub.url.rpartition(":")[2]))
    pull(hub, cache).fails("hub_unreachable")
    assert sum("loop" in r["path"] for r in hub.log) <= 6


HOSTILE = [
    "", "/", "/etc/passwd", "//x", "..", ".", "../x", "a/../b", "a/..", "./a", "a/./b", "a//b",
    "a/", "..\\x", "a\\b", "\\\\host\\share", "C:\\x", "C:x", "a:b", "file::$DATA", "a\n", "a\tb",
    "\x01", "a\x7f", "a\x1b[2J", "a\r\nb", "a\x00b", "\x00", "a\x85b", "\u202egpj", "\u200b",
    "\ufeffa", "\u2028", "a.", "a ", " a", "a./b", "a /b", " /b", "...", "a/...", ".git/config",
    ".GIT/config", "x/.git/y", ".Git", "/".join("12345678901234567"), "a/../../b",
    "../../../../../../etc/shadow", "snapshots/../../blobs", "a/..\\..\\b", "CON:",
    "a/b/../../../c", "..;/x:", "\u2066x", "a\u200f", "x" * 256, "x" * 300 + "/y", "a/" + "y" * 256,
    "/".join(["x" * 100] * 6), "../" * 40 + "root/.ssh/authorized_keys", "model.safetensors/../../x",
    "1_Pooling/../../../x", "./config.json", "config.json/", "%2e%2e\\x", "a/\x7f/b", "~:/x",
    "models--a--b:blobs", "\\", ":", "\u061c" + "\u202a", "con\x00fig.json"]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_file_names(hub, cache, tmp_path, name):
    outside = sorted(p for p in tmp_path.rglob("*"))
    hub.fault("info", "api/models", merge={"siblings": [
        {"rfilename": "config.json", "size": 22, "blobId": "0" * 40},
        {"rfilename": name, "size": 1, "blobId": "0" * 40}]})
    pull(hub, cache).fails("damaged_file")
    assert everything(cache) == []
    assert [p for p in tmp_path.rglob("*") if p not in outside] == [cache]


@pytest.mark.parametrize("names", [("config.json", "Config.json"), ("a", "a/b"), ("a", "a"),
                                   ("A/x", "a/y", "a/X")])
def test_names_that_collide(hub, cache, names):
    hub.fault("info", "api/models", merge={"siblings": [
        {"rfilename": n, "size": 1, "blobId": "0" * 40} for n in names]})
    pull(hub, cache).fails("damaged_file")


@pytest.mark.parametrize("oid", ["", "../../x", "0" * 39, "0" * 41, "G" * 40, "0" * 39 + "/",
                                 "A" * 40, "0" * 64, "/etc/passwd", "0" * 40 + "\x00"])
def test_hostile_hashes(hub, cache, oid):
    hub.fault("info", "api/models", merge={"siblings": [
        {"rfilename": "config.json", "size": 22, "blobId": oid}]})
    pull(hub, cache).fails("hub_unreachable")
    assert everything(cache) == []


def test_too_many_files(hub, cache):
    hub.fault("info", "api/models", merge={"siblings": [
        {"rfilename": f"f{i}", "size": 1, "blobId": "0" * 40} for i in range(10_001)]})
    pull(hub, cache).fails("too_large")


def test_planted_links_are_not_followed(hub, cache, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    (cache / "models--acme--tiny").mkdir(parents=True)
    (cache / "models--acme--tiny/blobs").symlink_to(victim)
    pull(hub, cache).answer()
    assert everything(victim) == []
    (cache / "models--acme--tiny/blobs").unlink()
    (cache / "models--acme--tiny/snapshots").symlink_to(victim)
    pull(hub, cache).answer()
    assert everything(victim) == []


# ---- who may -------------------------------------------------------------------


@pytest.fixture
def gated(root):
    make_repository(root / "acme/gated", SMALL | {
        "model.safetensors": safetensors(2_000_000), ".hub.json": b'{"gated": "auto", "license": "x"}'})
    return "acme/gated"


def test_a_gated_model_says_how_to_get_access(hub, cache, gated):
    for token in ("", "hf_wrong"):
        text = pull(hub, cache, gated, token=token).fails("gated")
        assert f"{hub.url}/{gated}" in text and "HF_TOKEN" in text
    result = pull(hub, cache, gated, token="hf_right").done()
    assert result["gated"] is True and result["licence"] == "x"


def test_the_token_goes_to_the_endpoint_alone(hub, cache, gated):
    hub.fault("redirect", "resolve/[^/]+/config.json", code=302,
              to=f"{hub.cdn}/_cdn/2/acme/gated/main/config.json")
    pull(hub, cache, gated, token="hf_right").done()
    home = [r for r in hub.log if not r["path"].startswith("/_cdn")]
    away = [r for r in hub.log if r["path"].startswith("/_cdn")]
    assert len(away) == 2 and all(r["authorization"] is None for r in away)
    assert home and all(r["authorization"] == "Bearer hf_right" for r in home)


def test_the_token_leaves_no_trace(hub, root, cache, gated, tmp_path):
    token = "hf_" + "s3cretS3cret" * 3
    (root / gated / ".hub.json").write_text('{"gated": "auto", "token": "%s"}' % token)
    hub.fault("stall", "_cdn", after=100_000)
    with open(tmp_path / "stderr", "wb") as log:
        job = Fetch("pull", stderr=log, repo=gated, endpoint=hub.url, token=token, cache=cache)
    job.until_bytes(50_000)
    for name in ("environ", "cmdline"):
        assert token.encode() not in Path(f"/proc/{job.pid}/{name}").read_bytes()
    assert Path(f"/proc/{job.pid}/environ").read_bytes() == b""
    hub.clear()
    job.done()
    assert token.encode() not in (tmp_path / "stderr").read_bytes()
    for path in cache.rglob("*"):
        assert path.is_dir() or token.encode() not in path.read_bytes()


def test_what_is_not_there(hub, cache):
    assert hub.url in pull(hub, cache, "acme/nothing").fails("model_not_found")
    pull(hub, cache, "acme/nothing", token="hf_right").fails("model_not_found")
    assert "v9" in pull(hub, cache, revision="v9").fails("model_not_found")
    assert everything(cache) == []


def test_only_pickles_are_refused(hub, root, cache):
    make_repository(root / "acme/pickles", {"config.json": b"{}", "pytorch_model.bin": b"x"})
    assert "safetensors" in pull(hub, cache, "acme/pickles").fails("unsupported_architecture")


def test_a_missing_shard_is_refused_before_the_first_byte(hub, root, cache):
    make_repository(root / "acme/shards", {
        "config.json": b"{}", "model-00001-of-00002.safetensors": safetensors(10)})
    text = pull(hub, cache, "acme/shards").fails("damaged_file")
    assert "model-00002-of-00002.safetensors" in text and blobs(cache) == []


def test_offline(hub, cache):
    assert "HF_HUB_OFFLINE" in pull(hub, cache, offline=True).fails("hub_unreachable")
    assert hub.log == []


def test_offline_believes_no_changed_byte(hub, cache):
    result = pull(hub, cache).done()
    assert pull(hub, cache, offline=True).done()["files"] == result["files"]
    config = snapshot_files(result["snapshot"])["config.json"].resolve()
    config.write_bytes(b'{"model_type": "bart"}')
    assert "config.json" in pull(hub, cache, offline=True).fails("wrong_hash")


# ---- TLS -------------------------------------------------------------------------


@pytest.fixture
def tls_hub(root):
    with Hub(root, tls=True) as running:
        yield running


def test_tls_with_a_certificate_that_is_known(tls_hub, cache):
    assert pull(tls_hub, cache, ca_file=CERTIFICATE).done()["downloaded"] > 3_000_000


def test_tls_with_a_certificate_that_is_not(tls_hub, cache):
    start = time.monotonic()
    text = pull(tls_hub, cache).fails("hub_unreachable")
    assert "certificate" in text and time.monotonic() - start < 2
    assert tls_hub.log == []


def test_https_never_becomes_http(tls_hub, hub, cache):
    for path in ("resolve/[^/]+/config.json", "_cdn/.*model.safetensors", "api/models"):
        tls_hub.fault("redirect", path, times=1, to=hub.url + "/acme/tiny/resolve/main/config.json")
        text = pull(tls_hub, cache, ca_file=CERTIFICATE, token="hf_right").fails("hub_unreachable")
        assert "http://127.0.0.1" in text
    assert hub.log == []


# ---- the disk -------------------------------------------------------------------


def test_too_little_room_is_said_before_the_first_byte(hub, root, cache):
    siblings = [{"rfilename": "config.json", "size": 22, "blobId": "0" * 40},
                {"rfilename": "model.safetensors", "size": 1 << 49,
                 "lfs": {"sha256": "0" * 64, "size": 1 << 49}}]
    hub.fault("info", "api/models", merge={"siblings": siblings})
    text = pull(hub, cache).fails("disk_full")
    assert str((1 << 49) + 22) in text and "free" in text
    assert blobs(cache) == [] and hub.sent("resolve|_cdn") == 0


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder],
                           capture_output=True)
    if mount.returncode:
        pytest.skip("cannot mount a tmpfs here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_keeps_the_part(hub, root, small_disk):
    cache = small_disk / "cache"
    hub.fault("stall", "_cdn/.*model.safetensors", times=1, after=1_000_000)
    job = pull(hub, cache)
    job.until_bytes(900_000)
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(b"x" * 65536)
    hub.clear()
    job.fails("disk_full")
    assert [b for b in blobs(cache) if b.endswith(".incomplete")]
    pull(hub, cache).fails("disk_full")
    filler.unlink()
    result = pull(hub, cache).done()
    assert result["downloaded"] < result["bytes"] - 800_000


# ---- the other jobs --------------------------------------------------------------


def test_headers_fetch_little_and_write_nothing(hub, root, tmp_path):
    job = pull(hub, None, task="headers")
    result = job.done()
    files = {f["name"]: f for f in result["files"]}
    assert set(files) == TAKEN
    for name, f in files.items():
        data = (root / "acme/tiny" / name).read_bytes()
        assert f["size"] == len(data)
        fd = job.fds[f["fd"]]
        got = os.pread(fd, 1 << 22, 0)
        with pytest.raises(OSError):
            os.write(fd, b"x")
        assert data.startswith(got)
        want = 8 + int.from_bytes(data[:8], "little") if name.endswith("safetensors") else len(data)
        assert len(got) >= want
    assert hub.sent("safetensors") <= 2 * (64 << 10) + 8 * 65536
    for fd in job.fds:
        os.close(fd)


def test_a_header_longer_than_the_first_piece(hub, root):
    names = ",".join('"t%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}' % i
                     for i in range(5000))
    header = b"{" + names.encode() + b"}"
    data = len(header).to_bytes(8, "little") + header
    (root / WEIGHTS).write_bytes(data)
    job = pull(hub, None, task="headers")
    f = next(f for f in job.done()["files"] if f["name"] == "model.safetensors")
    assert os.pread(job.fds[f["fd"]], 1 << 22, 0) == data
    for fd in job.fds:
        os.close(fd)


@pytest.mark.parametrize("claim", [1 << 62, 3_000_001, 100_000_001])
def test_a_header_that_claims_too_much(hub, root, claim):
    (root / WEIGHTS).write_bytes(claim.to_bytes(8, "little") + b"x" * 3_000_000)
    assert "model.safetensors" in pull(hub, None, task="headers").fails("damaged_file")


def test_verify_finds_what_was_changed(hub, cache):
    result = pull(hub, cache).done()
    where = {"cache": cache, "repo": "acme/tiny", "commit": result["commit"]}
    right = Fetch("verify", **where).done()
    assert {f["state"] for f in right["files"]} == {"ok"} and len(right["files"]) == 6
    config = snapshot_files(result["snapshot"])["config.json"].resolve()
    config.write_bytes(b'{"model_type": "bart"}')
    changed = Fetch("verify", **where).done()
    assert changed["wrong"] == 1
    assert [f["name"] for f in changed["files"] if f["state"] == "wrong"] == ["config.json"]


def test_verify_of_a_folder_tells_the_hashes(root):
    result = Fetch("verify", folder=root / "acme/tiny").done()
    assert result["unknown"] == len(result["files"]) == 6
    for f in result["files"]:
        assert f["hash"] == sha256((root / "acme/tiny" / f["name"]).read_bytes())


def test_remove_leaves_what_others_link(hub, root, cache):
    make_repository(root / "acme/tiny@v2", {
        **{n: (root / "acme/tiny" / n).read_bytes() for n in TAKEN}, "config.json": b'{"v": 2}'})
    main, v2 = pull(hub, cache).done(), pull(hub, cache, revision="v2").done()
    where = {"cache": cache, "repo": "acme/tiny"}
    gone = Fetch("remove", commit=main["commit"], **where).done()
    assert gone == {"removed": 6, "freed": len(SMALL["config.json"])}
    assert Fetch("verify", commit=v2["commit"], **where).done()["wrong"] == 0
    refs = sorted(p.name for p in (cache / "models--acme--tiny/refs").iterdir())
    assert refs == ["v2"]
    Fetch("remove", commit=main["commit"], **where).fails("model_not_found")
    Fetch("remove", commit=v2["commit"], **where).done()
    assert everything(cache) == [".locks"]


def test_remove_takes_commits_only(cache):
    for commit in ("..", "../..", "main", "", "0" * 39, "0" * 39 + "/"):
        Fetch("remove", cache=cache, repo="acme/tiny", commit=commit).fails("invalid_request")


# ---- frames ------------------------------------------------------------------------


@pytest.mark.parametrize("params", [
    {"repo": "../x"}, {"repo": "a/b/c"}, {"repo": "a/b", "revision": ".."}, {"repo": ""},
    {"repo": "a/b", "endpoint": ""}, {"repo": "a/b", "endpoint": "file:///etc"},
    {"repo": "a/b", "endpoint": "http://user:word@127.0.0.1/"}, {"repo": "a/b", "endpoint": "x"},
    {"repo": "a/b", "cache": "relative"}, {"repo": "a/b", "token": "x\r\nHost: y"},
    {"repo": "a/b", "token": "x" * 2000}, {"repo": "a/b@main"}])
def test_bad_parameters(cache, params):
    whole = {"endpoint": "http://127.0.0.1:9", "cache": str(cache)} | params
    Fetch("pull", **whole).fails("invalid_request")


def test_an_unknown_task(cache):
    Fetch("format", cache=cache).fails("invalid_request")


def test_frames_out_of_order():
    child = Child(BUILD / "berth-fetch")
    child.send("JOB", {"task": "pull", "params": {}}, job=1)
    assert child.recv().body["code"] == "invalid_request"
    assert child.end() == 0
    child = Child(BUILD / "berth-fetch")
    child.send("HELLO", {"version": 999, "build": "x", "kind": "daemon"})
    assert "999" in child.recv().body["text"]
    assert child.end() == 0
    child = Child(BUILD / "berth-fetch")
    child.hello()
    child.send("DRAIN", {})
    assert child.recv() is None and child.end() == 0


def test_hello_and_job_in_one_piece(hub, cache):
    child = Child(BUILD / "berth-fetch")
    child.send_bytes(encode("HELLO", {"version": 1, "build": "t", "kind": "daemon", "degraded": True})
                     + encode("JOB", {"task": "pull", "params": {
                         "repo": "acme/tiny", "endpoint": hub.url, "cache": str(cache)}}, job=3))
    frame, _ = child.recv_until("DONE", "ERROR")
    assert frame.type == "DONE" and frame.job == 3 and child.end() == 0


def test_bytes_that_are_no_frame():
    child = Child(BUILD / "berth-fetch")
    child.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
    assert child.recv().type == "ERROR"
    assert child.end() == 0


def test_by_hand_it_says_what_it_is():
    run = subprocess.run([BUILD / "berth-fetch"], capture_output=True, text=True, timeout=10)
    assert run.returncode == 2 and "berth pull" in run.stderr
