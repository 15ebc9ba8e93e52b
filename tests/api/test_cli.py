"""The command line against a daemon that says what the test wants, over a real unix socket."""
import contextlib
import http.server
import json
import os
import pty
import re
import select
import signal
import socketserver
import struct
import subprocess
import termios
import threading
import time

import fcntl
import pytest

from daemon import until
from fake_daemon import *  # noqa: F401, F403

# ---- usage ------------------------------------------------------------------

def test_every_command_has_help_with_examples(berth):
    names = re.findall(r"^  (\w+)  ", berth("--help").stdout, re.M)
    assert {"serve", "pull", "plan", "show", "load", "unload", "rm", "add", "alias", "ls", "ps", "status", "run", "embed",
            "logs"} <= set(names)
    for name in names:
        text = berth(name, "--help").stdout
        assert text == berth("help", name).stdout
        assert text.startswith(f"usage: berth {name}") and "Examples:\n" in text


@pytest.mark.parametrize("arguments, says", [
    (["nonsense"], "no command 'nonsense'"),
    (["help", "nonsense"], "no command 'nonsense'"),
    (["pull"], "takes NAME[@REVISION]"),
    (["pull", "a", "b"], "takes NAME[@REVISION]"),
    (["ls", "a"], "takes no argument"),
    (["ls", "--nonsense"], "does not take --nonsense"),
    (["ls", "-qx"], "does not take -x"),
    (["run", "a", "--top"], "--top needs a value"),
    (["run", "a", "--top", "many"], "a number from 1"),
    (["run", "a", "--top", "0"], "a number from 1"),
    (["embed", "a", "--format", "xml"], "json or table"),
    (["alias", "a"], "--delete"),
    (["alias", "-d", "a", "b"], "--delete"),
    (["completion", "fish"], "knows bash"),
])
def test_what_is_no_command_exits_2(berth, arguments, says):
    assert says in berth(*arguments, code=2).stderr


