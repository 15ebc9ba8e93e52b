#!/usr/bin/env python3
"""A hub on this machine: what huggingface.co answers, as far as berth asks.

    python3 tests/hub/hub.py --root DIR [--port 0] [--tls]

prints its address on one line and serves DIR/ORG/NAME/ and DIR/NAME/ as
repositories, DIR/NAME@REVISION/ as another revision of NAME. Files over 1 MB and
*.safetensors, *.gguf, *.bin are "LFS": they are sent to a second address (the
CDN), as are bytes on the real Hub. A file .hub.json in a repository may say:

    {"gated": "auto", "private": true, "token": "hf_...", "license": "mit",
     "was": ["old/name"]}

Faults, for tests: POST /_fault {"kind": K, "path": REGEX, "times": N, ...},
DELETE /_fault forgets them; GET /_log lists the requests seen. Kinds:

    flip      at           one bit of the body changed
    drop      after        the connection closed after so many bytes of a body
    stall     after        nothing more after so many bytes, until DELETE /_fault
    slow      rate         bytes a second
    status    code, headers
    redirect  to, code
    headers   headers      added (a header that is there is replaced)
    range     how          "ignore", "wrong", "416"
    body      text         another body (a JSON answer, a file)
    info      merge        members of the JSON of model info replaced
    length    by           Content-Length off by so many bytes

Python's library only; tests import Hub and run it in a thread.
"""

import argparse
import hashlib
import json
import re
import socket
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LFS_BYTES = 1_000_000
LFS_NAMES = re.compile(r"\.(safetensors|gguf|bin|onnx)$")
PIECE = 1 << 16
SETTINGS = ".hub.json"
# Self-signed, for 127.0.0.1 and 127.0.0.2, with its key: worth nothing elsewhere.
CERTIFICATE = Path(__file__).resolve().parent / "certificate.pem"


class Gone(Exception):
    """An answer that is an error: status, code for X-Error-Code, sentence."""


class Repository:
    """One revision of one repository, as it is in its folder right now."""

    def __init__(self, hub, name, folder):
        self.hub, self.name, self.folder = hub, name, folder
        settings = folder / SETTINGS
        self.settings = json.loads(settings.read_text()) if settings.exists() else {}
        self.files = {}
        for p in sorted(folder.rglob("*")):
            path = p.relative_to(folder).as_posix()
            if p.is_file() and path != SETTINGS:
                self.files[path] = hub.hashes(p)
        listing = json.dumps([[k, v["sha256"]] for k, v in sorted(self.files.items())])
        self.commit = hashlib.sha1(f"{name}\n{listing}".encode()).hexdigest()

    def is_lfs(self, path):
        return self.files[path]["size"] > LFS_BYTES or bool(LFS_NAMES.search(path))

    def pointer(self, path):
        f = self.files[path]
        return (f"version https://git-lfs.github.com/spec/v1\noid sha256:{f['sha256']}\n"
                f"size {f['size']}\n").encode()

    def oid(self, path):
        """What git calls the file: of an LFS file, its pointer."""
        if not self.is_lfs(path):
            return self.files[path]["sha1"]
        data = self.pointer(path)
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def etag(self, path):
        return self.files[path]["sha256" if self.is_lfs(path) else "sha1"]

    def sibling(self, path, blobs):
        f = self.files[path]
        entry = {"rfilename": path}
        if blobs:
            entry |= {"size": f["size"], "blobId": self.oid(path)}
            if self.is_lfs(path):
                entry["lfs"] = {"sha256": f["sha256"], "size": f["size"],
                                "pointerSize": len(self.pointer(path))}
        return entry

    def info(self, blobs):
        card = {k: self.settings[k] for k in ("license",) if k in self.settings}
        return {"_id": self.commit[:24], "id": self.name, "modelId": self.name,
                "sha": self.commit, "private": self.settings.get("private", False),
                "gated": self.settings.get("gated", False), "disabled": False,
                "author": self.name.partition("/")[0], "downloads": 0, "likes": 0,
                "tags": [], "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z", "cardData": card,
                "siblings": [self.sibling(p, blobs) for p in self.files]}

    def tree(self, under, recursive):
        entries, folders = [], set()
        for path in self.files:
            if under and not path.startswith(under + "/"):
                continue
            rest = path[len(under) + 1:] if under else path
            if "/" in rest and not recursive:
                folders.add(path[:len(path) - len(rest)] + rest.split("/")[0])
                continue
            entry = {"type": "file", "oid": self.oid(path), "path": path,
                     "size": self.files[path]["size"]}
            if self.is_lfs(path):
                entry["lfs"] = {"oid": self.files[path]["sha256"],
                                "size": entry["size"],
                                "pointerSize": len(self.pointer(path))}
            entries.append(entry)
        return entries + [{"type": "directory", "oid": "0" * 40, "size": 0, "path": f}
                          for f in sorted(folders)]


