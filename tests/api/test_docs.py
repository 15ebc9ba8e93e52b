"""The curl lines of docs/api.md do what the page says: each is run, in order, against a daemon with MiniLM."""
import re
import subprocess

import pytest

from daemon import MINILM, ROOT, Daemon, local_hub
from damaged import write_tiny

TEXT = (ROOT / "docs/api.md").read_text()
LINES = [re.sub(r"\s*\\\n\s*", " ", m.group(1)) for m in re.finditer(r"^    (curl (?:.*\\\n)*.*)$", TEXT, re.M)]
ENDLESS = {"/berth/events"}
ELSEWHERE = "HuggingFaceTB/SmolLM2-135M-Instruct"  # lines for a model that generates: test_chat.py runs them


def test_every_route_has_a_section():
    index = re.findall(r"^\| `(\w+ [^`]+)` \|", TEXT, re.M)
    sections = re.findall(r"^### (.+)$", TEXT, re.M)
    assert sorted(index) == sorted(sections) and len(index) > 20


@pytest.mark.timeout(120)
def test_each_line_runs(tmp_path):
    folder = tmp_path / "mine"
    write_tiny(folder)
    lines = [line for line in LINES if ELSEWHERE not in line]
    assert len(lines) > 20
    with local_hub() as hub, Daemon(tmp_path, HF_ENDPOINT=hub) as d:
        d.post("/berth/pull", model=MINILM)
        for line in lines:
            command = line.replace("localhost:7337", f"localhost:{d.port}").replace("/srv/models/mine", str(folder))
            for path in ENDLESS:
                command = command.replace("-sN", "-sN --max-time 1") if path in command else command
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60,
                                  env={**d.environment, "no_proxy": "*"})
            assert done.returncode == (28 if any(p in line for p in ENDLESS) else 0), (line, done)
            if "%{http_code}" in line:
                assert done.stdout == "200\n", (line, done.stdout)
            assert '"error' not in done.stdout.replace('"errors', ""), (line, done.stdout)
            assert done.stdout or "unix" in line or "/logs" in line or "/events" in line, line
