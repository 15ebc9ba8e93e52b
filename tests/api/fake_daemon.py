"""A daemon that says what the test wants, over a real unix socket, and berth as a user calls it."""
import http.server
import json
import os
import socketserver
import subprocess
import threading

import pytest

from daemon import BUILD

BERTH = BUILD / "berth"
NAME = "org/model-1"
INSTANCE = {"id": 3, "pid": 4242, "state": "ready", "backend": "native", "dtype": "f32", "device": "cpu",
            "level": "avx512", "why": "", "reserved_bytes": 200_000_000, "real_bytes": 120_000_000, "jobs": 2,
            "age_ms": 65_000, "load_ms": 41, "sandbox": {"landlock": True, "landlock_abi": 7,
            "seccomp": True, "degraded": False}, "extra": {}}
MODEL = {"name": NAME, "revision": "main", "commit": "c9745ed1d9f207416be6d2e6f8de32d1f16199bf", "aliases": ["encoder"],
         "model_state": "registered", "state": "ready", "reason": "", "last_words": "", "origin": "pulled",
         "architecture": "BertModel", "model_type": "bert", "task": "feature-extraction",
         "tasks": ["feature-extraction", "sentence-similarity"], "file_bytes": 91_600_000, "need_bytes": 200_000_000,
         "context": 512, "dim": 384, "preload": False, "pin": False, "queued_jobs": 0, "running_jobs": 2,
         "restarts": 0, "done_jobs": 17, "failed_jobs": 1, "truncated_items": 0, "tokens": 1234,
         "retry_after_ms": 0, "instances": [INSTANCE]}
STATUS = {"version": "0.1.0", "pid": 77, "uptime_ms": 61_000, "listen": ["127.0.0.1:7337"], "socket": "/s", "home": "/h",
          "cache": "/theirs", "endpoint": "https://hub.test", "offline": False, "level": "avx512", "threads": 2,
          "memory": {"budget": 12_000_000_000, "reserved": 200_000_000}, "models": 1, "ready_deployments": 1,
          "instances": 1, "jobs": {"queued": 0, "running": 2, "done": 17, "failed": 1, "retried": 0},
          "worker_deaths": 0, "truncations": 0, "draining": False, "ready": True, "waiting_for": None,
          "slow_turns": 0, "longest_turn_ms": 3}
PLAN = {"model": NAME, "commit": MODEL["commit"], "local": False, "fits": True, "need_bytes": 200_000_000,
        "free_bytes": 11_800_000_000, "budget_bytes": 12_000_000_000, "download_bytes": 91_600_000,
        "architecture": "BertModel", "model_type": "bert", "task": "feature-extraction",
        "tasks": ["feature-extraction"], "tensors": 103, "parameters": 22_713_216, "bytes": {"F32": 90_852_864},
        "context": 512, "dim": 384, "vocab": 30522, "labels": 0, "weights": 90_852_864, "runtime": [[512, 1000]],
        "unsupported": [], "licence": "apache-2.0", "backend": "native",
        "backend_reason": "native: everything in it is supported"}


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class FakeDaemon:
    """routes: "METHOD /path" -> a JSON value, (status, JSON value), or a function of the handler that answers itself."""

    def __init__(self, path):
        self.path, self.routes, self.asked = path, {}, []
        self.routes["GET /berth/models"] = {"models": [MODEL]}
        self.routes[f"GET /berth/models/{NAME}"] = MODEL
        self.routes["GET /berth/status"] = STATUS
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def address_string(self):
                return "unix"

            def log_message(self, *_):
                pass

            def handle_any(self):
                n = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(n)) if n else None
                key = f"{self.command} {self.path}"
                fake.asked.append((key, body))
                answer = fake.routes.get(key, (404, {"error": {"code": "not_found", "message": f"no route {key}"}}))
                if callable(answer):
                    answer = answer(self, body)
                if answer is not None:
                    status, value = answer if isinstance(answer, tuple) else (200, answer)
                    self.reply(status, json.dumps(value).encode())

            do_GET = do_POST = handle_any

            def reply(self, status, data, kind="application/json", headers=()):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                for k, v in headers:
                    self.send_header(k, v)
                self.end_headers()
                self.wfile.write(data)

            def stream(self, kind="text/event-stream"):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def chunk(self, text):
                data = text.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        self.server = Server(str(path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def bodies(self, key):
        return [body for k, body in self.asked if k == key]


@pytest.fixture
def fake(tmp_path):
    daemon = FakeDaemon(tmp_path / "berth.sock")
    yield daemon
    daemon.server.shutdown()
    daemon.server.server_close()


@pytest.fixture
def environment(tmp_path):
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "user"), "BERTH_HOME": str(tmp_path), "LC_ALL": "C.UTF-8",
            "TERM": "xterm"}


@pytest.fixture
def berth(environment):
    def call(*arguments, code=0, stdin="", **variables):
        done = subprocess.run([BERTH, *arguments], env={**environment, **variables}, input=stdin, capture_output=True,
                              text=True, timeout=20)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        if code:
            assert done.stderr.count("\n") == 1 and done.stderr.startswith("berth: "), done.stderr
        return done

    return call
