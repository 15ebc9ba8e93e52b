"""The daemon as a process: its home, its socket, its configuration, the service manager, how it stops."""
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from conftest import Raw, request
from daemon import BUILD, MINILM, MODELS, Daemon, until


def refused(tmp_path, *arguments, **environment):
    """What berthd says when it does not start."""
    d = Daemon(tmp_path, *arguments, **environment)
    done = subprocess.run([BUILD / "berthd", *d.arguments], env=d.environment, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1, done
    return json.loads(done.stderr.splitlines()[-1])["msg"]


def test_home_and_socket_are_for_their_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        with Daemon(tmp_path) as d:
            for name, mode in ((".", 0o700), ("berth.sock", 0o600), ("berth.json", 0o600), ("berth.lock", 0o600)):
                assert stat.S_IMODE((d.home / name).stat().st_mode) == mode, name
            about = json.loads((d.home / "berth.json").read_text())
            assert about["pid"] == d.pid and about["socket"] == str(d.home / "berth.sock")
    finally:
        os.umask(before)
    assert not (d.home / "berth.sock").exists() and not (d.home / "berth.json").exists()


def test_the_unix_socket_serves_the_same(tmp_path):
    with Daemon(tmp_path) as d:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(d.home / "berth.sock"))
            s.sendall(request("GET", "/livez") * 2)
            answer = b""
            while answer.count(b"ok\n") < 2:
                answer += s.recv(4096)
            assert answer.count(b"HTTP/1.1 200 OK") == 2


def test_one_daemon_in_a_home(tmp_path):
    with Daemon(tmp_path) as d:
        said = refused(tmp_path, "--listen", "127.0.0.1:0")
        assert "another berthd runs on" in said and str(d.pid) in said
        assert d.get("/livez")


def test_a_killed_daemon_leaves_nothing_in_the_way(tmp_path):
    d = Daemon(tmp_path).start()
    d.process.kill()
    d.process.wait()
    assert (d.home / "berth.sock").exists()
    with Daemon(tmp_path) as again:
        assert again.get("/livez")


