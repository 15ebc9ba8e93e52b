"""The first session of README.md, command by command: what it shows is what comes."""
import re
import subprocess

from daemon import BUILD, MINILM, MODELS, ROOT, Daemon, local_hub

PORT = "7337"


def session():
    """[(command, lines shown)] of the first block that begins with "$ berth serve"."""
    text = (ROOT / "README.md").read_text()
    block = text[text.index("    $ berth serve"):].split("\n\n")[0]
    lines = [line.removeprefix("    ") for line in block.split("\n")]
    steps = []
    while lines:
        line = lines.pop(0)
        if not line.startswith("$ "):
            steps[-1][1].append(line)
            continue
        command = line.removeprefix("$ ")
        while command.endswith("\\"):
            command = command[:-1] + lines.pop(0).strip()
        steps.append((command, []))
    return steps


def alike(line):
    """Without what another machine or another run may say differently."""
    line = re.sub(r"\b[0-9a-f]{8}\b", "COMMIT", line)
    line = re.sub(r"\b(avx512|avx2|scalar)\b", "LEVEL", line)
    line = re.sub(r"\b\d+(\.\d+)? (B|kB|MB|GB|ms|s)\b", "AMOUNT", line)
    line = re.sub(r"-?\d+\.\d{5,}|-?\d+\.\d*$|,-?$", "NUMBER", line)
    line = re.sub(r" \d{2,7}  ready", " PID  ready", line)
    return re.sub(r"\s+", " ", line).strip()


def test_the_first_session(tmp_path):
    (first, _), *steps = session()
    assert first == "berth serve &" and len(steps) >= 8
    with local_hub(MODELS) as hub, Daemon(tmp_path, HF_ENDPOINT=hub) as daemon:
        environment = {**daemon.environment, "PATH": f"{BUILD}:{daemon.environment['PATH']}"}
        for command, shown in steps:
            done = subprocess.run(["bash", "-c", command.replace(PORT, str(daemon.port))], env=environment,
                                  capture_output=True, text=True, timeout=60)
            said = done.stdout.splitlines() or done.stderr.splitlines()
            assert list(map(alike, said)) == list(map(alike, shown)), (command, done.stdout, done.stderr)
            refused = "nobody/nothing" in command
            assert done.returncode == (1 if refused else 0), command
        scores = [float(m) for m in re.findall(r"^ *(-?\d\.\d{4})  ", "\n".join(steps[3][1]), re.M)]
        assert MINILM in steps[0][0] and scores[0] > scores[1]
