"""The way through the daemon against a bare echo: bench_hop against a daemon that serves a tiny model."""
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/api")]

from damaged import write_tiny  # noqa: E402
from daemon import BUILD, Daemon  # noqa: E402
from rows import row  # noqa: E402

ROUNDS, TURNS = 3000, 3


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_tiny(folder / "tiny")
        with Daemon(folder / "daemon") as d:
            d.add("tiny", folder / "tiny")
            d.post("/berth/load", model="tiny")
            for turn in range(TURNS):
                out = subprocess.run([BUILD / "bench/bench_hop", str(d.port), "tiny", str(ROUNDS)], check=True,
                                     capture_output=True, text=True).stdout
                r = json.loads(out)
                row("hop", f"turn {turn + 1}", "us", r["berth_p50_us"], "bare echo", r["echo_p50_us"],
                    berth_min=r["berth_min_us"], peer_min=r["echo_min_us"])


main()