def test_what_is_no_socket_is_not_replaced(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is in the way" in refused(tmp_path, "--socket", str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "mine"


def test_beyond_loopback_only_when_it_is_meant(tmp_path):
    said = refused(tmp_path, "--listen", "0.0.0.0:0")
    assert "--insecure-no-auth" in said
    d = Daemon(tmp_path, "--insecure-no-auth", "--listen", "0.0.0.0:0")
    with d:
        about = json.loads((d.home / "berth.json").read_text())
        assert about["listen"][1].startswith("0.0.0.0:")
        assert d.ask("GET", "/livez", headers={"Host": "10.1.2.3:80"})[0] == 200
        assert d.ask("GET", "/livez", headers={"Host": "rebound.example"})[0] == 421


@pytest.mark.parametrize("address, word", [("nonsense", "HOST:PORT"), ("localhost:99999", "HOST:PORT"), ("::1:80", "HOST:PORT"),
                                           ("name.example:80", "in digits"), ("192.0.2.1:80", "192.0.2.1:80")])
def test_addresses_that_cannot_be(tmp_path, address, word):
    assert word in refused(tmp_path, "--listen", address, "--insecure-no-auth")


def test_a_port_in_use_is_said(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        assert "in use" in refused(tmp_path, "--listen", f"127.0.0.1:{s.getsockname()[1]}")


def test_configuration_is_refused_with_its_place(tmp_path):
    (tmp_path / "bad.yaml").write_text("idle_s: 5\nqueue_jobs: many\n")
    said = refused(tmp_path, "--config", str(tmp_path / "bad.yaml"))
    assert "bad.yaml, line 2, column 13: queue_jobs is 'many'" in said
    assert "no.yaml" in refused(tmp_path, "--config", str(tmp_path / "no.yaml"))
    assert "BERTH_QUEUE_JOBS" in refused(tmp_path, BERTH_QUEUE_JOBS="many")


def test_a_usage_error_is_2(tmp_path):
    for arguments in (["--nothing"], ["word"]):
        assert subprocess.run([BUILD / "berthd", *arguments], capture_output=True).returncode == 2


@pytest.mark.timeout(60)
def test_preloads_are_what_readiness_waits_for(tmp_path):
    config = f"models:\n  - name: {MINILM}\n    alias: mini\n    preload: true\n"
    with Daemon(tmp_path, config=config) as d:
        status, headers, answer = d.ask("GET", "/readyz")
        assert status == 503 and int(headers["Retry-After"]) >= 1 and answer["error"]["code"] == "loading"
        assert d.get("/berth/status")["waiting_for"]
        assert d.ask("POST", "/berth/remove", {"model": MINILM})[0] in (404, 409)


# ---- stopping ----

def drain_status(d):
    try:
        return d.ask("GET", "/readyz")[0]
    except OSError:
        return "closed"


@pytest.mark.timeout(60)
def test_readiness_goes_first_and_running_work_ends_well(tmp_path):
    with Daemon(tmp_path) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        body = json.dumps({"model": MINILM, "input": ["many words to read " * 60] * 300, "truncate": True}).encode()
        kept = d.connect()
        assert d.ask("GET", "/readyz", connection=kept)[0] == 200
        with Raw(d, 60) as long, Raw(d) as events:
            events.send(request("GET", "/berth/events"))
            assert events.answer()[0] == 200
            long.send(request("POST", "/v1/embeddings", "Content-Type: application/json", body=body))
            until(lambda: d.get("/berth/status")["jobs"]["running"] == 1, what="the job to run")
            begin = time.monotonic()
            d.process.send_signal(signal.SIGTERM)
            until(lambda: drain_status(d) == 503, what="/readyz to say no")
            print(f"/readyz said no {1000 * (time.monotonic() - begin):.1f} ms after SIGTERM")
            assert d.get("/livez") == "ok\n"
            status, headers, answer = d.ask("POST", "/v1/embeddings", {"model": MINILM, "input": "x"})
            assert (status, answer["error"]["code"]) == (503, "draining") and headers["Connection"] == "close"
            while b"0\r\n\r\n" not in long.left[-5:]:
                assert long.more()
            assert long.left.startswith(b"HTTP/1.1 200") and long.left.count(b'"object":"embedding"') == 300
            assert events.closed() and b'"to":"gone"' in events.left
        assert d.process.wait(30) == 0


def test_a_second_signal_ends_at_once(tmp_path):
    with Daemon(tmp_path) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        pids = d.workers()
        body = json.dumps({"model": MINILM, "input": ["many words to read " * 60] * 3000, "truncate": True}).encode()
        with Raw(d) as r:
            r.send(request("POST", "/v1/embeddings", "Content-Type: application/json", body=body))
            until(lambda: d.get("/berth/status")["jobs"]["running"] == 1, what="the job to run")
            d.process.send_signal(signal.SIGTERM)
            until(lambda: drain_status(d) == 503, what="/readyz to say no")
            d.process.send_signal(signal.SIGINT)
            assert d.process.wait(5) == 1
        until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 2, "the worker to die with it")


# ---- the service manager ----

def test_the_service_manager_is_told(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(tmp_path / "notify"))
        s.settimeout(20)
        with Daemon(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="300000") as d:
            assert s.recv(100) == b"READY=1"
            assert [s.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
            d.process.send_signal(signal.SIGTERM)
            said = s.recv(100)
            while said == b"WATCHDOG=1":
                said = s.recv(100)
            assert said == b"STOPPING=1"
            assert d.process.wait(20) == 0


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd-socket-activate")
@pytest.mark.parametrize("unix", [False, True])
def test_sockets_are_taken_over(tmp_path, unix):
    d = Daemon(tmp_path)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    path = tmp_path / "handed.sock" if unix else d.home / "berth.sock"
    listen = ["-l", f"127.0.0.1:{port}", *(["-l", str(path)] if unix else [])]
    handed = [f"--setenv={k}={v}" for k, v in d.environment.items()]
    process = subprocess.Popen(["systemd-socket-activate", *listen, *handed, BUILD / "berthd"],
                               stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if f"127.0.0.1:{port}" in line:
                break
        d.host, d.port = "127.0.0.1", port
        status = d.get("/berth/status")
        assert status["listen"] == [f"127.0.0.1:{port}"] and status["socket"] == str(path)
        done = subprocess.run([BUILD / "berth", "status", "--socket", str(path)], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert path.exists() == unix  # ours to take away, or the service manager's
    finally:
        process.kill()
        process.stderr.close()


def test_the_way_to_the_hub_is_the_environments(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(20)
        with Daemon(tmp_path, HF_ENDPOINT="http://hub.invalid", http_proxy=f"http://127.0.0.1:{proxy.getsockname()[1]}") as d:
            assert d.ask("POST", "/berth/pull", {"model": "acme/tiny", "detach": True})[0] == 202
            client, _ = proxy.accept()
            with client:
                assert client.recv(4096).startswith(b"GET http://hub.invalid/api/models/acme/tiny/")


def test_a_start_that_fails_late_is_said_and_leaves_no_child(tmp_path):
    commit = "0" * 40
    snapshot = tmp_path / "hub/models--acme--tiny/snapshots" / commit
    snapshot.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (snapshot / name).write_text("{}")
    (tmp_path / "home/berth.json/in the way").mkdir(parents=True)
    assert "berth.json" in refused(tmp_path, "--listen", "127.0.0.1:0")
    assert not (tmp_path / "home/berth.sock").exists()


@pytest.mark.parametrize("cap", ["", "scalar"])
def test_status_and_the_first_line_name_the_level_in_use(tmp_path, cap):
    with Daemon(tmp_path, BERTH_ISA=cap) as d:
        d.add(MINILM, MODELS / MINILM)
        d.post("/berth/load", model=MINILM)
        level = d.get("/berth/status")["level"]
        assert level == d.get(f"/berth/models/{MINILM}")["instances"][0]["level"]
        assert level == "scalar" if cap else level in ("scalar", "avx2", "avx512")
        assert f"kernels {level}," in d.log()


def test_a_level_that_is_none_is_refused(tmp_path):
    assert "BERTH_ISA is 'avx3'" in refused(tmp_path, BERTH_ISA="avx3")
