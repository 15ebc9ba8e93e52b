"""What the daemon refuses before a handler sees it, by raw sockets: framing, foreign names and pages, sizes, slowness."""
import http.client
import json
import os
import resource
import socket
import subprocess
import time

import pytest

from conftest import Raw, json_request, request
from daemon import Daemon, until

OK = request("GET", "/livez")

# Requests whose end two readers could see in different places. Each must be refused and the connection closed, so that
# the request hidden behind it is never answered.
HIDDEN = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
AMBIGUOUS = {
    "length and chunked": ["Content-Length: 5", "Transfer-Encoding: chunked"],
    "two equal lengths": ["Content-Length: 5", "Content-Length: 5"],
    "two lengths": ["Content-Length: 5", "Content-Length: 6"],
    "signed length": ["Content-Length: +5"],
    "negative length": ["Content-Length: -5"],
    "hex length": ["Content-Length: 0x5"],
    "length list": ["Content-Length: 5, 5"],
    "empty length": ["Content-Length: "],
    "huge length": ["Content-Length: 99999999999999999999999"],
    "xchunked": ["Transfer-Encoding: xchunked"],
    "gzip, chunked": ["Transfer-Encoding: gzip, chunked"],
    "chunked twice": ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    "identity": ["Transfer-Encoding: identity"],
    "space before the colon": ["Content-Length : 5"],
    "two hosts": ["Host: localhost"],
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_ambiguous_framing_ends_the_connection(raw, headers):
    raw.send(request("POST", "/v1/embeddings", "Content-Type: application/json", *headers) + b"hello" + HIDDEN)
    status, _, _ = raw.answer()
    assert status in (400, 413)
    assert raw.closed() and b"HTTP/1.1 200" not in raw.left


@pytest.mark.parametrize("chunk", [b"0x2\r\nhi\r\n", b"-1\r\nhi\r\n", b"2;\xff\r\nhiXX", b"g\r\n", b"2\r\nhi0\r\n"])
def test_bad_chunks_are_refused(raw, chunk):
    raw.send(request("POST", "/v1/embeddings", "Content-Type: application/json", "Transfer-Encoding: chunked") + chunk +
             b"0\r\n\r\n")
    assert raw.answer()[0] in (0, 400)


def test_no_host_is_refused(raw):
    raw.send("GET /livez HTTP/1.1\r\n\r\n")
    assert raw.answer()[0] == 400


@pytest.mark.parametrize("host, status", [
    ("localhost", 200), ("LOCALHOST:7337", 200), ("127.0.0.1", 200), ("[::1]:7337", 200),
    ("evil.example", 421), ("localhost.evil.example", 421), ("10.1.2.3", 421), ("0.0.0.0", 421), ("", 421)])
def test_only_our_own_names_are_answered(raw, host, status):
    raw.send(request("GET", "/livez", host=host))
    assert raw.answer()[0] == status


ROUTES = [("GET", "/livez"), ("GET", "/v1/models"), ("GET", "/berth/models"), ("POST", "/v1/embeddings"),
          ("POST", "/models/a/b"), ("POST", "/embed"), ("POST", "/berth/load"), ("POST", "/berth/remove"),
          ("OPTIONS", "/berth/load"), ("GET", "/nothing")]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example"])
@pytest.mark.parametrize("method, path", ROUTES)
def test_pages_of_others_are_refused_everywhere(raw, method, path, origin):
    raw.send(request(method, path, "Content-Type: application/json", f"Origin: {origin}",
                     body=b"{}" if method == "POST" else b"", host="localhost:7337"))
    status, headers, _ = raw.answer()
    assert status == 403
    assert not [h for h in headers if h.startswith("access-control")]


def test_our_own_page_is_answered(raw):
    raw.send(request("GET", "/livez", "Origin: http://localhost:7337", host="localhost:7337"))
    assert raw.answer()[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
@pytest.mark.parametrize("path", [p for m, p in ROUTES if m == "POST"])
def test_what_a_form_can_send_is_refused(raw, path, kind):
    headers = [f"Content-Type: {kind}"] if kind else []
    raw.send(request("POST", path, *headers, body=b'{"model":"a/b"}')).send(OK)
    assert raw.answer()[0] == 415
    assert raw.answer()[0] == 200  # the body was taken: the connection goes on


@pytest.mark.parametrize("path", [p for m, p in ROUTES if m == "POST"])
def test_get_changes_nothing(raw, path):
    raw.send(request("GET", path))
    status, headers, _ = raw.answer()
    assert status == 405 and headers["allow"]


# ---- sizes ----

def test_headers_have_a_number_and_a_size(empty):
    for extra, want in ((95, 200), (120, 431), (5000, 431)):
        with Raw(empty) as r:
            r.send(request("GET", "/livez", *[f"X-{i}: y" for i in range(extra)]))
            assert r.answer()[0] == want, extra
    for size, want in ((30000, 200), (33000, 431), (200000, 431)):
        with Raw(empty) as r:
            r.send(request("GET", "/livez", "X: " + "y" * size))
            assert r.answer()[0] == want, size


def test_a_long_target_is_refused(empty):
    with Raw(empty) as r:
        r.send(request("GET", "/" + "a" * 100000))
        assert r.answer()[0] in (414, 431)


def test_a_body_that_says_it_is_too_long_is_refused_at_once(raw):
    raw.send(request("POST", "/v1/embeddings", "Content-Type: application/json", f"Content-Length: {16 << 30}"))
    status, headers, body = raw.answer()
    assert status == 413 and headers["connection"] == "close"
    assert json.loads(body)["error"]["code"] == "too_large"
    assert raw.closed()


def test_a_client_that_sends_it_nevertheless_reads_the_answer(raw):
    body = b"x" * ((16 << 20) + 1)
    raw.send(request("POST", "/v1/embeddings", "Content-Type: application/json", body=body))
    assert raw.answer()[0] == 413


def test_chunks_without_end_are_refused_when_they_are_too_many(empty):
    with Raw(empty) as r:
        r.send(request("POST", "/embed", "Content-Type: application/json", "Transfer-Encoding: chunked"))
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        try:
            for _ in range(300):
                r.send(piece)
        except OSError:
            pass
        status, _, body = r.answer()
        assert status == 413 and json.loads(body)["error_type"] == "Validation"


@pytest.mark.parametrize("body", [
    b"", b"{", b"nul", b"[]", b'"text"', b"{}x", b'{"a":1,"a":2}', b"\xff", b'{"input":"\xed\xa0\x80"}',
    b'{"a":NaN}', b'{"a":01}', b'{"input":' + b"[" * 100 + b"]" * 100 + b"}", b'{"a":"\x00"}', b'{"a":"b\n"}', b"\xef\xbb\xbf{"])
def test_bad_json_is_the_clients_mistake(raw, body):
    for path in ("/v1/embeddings", "/models/a/b", "/embed", "/berth/load"):
        raw.send(json_request(path, body) if body else request("POST", path, "Content-Type: application/json"))
        status, _, answer = raw.answer()
        assert status in (400, 422), (path, answer)
        assert json.loads(answer)["error"]
    raw.send(OK)
    assert raw.answer()[0] == 200


@pytest.mark.parametrize("path", ["/%", "/%zz", "/%00", "/a/../b", "/%2e%2e/", "/%ff", "/a%0d%0aX:%20y"])
def test_bad_paths_are_refused(raw, path):
    raw.send(request("GET", path))
    assert raw.answer()[0] == 400


def test_requests_may_follow_each_other_without_waiting(raw):
    raw.send(OK * 20 + json_request("/berth/load", {"model": "a/b"}) + OK)
    assert [raw.answer()[0] for _ in range(22)] == [200] * 20 + [404, 200]


def test_head_has_no_body(raw):
    raw.send(request("HEAD", "/livez")).send(OK)
    while raw.left.count(b"\r\n\r\n") < 2 or not raw.left.endswith(b"ok\n"):
        assert raw.more()
    first, _, rest = raw.left.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200") and rest.startswith(b"HTTP/1.1 200")


# ---- errors in the caller's protocol ----

@pytest.mark.parametrize("method, path, body, shape", [
    ("GET", "/v1/nothing", None, lambda a: (a["error"]["type"], a["error"]["code"]) == ("not_found_error", "not_found")),
    ("GET", "/v1/models/a/b", None, lambda a: (a["error"]["param"], a["error"]["code"]) == ("model", "model_not_found")),
    ("POST", "/v1/embeddings", {"model": "a/b", "input": "x"}, lambda a: a["error"]["code"] == "model_not_found"),
    ("POST", "/models/a/b", {"inputs": "x"}, lambda a: "berth pull a/b" in a["error"]),
    ("POST", "/models/a/b/pipeline/feature-extraction", {"inputs": "x"}, lambda a: "berth pull a/b" in a["error"]),
    ("POST", "/embed", {"model": "a/b", "inputs": "x"}, lambda a: a["error_type"] == "Validation"),
    ("GET", "/berth/models/a/b", None, lambda a: a["error"]["code"] == "model_not_found"),
    ("POST", "/berth/load", {"model": "a/b"}, lambda a: a["error"]["code"] == "model_not_found"),
    ("GET", "/nothing", None, lambda a: a["error"]["code"] == "not_found"),
])
def test_errors_speak_the_callers_protocol(empty, method, path, body, shape):
    status, headers, answer = empty.ask(method, path, body)
    assert status == 404 and shape(answer), answer
    assert headers["X-Request-Id"]


def test_a_request_keeps_its_id(empty):
    assert empty.ask("GET", "/livez", headers={"X-Request-Id": "mine-7"})[1]["X-Request-Id"] == "mine-7"


# ---- time ----

@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    with Daemon(tmp_path_factory.mktemp("impatient"), config="header_s: 1\nidle_s: 2\nbody_floor: 1 KiB\n") as d:
        yield d


def trickle(r, data, seconds):
    """Sends a byte every 100 ms until the peer has closed; how long that took."""
    begin = time.monotonic()
    r.socket.settimeout(0.1)
    for i in range(int(seconds * 10)):
        try:
            r.socket.sendall(data[i % len(data):][:1])
            got = r.socket.recv(4096)
            if not got:
                return time.monotonic() - begin
            r.left += got
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - begin
    raise AssertionError(f"still open after {seconds} s")


@pytest.mark.timeout(60)
def test_slow_phases_end(impatient):
    with Raw(impatient) as r:
        assert 0.9 <= trickle(r, b"GET /livez HTTP/1.1", 6) <= 3
    with Raw(impatient) as r:
        r.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n")
        assert 0.9 <= trickle(r, b"X: y\r\n", 6) <= 3
        assert r.left.startswith(b"HTTP/1.1 408")
    with Raw(impatient) as r:
        r.send(request("POST", "/embed", "Content-Type: application/json", "Content-Length: 100000"))
        assert 0.9 <= trickle(r, b"x", 6) <= 3
        assert r.left.startswith(b"HTTP/1.1 408")
    with Raw(impatient) as r:  # a second request that never ends
        r.send(OK)
        assert r.answer()[0] == 200
        assert 0.9 <= trickle(r, b"GET /livez HTTP/1.1", 8) <= 4


@pytest.mark.timeout(60)
def test_idle_connections_end(impatient):
    with Raw(impatient) as r:
        r.send(OK)
        assert r.answer()[0] == 200
        begin = time.monotonic()
        assert r.closed()
        assert 1.5 <= time.monotonic() - begin <= 4


@pytest.mark.timeout(60)
def test_slow_ones_do_not_disturb_the_others(impatient):
    slow = [Raw(impatient).send("GET /livez HTTP/1.1\r\nHost: localhost\r\n") for _ in range(300)]
    worst = 0
    for _ in range(50):
        begin = time.monotonic()
        assert impatient.get("/livez")
        worst = max(worst, time.monotonic() - begin)
    for r in slow:
        assert r.closed()
        r.socket.close()
    print(f"/livez beside 300 slow connections: at most {worst * 1000:.1f} ms")
    assert worst < 0.5  # half of the time that one slow phase may take


# ---- limits of the system ----

def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.timeout(60)
def test_too_few_descriptors_cost_no_processor(tmp_path):
    with Daemon(tmp_path) as d:
        kept = d.connect()
        assert d.ask("GET", "/livez", connection=kept)[0] == 200
        used = d.descriptors()
        subprocess.run(["prlimit", f"--pid={d.pid}", f"--nofile={used + 4}:{used + 4}"], check=True)
        crowd = []
        for _ in range(30):
            s = socket.create_connection((d.host, d.port), 5)
            crowd.append(s)
        until(lambda: metric(d, kept, "berth_http_no_descriptor_total") >= 1, what="a refusal for want of descriptors")
        before, begin = cpu_seconds(d.pid), time.monotonic()
        until(lambda: time.monotonic() - begin > 2)
        share = (cpu_seconds(d.pid) - before) / (time.monotonic() - begin)
        print(f"at the limit of descriptors: {share:.1%} of a core")
        assert share < 0.05
        assert d.ask("GET", "/livez", connection=kept)[0] == 200
        for s in crowd:
            s.close()
        assert until(lambda: fresh(d), what="a new connection once there is room")


def fresh(d):
    try:
        return d.ask("GET", "/livez")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def metric(d, connection, name):
    text = d.ask("GET", "/metrics", connection=connection)[2]
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)


@pytest.mark.timeout(60)
def test_at_the_limit_of_connections_others_wait(tmp_path):
    with Daemon(tmp_path, config="connections: 16\n") as d:
        held = [Raw(d).send(OK) for _ in range(16)]
        assert all(r.answer()[0] == 200 for r in held)
        with Raw(d) as waiting:
            waiting.send(OK)
            held.pop().socket.close()
            assert waiting.answer()[0] == 200
        for r in held:
            r.socket.close()
