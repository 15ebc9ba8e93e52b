"""The command line and the real daemon: a pull that is left and resumed, a model's life, what a prompt answers."""
import json
import os
import re
import subprocess
import urllib.request

import pytest

from daemon import BUILD, MINILM, MODELS, Daemon, local_hub, until
from test_cli import Terminal

BERTH = BUILD / "berth"
SLOW = json.dumps({"kind": "slow", "path": "model\\.safetensors", "rate": 2_000_000})


@pytest.fixture
def session(tmp_path):
    """berth, in the environment of a daemon whose hub serves MiniLM slowly until told otherwise."""
    with local_hub(MODELS, "--fault", SLOW) as hub, Daemon(tmp_path, HF_ENDPOINT=hub) as daemon:
        environment = {**daemon.environment, "TERM": "xterm", "LC_ALL": "C.UTF-8"}

        def berth(*arguments, code=0, stdin=""):
            done = subprocess.run([BERTH, *arguments], env=environment, input=stdin, capture_output=True, text=True,
                                  timeout=60)
            assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
            return done.stderr if code else done.stdout

        berth.daemon, berth.environment, berth.hub = daemon, environment, hub
        yield berth


def full_speed(hub):
    urllib.request.urlopen(urllib.request.Request(hub + "/_fault", method="DELETE")).read()


def sent_bytes(hub):
    """What the hub has sent of files that are not small, from the beginning."""
    log = json.load(urllib.request.urlopen(hub + "/_log"))
    return sum(r["sent"] for r in log if "model.safetensors" in r["path"])


def partial_bytes(cache):
    return sum(p.stat().st_size for p in cache.rglob("*.incomplete"))


def test_a_pull_that_is_left_stays_and_resumes(session):
    terminal = Terminal("pull", MINILM, env=session.environment)
    until(lambda: partial_bytes(session.daemon.cache) > 1_000_000, what="1 MB of the weights")
    terminal.until("B/s")
    terminal.type("\x03")
    assert "goes on from there" in terminal.end(1)
    until(lambda: json.loads(session("show", MINILM, "--json"))["model_state"] != "pulling"
          if MINILM in session("ls") else True, what="the pull to stop")
    kept = partial_bytes(session.daemon.cache)
    assert kept > 1_000_000
    full_speed(session.hub)
    before = sent_bytes(session.hub)
    *_, model = map(json.loads, session("pull", MINILM, "--json").splitlines())
    assert model["model_state"] == "registered"
    assert sent_bytes(session.hub) - before <= model["file_bytes"] - kept, "what was there was loaded again"


def test_a_model_from_the_hub_and_back(session):
    full_speed(session.hub)
    assert "91.6 MB to download" in session("plan", MINILM)
    assert re.fullmatch(rf"{MINILM} is here: commit [0-9a-f]{{8}}, 91\.6 MB\n", session("pull", MINILM))
    assert re.search(r"^files +here$", session("plan", MINILM), re.M)
    assert session("alias", "encoder", MINILM) == f"encoder means {MINILM}\n"
    assert re.search(rf"^{MINILM} +[0-9a-f]{{8}} +idle +91\.6 MB +encoder +pulled", session("ls"), re.M)

    assert re.fullmatch(r"384 numbers, norm 1\.0000: (-?0\.\d{6} ){6}\.\.\.\n", session("run", "encoder", "one"))
    assert re.search(rf"^{MINILM} +\d+ +ready ", session("ps"), re.M)
    [vector] = map(json.loads, session("embed", "encoder", "one").splitlines())
    assert vector == json.loads(session("run", "encoder", "one", "--json"))
    lines = session("embed", "encoder", stdin="".join(f"text {i}\n" for i in range(130))).splitlines()
    assert len({line for line in lines}) == 130

    text = session("run", "--task", "sentence-similarity", "encoder", "A man is eating food.",
                   *[f"Number {i}." for i in range(70)], "A man eats a piece of bread.")
    scores = [(float(line.split()[0]), line.split(None, 1)[1]) for line in text.splitlines() if "TEXT" not in line]
    assert len(scores) == 71 and max(scores)[1] == "A man eats a piece of bread."

    assert "is ready: native, pid" in session("load", "encoder")
    assert re.search(r"is unloaded, 1\d\d\.\d MB returned\n", session("unload", "encoder"))
    assert session("ps").count("\n") == 1
    session("logs", "encoder")
    session("alias", "-d", "encoder")
    assert session("rm", MINILM) == f"{MINILM} is removed\n"
    assert MINILM not in session("ls")


def test_what_cannot_be_is_one_sentence(session, tmp_path):
    full_speed(session.hub)
    (tmp_path / "empty").mkdir()
    for arguments, says in [(["run", "nobody/nothing", "x"], 'berth pull nobody/nothing'),
                            (["show", "nobody/nothing"], "nobody/nothing"),
                            (["load", "nobody/nothing"], "nobody/nothing"),
                            (["logs", "nobody/nothing"], "nobody/nothing"),
                            (["rm", "nobody/nothing"], "nobody/nothing"),
                            (["pull", "nobody/nothing"], "nobody/nothing"),
                            (["pull", "no name"], "no name"),
                            (["alias", "e", "nobody/nothing"], "nobody/nothing"),
                            (["add", "mine", str(tmp_path / "empty")], "no weights"),
                            (["pull", "--cancel", MINILM], "not being pulled")]:
        text = session(*arguments, code=1)
        assert text.count("\n") == 1 and text.startswith("berth: ") and says in text, (arguments, text)
    session("add", "mine", str(MODELS / MINILM))
    assert "702 tokens" in session("embed", "mine", "word " * 700, code=1)
    done = subprocess.run([BERTH, "run", "mine", "word " * 700], env=session.environment, capture_output=True, text=True)
    assert done.returncode == 0 and "was too long and was cut" in done.stderr


def test_logs_follow_until_the_daemon_ends(session):
    full_speed(session.hub)
    session("add", "mine", str(MODELS / MINILM))
    session("load", "mine")
    follower = subprocess.Popen([BERTH, "logs", "-f", "mine"], env=session.environment, stdout=subprocess.PIPE, text=True)
    [pid] = session.daemon.workers("mine")
    os.kill(pid, 11)
    line = follower.stdout.readline()
    assert line.strip(), "nothing was said of the crash"
    session.daemon.stop()
    follower.wait(20)


def test_status_and_the_daemons_end(session):
    status = json.loads(session("status", "--json"))
    assert status["pid"] == session.daemon.pid and status["ready"] is True
    assert re.search(r"^ready +yes$", session("status"), re.M)
    session.daemon.stop()
    assert "start one with: berth serve" in session("status", code=1)