class Hub:
    """with Hub(root) as hub: hub.url, hub.fault(kind=...), hub.log"""

    def __init__(self, root, port=0, tls=False):
        self.root = Path(root).resolve()
        self.lock = threading.Lock()
        self.faults, self.log, self.known = [], [], {}
        self.released = threading.Event()
        self.servers = [Server(("127.0.0.1", port), Handler), Server(("127.0.0.2", 0), Handler)]
        for server in self.servers:
            server.hub = self
        scheme = "https" if tls else "http"
        self.url = "%s://127.0.0.1:%d" % (scheme, self.servers[0].server_port)
        self.cdn = "%s://127.0.0.2:%d" % (scheme, self.servers[1].server_port)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            for server in self.servers:
                server.socket = context.wrap_socket(server.socket, server_side=True,
                                                    do_handshake_on_connect=False)

    def __enter__(self):
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.clear()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def fault(self, kind, path=".", times=-1, **more):
        with self.lock:
            self.faults.append({"kind": kind, "path": path, "times": times} | more)

    def clear(self):
        with self.lock:
            self.faults.clear()
        self.released.set()

    def take_faults(self, path):
        """Those that this request meets, by kind."""
        met = {}
        with self.lock:
            for f in self.faults:
                if f["times"] != 0 and f["kind"] not in met and re.search(f["path"], path):
                    f["times"] -= f["times"] > 0
                    met[f["kind"]] = f
            if "stall" in met:
                self.released.clear()
        return met

    def sent(self, path="."):
        """Body bytes sent so far to requests whose path matches."""
        with self.lock:
            return sum(r["sent"] for r in self.log if re.search(path, r["path"]))

    def hashes(self, p):
        st = p.stat()
        key = (str(p), st.st_mtime_ns, st.st_size, st.st_ino)
        if key not in self.known:
            sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % st.st_size)
            with open(p, "rb") as f:
                while piece := f.read(1 << 20):
                    sha256.update(piece)
                    sha1.update(piece)
            self.known[key] = {"size": st.st_size, "sha256": sha256.hexdigest(),
                               "sha1": sha1.hexdigest(), "file": p}
        return self.known[key]

    def find(self, name, revision):
        segment = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
        if not re.fullmatch(f"({segment}/)?{segment}", name):
            raise Gone(404, "RepoNotFound", "Repository not found")
        folder = self.root / name
        if not folder.is_dir() or "/" not in name and not any(p.is_file() for p in folder.iterdir()):
            raise Gone(404, "RepoNotFound", "Repository not found")
        main = Repository(self, name, folder)
        if revision in ("main", main.commit):
            return main
        for other in folder.parent.glob(folder.name + "@*"):
            repo = Repository(self, name, other)
            repo.settings = main.settings
            if revision in (other.name.partition("@")[2], repo.commit):
                return repo
        raise Gone(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def renamed(self, name):
        for settings in [*self.root.glob("*/" + SETTINGS), *self.root.glob("*/*/" + SETTINGS)]:
            if name in json.loads(settings.read_text()).get("was", []):
                return settings.parent.relative_to(self.root).as_posix()
        return None


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        """A client that hangs up is no event."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hub"

    def log_message(self, *_):
        pass

    def do_GET(self):
        hub = self.server.hub
        path = self.path.partition("?")[0]
        if path == "/_log":
            return self.send_json(hub.log)
        self.entry = {"method": self.command, "path": self.path, "sent": 0,
                      "host": self.headers.get("Host"), "range": self.headers.get("Range"),
                      "authorization": self.headers.get("Authorization"),
                      "encoding": self.headers.get("Accept-Encoding")}
        with hub.lock:
            hub.log.append(self.entry)
        self.faults = hub.take_faults(self.path)
        if "status" in self.faults:
            f = self.faults["status"]
            return self.send_error_json(f["code"], "", "on demand", f.get("headers", {}))
        if "redirect" in self.faults:
            return self.send_redirect(self.faults["redirect"].get("code", 302),
                                      self.faults["redirect"]["to"], {})
        try:
            self.route(path)
        except Gone as gone:
            status, code, text = gone.args
            self.send_error_json(status, code, text)

    do_HEAD = do_GET

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/_fault":
            return self.send_error_json(404, "", "nothing to post there")
        self.server.hub.fault(**body)
        self.send_json({})

    def do_DELETE(self):
        self.server.hub.clear()
        self.send_json({})

    def route(self, path):
        parts = [urllib.parse.unquote(p) for p in path.lstrip("/").split("/")]
        if parts[0] == "_cdn":
            repo = self.repository("/".join(parts[2:2 + int(parts[1])]), parts[2 + int(parts[1])],
                                   check=False)
            return self.send_file(repo, "/".join(parts[3 + int(parts[1]):]))
        if parts[:3] == ["api", "resolve-cache", "models"]:
            at = next(i for i, p in enumerate(parts) if re.fullmatch("[0-9a-f]{40}", p))
            repo = self.repository("/".join(parts[3:at]), parts[at], gate=True)
            return self.send_file(repo, "/".join(parts[at + 1:]))
        if parts[:2] == ["api", "models"]:
            return self.api(parts[2:])
        if "resolve" in parts[1:3]:
            at = parts.index("resolve", 1)
            return self.resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2:]))
        raise Gone(404, "", "Not found")

    def token(self):
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def repository(self, name, revision, gate=False, check=True):
        try:
            repo = self.server.hub.find(name, revision)
        except Gone as gone:
            if gone.args[1] == "RepoNotFound" and not self.token():
                raise Gone(401, "RepoNotFound", "Invalid username or password.") from None
            raise
        if not check:
            return repo
        right = self.token() == repo.settings.get("token", "hf_right")
        if repo.settings.get("private") and not right:
            raise Gone(404 if self.token() else 401, "RepoNotFound", "Repository not found")
        if gate and repo.settings.get("gated") and not right:
            raise Gone(403 if self.token() else 401, "GatedRepo",
                       f"Access to model {name} is restricted.")
        return repo

    def api(self, parts):
        query = urllib.parse.parse_qs(self.path.partition("?")[2])
        on = {k for k, v in query.items() if v[0].lower() in ("true", "1")}
        words = [i for i in (1, 2) if i < len(parts) and parts[i] in ("revision", "tree")]
        at = words[0] if words else len(parts)
        name, word = "/".join(parts[:at]), parts[at] if words else ""
        new = self.server.hub.renamed(name)
        if new:
            return self.send_redirect(307, self.path.replace(name, new, 1), {})
        repo = self.repository(name, parts[at + 1] if words else "main")
        if word == "tree":
            return self.send_json(repo.tree("/".join(parts[at + 2:]), "recursive" in on))
        info = repo.info("blobs" in on)
        info |= self.faults.get("info", {}).get("merge", {})
        self.send_json(info)

    def resolve(self, name, revision, path):
        hub = self.server.hub
        new = hub.renamed(name)
        if new:
            return self.send_redirect(307, self.path.replace(name, new, 1), {})
        repo = self.repository(name, revision, gate=True)
        if path not in repo.files:
            self.commit = repo.commit
            raise Gone(404, "EntryNotFound", f"{path} does not exist in {revision}")
        headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes",
                   "X-Linked-Size": str(repo.files[path]["size"]),
                   "X-Linked-ETag": f'"{repo.etag(path)}"', "ETag": f'"{repo.etag(path)}"'}
        quoted = urllib.parse.quote(path)
        if repo.is_lfs(path):
            at = f"{hub.cdn}/_cdn/{name.count('/') + 1}/{name}/{repo.commit}/{quoted}"
            return self.send_redirect(302, at, headers)
        at = f"/api/resolve-cache/models/{name}/{repo.commit}/{quoted}"
        self.send_redirect(307, at, headers)

    def send_head(self, status, headers, body=b""):
        headers = {"Content-Length": str(len(body))} | headers
        headers |= getattr(self, "faults", {}).get("headers", {}).get("headers", {})
        if getattr(self, "commit", None):
            headers.setdefault("X-Repo-Commit", self.commit)
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, value):
        body = json.dumps(value).encode()
        if "body" in getattr(self, "faults", {}):
            body = self.faults["body"]["text"].encode()
        self.send_head(200, {"Content-Type": "application/json"}, body)

    def send_error_json(self, status, code, text, more=None):
        headers = {"Content-Type": "application/json", "X-Error-Message": text}
        if code:
            headers["X-Error-Code"] = code
        self.send_head(status, headers | (more or {}), json.dumps({"error": text}).encode())

    def send_redirect(self, status, to, headers):
        self.send_head(status, {"Location": to} | headers)

    def wanted_range(self, size, etag):
        """(first, end) or None for all of it; Gone for what cannot be."""
        header = self.headers.get("Range")
        how = self.faults.get("range", {}).get("how")
        if how == "416" and header:
            raise Gone(416, "", "out of range")
        if not header or how == "ignore" or self.headers.get("If-Range", etag) != etag:
            return None
        first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", header).groups()
        if not first:
            return max(size - int(last), 0), size
        if int(first) >= size:
            raise Gone(416, "", "out of range")
        return int(first), min(int(last) + 1, size) if last else size

    def send_file(self, repo, path):
        if path not in repo.files:
            raise Gone(404, "EntryNotFound", f"{path} does not exist")
        file, etag = repo.files[path], f'"{repo.etag(path)}"'
        size = file["size"]
        if "body" in self.faults:
            return self.send_head(200, {"ETag": etag}, self.faults["body"]["text"].encode())
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "X-Repo-Commit": repo.commit,
                   "Content-Type": "application/octet-stream"}
        wanted = self.wanted_range(size, etag)
        first, end = wanted or (0, size)
        if wanted:
            shown = first + (self.faults.get("range", {}).get("how") == "wrong")
            headers["Content-Range"] = f"bytes {shown}-{end - 1}/{size}"
        headers["Content-Length"] = str(end - first + self.faults.get("length", {}).get("by", 0))
        self.send_head(206 if wanted else 200, headers)
        if self.command != "HEAD":
            self.send_bytes(file["file"], first, end)

    def send_bytes(self, file, first, end):
        drop = self.faults.get("drop", {}).get("after", end - first)
        stall = self.faults.get("stall", {}).get("after", end - first)
        with open(file, "rb") as f:
            f.seek(first)
            at = first
            while at < end:
                done = at - first
                if done >= drop:
                    return self.hang_up()
                if done >= stall:
                    self.wfile.flush()
                    self.server.hub.released.wait()
                    stall = end
                n = min(PIECE, end - at, max(drop - done, 1), max(stall - done, 1))
                self.send_piece(f.read(n), at)
                at += n
        if "length" in self.faults:
            self.hang_up()

    def send_piece(self, piece, at):
        flip = self.faults.get("flip", {}).get("at", -1)
        if at <= flip < at + len(piece):
            piece = bytearray(piece)
            piece[flip - at] ^= 1
        rate = self.faults.get("slow", {}).get("rate")
        step = max(rate // 10, 1) if rate else len(piece)
        for i in range(0, len(piece), step):
            self.wfile.write(piece[i:i + step])
            self.entry["sent"] += len(piece[i:i + step])
            if rate:
                time.sleep(step / rate)

    def hang_up(self):
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", required=True, help="folder of ORG/NAME/ and NAME/")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--tls", action="store_true", help="with the certificate beside this file")
    parser.add_argument("--fault", action="append", default=[], type=json.loads,
                        help='{"kind": ..., "path": ...} from the start')
    args = parser.parse_args()
    with Hub(args.root, args.port, args.tls) as hub:
        for fault in args.fault:
            hub.fault(**fault)
        print(hub.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