def test_nothing_typed_is_usage(environment):
    done = subprocess.run([BERTH], env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "usage: berth COMMAND" in done.stderr and not done.stdout


def test_version(berth):
    assert re.fullmatch(r"berth \d+\.\d+\.\d+\n", berth("--version").stdout)


def test_completion_completes(fake, environment, berth):
    script = berth("completion", "bash").stdout
    ask = script + '\nCOMP_WORDS=(berth "$@"); COMP_CWORD=$(($#)); _berth; echo "${COMPREPLY[@]}"\n'
    env = {**environment, "PATH": f"{BUILD}:{environment['PATH']}"}

    def words(*typed):
        return subprocess.run(["bash", "-c", ask, "berth", *typed], env=env, capture_output=True, text=True,
                              check=True).stdout.split()

    assert words("unl") == ["unload"]
    assert words("logs", "--fo") == ["--follow"]
    assert words("load", "org") == [NAME]


def test_a_full_disk_is_a_failure(environment):
    with open("/dev/full", "w") as full:
        done = subprocess.run([BERTH, "help"], env=environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "cannot write the output" in done.stderr


# ---- finding the daemon -------------------------------------------------------

@pytest.mark.parametrize("command", [["ls"], ["ps"], ["status"], ["pull", "a"], ["plan", "a"], ["load", "a"], ["run", "a"],
                                     ["embed", "a"], ["logs", "a"], ["rm", "a"], ["alias", "a", "b"], ["add", "a", "/"]])
def test_without_a_daemon_one_sentence_says_how_to_start_it(berth, command):
    assert "start one with: berth serve" in berth(*command, code=1).stderr


def test_the_socket_is_looked_for_in_order(fake, berth, tmp_path):
    other = FakeDaemon(tmp_path / "other.sock")
    other.routes["GET /berth/models"] = {"models": [{**MODEL, "name": "other"}]}
    assert berth("ls", "-q").stdout == NAME + "\n"
    assert berth("ls", "-q", "--socket", str(tmp_path / "other.sock")).stdout == "other\n"
    assert berth("ls", "-q", BERTH_SOCKET=str(tmp_path / "other.sock")).stdout == "other\n"
    state = tmp_path / "state" / "berth"
    state.mkdir(parents=True)
    os.link(tmp_path / "other.sock", state / "berth.sock")
    assert berth("ls", "-q", BERTH_HOME="", XDG_STATE_HOME=str(state.parent)).stdout == "other\n"
    home = tmp_path / "user" / ".local" / "state" / "berth"
    home.mkdir(parents=True)
    os.link(tmp_path / "other.sock", home / "berth.sock")
    assert berth("ls", "-q", BERTH_HOME="").stdout == "other\n"
    # What is named is the only place: a dead home is not replaced by another daemon.
    assert str(tmp_path / "none") in berth("ls", code=1, BERTH_HOME=str(tmp_path / "none")).stderr
    other.server.shutdown()
    other.server.server_close()


def test_a_socket_path_that_cannot_be_is_named(berth):
    assert "longer than" in berth("ls", "--socket", "/" + "x" * 200, code=1).stderr


def test_what_is_no_daemon_is_said(fake, berth):
    fake.routes["GET /berth/models"] = lambda h, _: h.reply(200, b"<html>", "text/html")
    assert "not JSON" in berth("ls", code=1).stderr


def test_a_daemon_that_dies_midway_is_said(fake, berth):
    def die(handler, _):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"{")
        handler.close_connection = True

    fake.routes["GET /berth/models"] = die
    assert "went away" in berth("ls", code=1).stderr


@pytest.mark.parametrize("value, says", [
    ({"error": {"code": "model_not_found", "message": "there is no model x; berth pull x"}}, "there is no model x"),
    ({"error": "in one word"}, "in one word"),
    ({"error": ["in a list"]}, "in a list"),
    ({"error": {"code": "x", "message": "two\nlines\x1b[31m"}}, "two?lines?[31m"),
    ({}, "HTTP status 404"),
])
def test_errors_of_every_shape_are_one_sentence(fake, berth, value, says):
    fake.routes[f"GET /berth/models/{NAME}"] = (404, value)
    assert says in berth("show", NAME, code=1).stderr


# ---- listings -----------------------------------------------------------------

def test_ls_lines_up(fake, berth):
    long = {**MODEL, "name": "a/much-longer-name-than-the-other", "aliases": [], "file_bytes": 1, "model_state": "pulling",
            "state": "idle", "commit": ""}
    fake.routes["GET /berth/models"] = {"models": [MODEL, long]}
    head, one, two = berth("ls").stdout.splitlines()
    assert head.split() == ["NAME", "REVISION", "STATE", "SIZE", "ALIAS", "ORIGIN", "TASKS"]
    assert one.split()[:6] == [NAME, "c9745ed1", "ready", "91.6", "MB", "encoder"]
    assert one.endswith("feature-extraction, sentence-similarity")
    assert two.split()[:4] == ["a/much-longer-name-than-the-other", "pulling", "1", "B"]
    assert head.index("STATE") == one.index("ready") == two.index("pulling")
    assert head.index("ALIAS") == one.index("encoder")


def test_json_is_what_the_daemon_said(fake, berth):
    assert json.loads(berth("ls", "--json").stdout) == {"models": [MODEL]}
    assert json.loads(berth("show", NAME, "--json").stdout) == MODEL
    assert json.loads(berth("status", "--json").stdout) == STATUS


def test_ps(fake, berth):
    head, row = berth("ps").stdout.splitlines()
    assert head.split() == ["MODEL", "PID", "STATE", "BACKEND", "KERNELS", "DTYPE", "RESERVED", "REAL", "JOBS", "UP"]
    assert re.split(r"  +", row) == [NAME, "4242", "ready", "native", "avx512", "f32", "200.0 MB", "120.0 MB", "2", "1 min 5 s"]
    [instance] = json.loads(berth("ps", "--json").stdout)["instances"]
    assert instance["model"] == NAME
    assert instance == {"model": NAME, **{k: v for k, v in INSTANCE.items() if k != "extra"}}


def test_a_weaker_sandbox_is_said(fake, berth):
    assert re.search(r"^sandbox +landlock, seccomp$", berth("show", NAME).stdout, re.M)
    weaker = {**INSTANCE, "sandbox": {"landlock": False, "seccomp": True, "degraded": True}}
    fake.routes["GET /berth/models"] = {"models": [{**MODEL, "instances": [weaker]}]}
    fake.routes[f"GET /berth/models/{NAME}"] = {**MODEL, "instances": [weaker]}
    assert "ready, degraded" in berth("ps").stdout
    assert re.search(r"^degraded +no landlock, seccomp$", berth("show", NAME).stdout, re.M)


def test_show_and_status_say_what_matters(fake, berth):
    fake.routes[f"GET /berth/models/{NAME}"] = {**MODEL, "state": "crash_loop", "reason": "signal 11", "last_words": "oh\x1b[2J"}
    text = berth("show", NAME).stdout
    for part in ("crash_loop", "signal 11", "oh?[2J", "pid 4242", "17 done, 1 failed", "91.6 MB"):
        assert part in text, part
    text = berth("status").stdout
    for part in ("0.1.0, pid 77, up 1 min 1 s", "127.0.0.1:7337", "200.0 MB reserved of 12.0 GB", "avx512, 2 threads",
                 "1 registered, 1 ready", "ready      yes"):
        assert part in text, part
    fake.routes["GET /berth/status"] = {**STATUS, "ready": False, "waiting_for": NAME}
    assert f"no: waiting for {NAME}" in berth("status").stdout


def test_plan(fake, berth):
    fake.routes["POST /berth/plan"] = PLAN
    text = berth("plan", NAME).stdout
    for part in ("BertModel (bert)", "22,713,216 parameters in 103 tensors, F32 90.9 MB", "91.6 MB to download", "apache-2.0",
                 "needs 200.0 MB; 11.8 GB free of 12.0 GB: fits"):
        assert part in text, part
    problem = [{"what": "position_embedding_type", "why": "relative_key"}]
    fake.routes["POST /berth/plan"] = {**PLAN, "unsupported": problem, "backend": "transformers",
                                       "backend_reason": "transformers: relative_key"}
    text = berth("plan", NAME).stdout
    assert "transformers: relative_key" in text and "position_embedding_type: relative_key" in text
    fake.routes["POST /berth/plan"] = {**PLAN, "unsupported": problem, "backend": "",
                                       "backend_reason": "relative_key; install it"}
    done = berth("plan", NAME, code=1)
    assert f"cannot run {NAME}: relative_key; install it" in done.stderr
    assert "BertModel" in done.stdout


# ---- names and life -------------------------------------------------------------

def test_load_and_unload(fake, berth):
    fake.routes["POST /berth/load"] = MODEL
    fake.routes["POST /berth/unload"] = {"model": NAME, "released_bytes": 200_000_000}
    assert berth("load", NAME).stdout == f"{NAME} is ready: native, pid 4242, avx512 kernels, 200.0 MB reserved, loaded in 41 ms\n"
    assert berth("unload", NAME).stdout == f"{NAME} is unloaded, 200.0 MB returned\n"
    assert json.loads(berth("load", NAME, "--json").stdout) == MODEL
    assert fake.bodies("POST /berth/load") == [{"model": NAME}] * 2


def test_add_alias_rm(fake, berth, tmp_path):
    fake.routes["POST /berth/add"] = {**MODEL, "state": "idle"}
    fake.routes["POST /berth/alias"] = fake.routes["POST /berth/remove"] = {}
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert berth("add", NAME, str(tmp_path / "link")).stdout == f"{NAME} is registered: 91.6 MB\n"
    assert fake.bodies("POST /berth/add") == [{"model": NAME, "dir": str(tmp_path / "folder")}]
    assert "No such file" in berth("add", NAME, "/no/such", code=1).stderr
    assert berth("alias", "e", NAME).stdout == f"e means {NAME}\n"
    berth("alias", "-d", "e")
    assert fake.bodies("POST /berth/alias") == [{"alias": "e", "model": NAME}, {"alias": "e", "model": None}]
    berth("rm", NAME)
    berth("rm", "--all", NAME)
    assert fake.bodies("POST /berth/remove") == [{"model": NAME}, {"model": NAME, "all": True}]


def test_names_are_escaped_in_paths(fake, berth):
    fake.routes["GET /berth/models/a%20b%3F/c@main"] = MODEL
    berth("show", "a b?/c@main")


def test_logs(fake, berth):
    def stream(handler, _):
        handler.stream("text/plain")
        handler.chunk("one\n")
        handler.chunk("two \x1b[31m\tü\n")
        handler.chunk("")

    fake.routes[f"GET /berth/logs?model={NAME}"] = lambda h, _: h.reply(200, b"one\n", "text/plain")
    fake.routes[f"GET /berth/logs?model={NAME}&follow=1"] = stream
    assert berth("logs", NAME).stdout == "one\n"
    fake.routes[f"GET /berth/logs?model={NAME}"] = lambda h, _: h.reply(200, b"", "text/plain")
    assert berth("logs", NAME).stdout == ""
    assert berth("logs", "-f", NAME).stdout == "one\ntwo ?[31m\tü\n"


# ---- pull -----------------------------------------------------------------------

TOTAL = 90_900_000


def event(seq, **more):
    return {"seq": seq, "time": 0, "type": "pull", "model": NAME, "from": "", "to": "", "reason": "", "done": 0,
            "total": TOTAL, "rate": 0, "file": "", **more}


def pull_stream(*events, end="done", value=MODEL, wait=None):
    """A handler that streams events, then waits for wait, then ends with end (None: just closes)."""

    def stream(handler, _):
        handler.stream()
        for e in events:
            handler.chunk(f": a comment\nid: {e['seq']}\ndata: {json.dumps(e)}\n\n")
        if wait:
            wait.wait(20)
        if end:
            handler.chunk(f"event: {end}\r\ndata: {json.dumps(value)}\r\n\r\n")
        handler.chunk("")

    return stream


EVENTS = [event(1, reason="resolving", total=0), event(2, reason="downloading", file="config.json", done=600),
          event(3, reason="downloading", file="model.safetensors", done=45_450_000), event(4, reason="downloading", file="model.safetensors", done=TOTAL)]


def test_pull_in_a_pipe_prints_plain_lines(fake, berth):
    fake.routes["POST /berth/pull"] = pull_stream(*EVENTS)
    done = berth("pull", NAME)
    assert done.stdout == f"{NAME} is here: commit c9745ed1, 91.6 MB\n"
    # Four events within five seconds: one line, without anything that moves a cursor.
    assert done.stderr.splitlines() == ["config.json: 0 %  600 B/90.9 MB"]
    assert fake.bodies("POST /berth/pull") == [{"model": NAME, "stream": True}]


def test_pull_json_is_the_events_and_the_model(fake, berth):
    fake.routes["POST /berth/pull"] = pull_stream(*EVENTS)
    done = berth("pull", NAME, "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [*EVENTS, MODEL]
    assert done.stderr == ""


def test_pull_of_what_is_there_needs_no_stream(fake, berth):
    fake.routes["POST /berth/pull"] = MODEL
    assert "91.6 MB" in berth("pull", NAME).stdout


def test_pull_that_fails_says_why(fake, berth):
    fake.routes["POST /berth/pull"] = pull_stream(
        *EVENTS[:2], end="error", value={"error": {"code": "wrong_hash", "message": "model.safetensors is not what it must be"}})
    assert "berth: model.safetensors is not what it must be\n" == berth("pull", NAME, "--json", code=1).stderr
    fake.routes["POST /berth/pull"] = pull_stream(*EVENTS[:2], end=None)
    assert f"berth pull {NAME} goes on from there" in berth("pull", NAME, "--json", code=1).stderr


def test_detach_and_cancel(fake, berth):
    fake.routes["POST /berth/pull"] = MODEL
    berth("pull", "--detach", NAME)
    berth("pull", "--cancel", NAME, HF_TOKEN="t")
    assert fake.bodies("POST /berth/pull") == [{"model": NAME, "detach": True}, {"model": NAME, "cancel": True}]


def test_the_token_goes_with_the_pull(fake, berth, tmp_path):
    fake.routes["POST /berth/pull"] = MODEL
    fake.routes["POST /berth/plan"] = PLAN
    home = tmp_path / "user/.cache/huggingface"
    home.mkdir(parents=True)
    (home / "token").write_text("from-home\n")
    (tmp_path / "token").write_text("from-path\n")
    here = {"HF_ENDPOINT": "https://hub.test"}
    berth("pull", NAME, HF_TOKEN=" direct ", **here)
    berth("pull", NAME, **here)
    berth("pull", NAME, HF_TOKEN_PATH=str(tmp_path / "token"), **here)
    berth("pull", NAME, HF_HOME=str(tmp_path), **here)
    berth("pull", NAME, HF_HOME=str(tmp_path / "none"), **here)
    berth("plan", NAME, HF_TOKEN="direct", **here)
    assert [b.get("token") for b in fake.bodies("POST /berth/pull")] == ["direct", "from-home", "from-path", "from-path", None]
    assert fake.bodies("POST /berth/plan")[0]["token"] == "direct"


def test_the_token_does_not_go_to_another_hub(fake, berth):
    fake.routes["POST /berth/pull"] = MODEL
    fake.routes["POST /berth/plan"] = PLAN
    for command in ("pull", "plan"):
        for environment in ({}, {"HF_ENDPOINT": "https://mirror.test"}):
            done = berth(command, NAME, HF_TOKEN="secret", **environment)
            assert "the token is not sent" in done.stderr and "secret" not in done.stderr
    fake.routes["GET /berth/status"] = STATUS | {"endpoint": "https://huggingface.co"}
    assert berth("pull", NAME, HF_TOKEN="sent").stderr == ""
    assert [b.get("token") for b in fake.bodies("POST /berth/pull")] == [None, None, "sent"]
    assert [b.get("token") for b in fake.bodies("POST /berth/plan")] == [None, None]


def test_other_hub_and_cache_than_the_daemons_are_said(fake, berth):
    fake.routes["POST /berth/pull"] = MODEL
    done = berth("pull", NAME, HF_ENDPOINT="https://mirror.test", HF_HUB_CACHE="/mine")
    assert "uses https://hub.test, not https://mirror.test from HF_ENDPOINT" in done.stderr
    assert "uses /theirs, not /mine from HF_HUB_CACHE" in done.stderr
    assert "not /mine/hub from HF_HOME" in berth("pull", NAME, HF_HOME="/mine").stderr
    assert berth("pull", NAME, HF_ENDPOINT="https://hub.test/", HF_HUB_CACHE="/theirs/").stderr == ""


class Terminal:
    """berth with its standard streams on a pseudo-terminal of the given width."""

    def __init__(self, *arguments, env, columns=80):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen([BERTH, *arguments], env=env, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""

    def until(self, text, seconds=10):
        """Reads until text has come (None: until the end)."""
        end = time.monotonic() + seconds
        while text is None or text not in self.seen:
            left = end - time.monotonic()
            assert left > 0, f"not seen: {text!r} in {self.seen!r}"
            if not select.select([self.master], [], [], left)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other side is closed
                data = b""
            if not data:
                assert text is None, f"ended without {text!r}: {self.seen!r}"
                break
            self.seen += data.decode()
        return self.seen

    def prompt(self):
        """Until berth reads keys: what is typed before is the terminal's own business."""
        self.until("> ")
        until(lambda: not termios.tcgetattr(self.master)[3] & termios.ICANON, what="a prompt that reads keys")

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self, code):
        self.until(None)
        assert self.process.wait(10) == code, self.seen
        os.close(self.master)
        return self.seen


@pytest.mark.parametrize("columns", [80, 40, 12])
def test_a_bar_is_redrawn_on_a_terminal(fake, environment, columns):
    go_on = threading.Event()
    fake.routes["POST /berth/pull"] = pull_stream(*EVENTS, wait=go_on)
    terminal = Terminal("pull", NAME, env=environment, columns=columns)
    terminal.until("100 %")
    go_on.set()
    text = terminal.end(0)
    drawn = [line for line in re.split(r"\r(?!\n)", text.split(NAME + " is here")[0]) if line.strip("\x1b[K")]
    assert len(drawn) >= 2 and "\n" not in "".join(drawn)
    for line in drawn:
        assert line.endswith("\x1b[K") and len(line.removesuffix("\x1b[K")) < columns, line
    if columns == 80:
        assert re.match(r"model\.safetensors  \[#+\]  100 %  90\.9/90\.9 MB", drawn[-1]), drawn
    # The bar is taken away before the result is printed.
    assert text.endswith(f"\r\x1b[K{NAME} is here: commit c9745ed1, 91.6 MB\r\n")


def test_ctrl_c_leaves_the_pull_and_says_how_to_resume(fake, environment):
    left, never = threading.Event(), threading.Event()

    def stream(handler, _):
        handler.stream()
        handler.chunk(f"data: {json.dumps(EVENTS[2])}\n\n")
        if select.select([handler.connection], [], [], 20)[0] and handler.connection.recv(1) == b"":
            left.set()
        handler.close_connection = True

    fake.routes["POST /berth/pull"] = stream
    terminal = Terminal("pull", NAME, env=environment)
    terminal.until(" 50 %")
    terminal.type("\x03")
    text = terminal.end(1)
    assert f"the pull is stopped; what was loaded stays, and berth pull {NAME} goes on from there" in text
    assert left.wait(10), "the connection was not closed"


# ---- run and embed ----------------------------------------------------------------

def vector(text, n=8):
    return [float(len(text))] + [0.5] * (n - 1)


@pytest.fixture
def inference(fake):
    def infer(handler, body):
        inputs = body["inputs"]
        if isinstance(inputs, dict):
            return [float(len(s)) / 10 for s in inputs["sentences"]]
        if "[MASK]" in inputs:
            top = body.get("parameters", {}).get("top_k", 5)
            return [{"score": 0.5 / (i + 1), "token": i, "token_str": f"t{i}", "sequence": inputs.replace("[MASK]", f"t{i}")}
                    for i in range(top)]
        return [vector(inputs)]

    def embeddings(handler, body):
        return {"object": "list", "model": NAME, "usage": {"prompt_tokens": 1, "total_tokens": 1},
                "data": [{"object": "embedding", "index": i, "embedding": vector(t)} for i, t in enumerate(body["input"])]}

    fake.routes[f"POST /models/{NAME}"] = infer
    for task in ("sentence-similarity", "feature-extraction"):
        fake.routes[f"POST /models/{NAME}/pipeline/{task}"] = infer
    fake.routes["POST /v1/embeddings"] = embeddings
    return fake


def with_task(fake, task, *tasks):
    fake.routes[f"GET /berth/models/{NAME}"] = {**MODEL, "task": task, "tasks": [task, *tasks]}


def test_run_feature_extraction(inference, berth):
    assert berth("run", NAME, "abc").stdout == "8 numbers, norm 3.2787: 3.000000 0.500000 0.500000 0.500000 0.500000 0.500000 ...\n"
    assert json.loads(berth("run", NAME, "abc", "--json").stdout) == [vector("abc")]
    assert berth("run", NAME, stdin="ab\nabc\n").stdout.count("\n") == 2
    inference.routes[f"POST /models/{NAME}"] = [[[0.0] * 8] * 5]
    assert berth("run", NAME, "abc").stdout.startswith("5 tokens x 8, the first: 0.000000 ")


def test_run_fill_mask(inference, berth):
    with_task(inference, "fill-mask")
    head, *rows = berth("run", NAME, "x [MASK]", "-k", "3").stdout.splitlines()
    assert head.split() == ["TOKEN", "SCORE", "SEQUENCE"] and len(rows) == 3
    assert rows[0].split() == ["t0", "0.5000", "x", "t0"]
    assert json.loads(berth("run", "--json", NAME, "x [MASK]").stdout)[0]["token_str"] == "t0"


def test_run_sentence_similarity(inference, berth):
    with_task(inference, "sentence-similarity", "feature-extraction")
    text = berth("run", NAME, "source", "four", "sixsix").stdout
    assert text.splitlines() == ["SCORE  TEXT", "0.4000  four", "0.6000  sixsix"] or re.findall(r"\S+", text) == [
        "SCORE", "TEXT", "0.4000", "four", "0.6000", "sixsix"]
    assert inference.bodies(f"POST /models/{NAME}")[-1] == {"inputs": {"source_sentence": "source",
                                                                      "sentences": ["four", "sixsix"]}}
    many = [f"s{i}" for i in range(100)]
    lines = berth("run", NAME, stdin="\n".join(["source", *many])).stdout.splitlines()
    assert [line.split()[1] for line in lines if "TEXT" not in line] == many
    # One text alone has nothing to be compared with: its features are shown.
    assert "8 numbers" in berth("run", NAME, "alone").stdout
    assert "two or more" in berth("run", NAME, stdin="alone\n", code=1).stderr


def test_run_another_task(inference, berth):
    assert "0.4000" in berth("run", NAME, "--task", "sentence-similarity", "source", "four").stdout
    assert inference.asked[-1][0] == f"POST /models/{NAME}/pipeline/sentence-similarity"
    assert "it does feature-extraction, sentence-similarity" in berth("run", NAME, "--task", "chat", "x", code=1).stderr
    with_task(inference, "text-classification")
    assert json.loads(berth("run", NAME, "x").stdout) == [vector("x")]


def test_run_loads_what_does_not_know_its_task_yet(inference, berth):
    with_task(inference, "")
    inference.routes["POST /berth/load"] = MODEL
    assert "8 numbers" in berth("run", NAME, "x").stdout


def test_run_at_a_terminal_asks(inference, environment):
    terminal = Terminal("run", NAME, env=environment)
    terminal.prompt()
    terminal.type("äbc\n")
    terminal.until("8 numbers, norm 3.2787")
    terminal.until("...\r\n> ")
    terminal.prompt()
    terminal.type("\x04")
    terminal.end(0)
    assert inference.bodies(f"POST /models/{NAME}") == [{"inputs": "äbc"}]


def test_ctrl_c_at_the_prompt_leaves_the_terminal_as_it_was(inference, environment):
    terminal = Terminal("run", NAME, env=environment)
    terminal.prompt()
    terminal.type("\x03")
    assert terminal.process.wait(10) == -signal.SIGINT
    flags = termios.tcgetattr(terminal.master)[3]
    assert flags & termios.ECHO and flags & termios.ICANON
    os.close(terminal.master)


def test_embed(inference, berth):
    lines = berth("embed", NAME, "a", "bcd").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [vector("a"), vector("bcd")]
    texts = [f"{'x' * (i % 7)}" for i in range(150)]  # empty ones too: one vector for each line
    lines = berth("embed", NAME, stdin="".join(t + "\n" for t in texts)).stdout.splitlines()
    assert [json.loads(line) for line in lines] == [vector(t) for t in texts]
    assert [len(b["input"]) for b in inference.bodies("POST /v1/embeddings")] == [2, 64, 64, 22]
    assert "truncate" not in inference.bodies("POST /v1/embeddings")[0]
    berth("embed", "--truncate", NAME, "a")
    assert inference.bodies("POST /v1/embeddings")[-1]["truncate"] is True


def test_a_cut_text_is_said(fake, berth):
    data, cut = {"data": [{"embedding": [1.0]}]}, [("X-Berth-Truncated", "1")]
    fake.routes["POST /v1/embeddings"] = lambda h, _: h.reply(200, json.dumps(data).encode(), headers=cut)
    fake.routes[f"POST /models/{NAME}"] = lambda h, _: h.reply(200, b"[1.0]", headers=cut)
    assert "a text among 1 to 1 was too long and was cut" in berth("embed", "--truncate", NAME, "a").stderr
    assert "the text was too long and was cut" in berth("run", NAME, "a").stderr


def test_embed_keeps_every_bit_of_a_float(fake, berth):
    values = [0.1, 1e-8, -3.4028235e38, 0.043210987]
    fake.routes["POST /v1/embeddings"] = {"data": [{"embedding": values}]}
    bits = lambda v: [struct.pack("f", x) for x in v]
    assert bits(json.loads(berth("embed", NAME, "a").stdout)) == bits(values)


def test_embed_as_a_table(inference, berth):
    head, one, two = berth("embed", NAME, "--format", "table", "a", "bcd").stdout.splitlines()
    assert head.split() == ["TEXT", "DIM", "NORM", "VECTOR"]
    assert two.split()[:4] == ["2", "8", "3.2787", "3.000000"]


def test_embed_wants_a_vector_for_each_text(fake, berth):
    fake.routes["POST /v1/embeddings"] = {"data": []}
    assert "2 texts with 0 vectors" in berth("embed", NAME, "a", "b", code=1).stderr


# ---- serve --------------------------------------------------------------------------

def test_serve_becomes_berthd_with_every_flag(tmp_path, environment):
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "berth").write_bytes(BERTH.read_bytes())
    (programs / "berth").chmod(0o755)

    def serve():
        return subprocess.run([programs / "berth", "serve", "--home", "/x", "--new-flag"], env=environment,
                              capture_output=True, text=True)

    done = serve()
    assert done.returncode == 1 and "berthd is neither in" in done.stderr
    libexec = tmp_path / "libexec" / "berth"
    libexec.mkdir(parents=True)
    for folder in (libexec, programs):  # the one beside berth wins
        (folder / "berthd").write_text(f'#!/bin/sh\necho {folder} "$@"\n')
        (folder / "berthd").chmod(0o755)
        assert serve().stdout.split()[1:] == ["--home", "/x", "--new-flag"]
    assert serve().stdout.startswith(str(programs) + " ")
