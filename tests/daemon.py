"""Starts the programs under test and asks them: a daemon in a home of its own, a local hub.

Everything here waits for events: a line on standard error, a file that appears, a process that ends.
"""
import contextlib
import http.client
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))
CACHE = pathlib.Path(os.environ.get("BERTH_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "berth")
MODELS = CACHE / "models"
BACKENDS = pathlib.Path(os.environ.get("BERTH_BACKENDS") or CACHE / "backends")  # as script/setup installs them
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
START_S = 30


def until(condition, seconds=START_S, what="the condition"):
    """Polls for what has no event to wait for (a file, /proc)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise TimeoutError(f"{what}: not within {seconds} s")


class Daemon:
    """berthd on a free port. Use as a context manager; stop() expects exit code 0."""

    def __init__(self, folder, *arguments, build=BUILD, config=None, **environment):
        self.folder = pathlib.Path(folder)
        self.home = self.folder / "home"
        self.cache = self.folder / "hub"
        self.build = pathlib.Path(build)
        self.arguments = list(arguments)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "BERTH_HOME": str(self.home),
                            "HF_HUB_CACHE": str(self.cache), "HF_ENDPOINT": "http://127.0.0.1:9",
                            "BERTH_BACKENDS": str(BACKENDS), **environment}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(exist_ok=True)
        if config is not None:
            (self.folder / "berth.yaml").write_text(config)
            self.arguments += ["--config", str(self.folder / "berth.yaml")]
        self.process = self.kept = None
        self.log_path = self.folder / "daemon.log"

    def start(self):
        about = self.home / "berth.json"
        about.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.build / "berthd", "--listen", "127.0.0.1:0", *self.arguments],
                env=self.environment, stderr=log, stdin=subprocess.DEVNULL, stdout=log)

        def ready():
            assert self.process.poll() is None, f"berthd ended with {self.process.returncode}:\n{self.log()}"
            return about.exists() and about.read_text().endswith("}\n")

        until(ready, what="berthd to start")
        self.host, _, port = json.loads(about.read_text())["listen"][0].rpartition(":")
        self.port = int(port)
        self.base = f"http://{self.host}:{self.port}"
        return self

    __enter__ = start

    def __exit__(self, kind, *_):
        if self.process and self.process.poll() is None:
            if kind:
                self.process.kill()
                self.process.wait()
                sys.stderr.write(self.log()[-8000:])
            else:
                self.stop()

    def stop(self, seconds=60):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(seconds) == 0, self.log()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def connect(self, timeout=120):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def keep_connection(self):
        """From now on all is asked on one connection: the daemon's descriptors do not depend on when it closes others."""
        self.kept = self.connect()

    def ask(self, method, path, body=None, headers=None, connection=None):
        """(status, headers, decoded JSON or text)."""
        connection = connection or self.kept
        c = connection or self.connect()
        data = None if body is None else json.dumps(body).encode()
        c.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        answer = c.getresponse()
        text = answer.read()
        if connection is None:
            c.close()
        kind = answer.headers.get("Content-Type", "")
        return answer.status, answer.headers, json.loads(text) if "json" in kind else text.decode()

    def post(self, path, **body):
        """The decoded answer of a POST that must succeed."""
        status, _, answer = self.ask("POST", path, body)
        assert status == 200, (path, status, answer)
        return answer

    def get(self, path):
        status, _, answer = self.ask("GET", path)
        assert status == 200, (path, status, answer)
        return answer

    def add(self, name, folder):
        return self.post("/berth/add", model=name, dir=str(folder))

    def workers(self, name=MINILM):
        return [i["pid"] for i in self.get(f"/berth/models/{name}")["instances"] if i["state"] != "gone"]

    @property
    def pid(self):
        return self.process.pid

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def children(self):
        """Process ids of the daemon's children, zombies included."""
        found = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            found += [int(p) for p in (task / "children").read_text().split()]
        return found

    def rss_anon(self):
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise LookupError("RssAnon")


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextlib.contextmanager
def local_hub(root=MODELS, *arguments):
    """The local hub of the tests; gives its address."""
    hub = subprocess.Popen([sys.executable, ROOT / "tests/hub/hub.py", "--root", str(root), "--port", "0", *arguments],
                           stdout=subprocess.PIPE, text=True)
    try:
        readable, _, _ = select.select([hub.stdout], [], [], START_S)
        assert readable, "the local hub did not start"
        yield hub.stdout.readline().strip()
    finally:
        hub.terminate()
        hub.wait()
        hub.stdout.close()
