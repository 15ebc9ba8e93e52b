"""all-MiniLM-L6-v2 in f32 beside PyTorch and ONNX Runtime, in turns within one run.

Before anything is timed, all contestants run the same mixed set of sequences and their pooled vectors are compared.
Then, turn after turn, every contestant runs each case; medians and minima over all turns are printed, with the share
of the f32 peak (of one thread, times two) that was measured in the same run (multiply-adds of linear layers and attention, two each).
"""
import json
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from daemon import BUILD, CACHE, MINILM, MODELS  # noqa: E402
from rows import row  # noqa: E402

PEERS = {"torch": "PyTorch", "ort": "ONNX Runtime"}
CASES = ["1x16", "1x128", "1x512", "32x128", "mixed"]
REPS = {"1x16": 60, "1x128": 20, "1x512": 8, "32x128": 3, "mixed": 3}
THREADS, TURNS, PEAK_LINES = 2, 4, 12
NEAR = 1e-5  # far below what a wrong kernel gives, above what the order of sums does
ENGINE = BUILD / "bench/bench_engine"


class Peer:
    def __init__(self, which, work):
        self.process = subprocess.Popen([sys.executable, ROOT / "bench/peers.py", which, MODELS / MINILM, work],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()

    def answer(self):
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise EOFError("a peer ended")

    def run(self, ids, reps):
        self.process.stdin.write(json.dumps({"ids": ids, "reps": reps}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def berth(case):
    """(milliseconds of the median run, of the fastest, GFLOP/s, kernel level), with THREADS threads."""
    seconds = 1.5
    out = subprocess.run([ENGINE, MODELS / MINILM, f"--threads={THREADS}", f"--seconds={seconds}", case], check=True,
                         capture_output=True, text=True).stdout
    r = next(r for r in map(json.loads, out.splitlines()) if r["case"] == case)
    return r["ms_median"], r["ms_min"], r["gflops"], r["level"]


def dump(work):
    """The mixed set as bench_engine has it: [ids], and its pooled vectors."""
    path = work / "berth.bin"
    subprocess.run([ENGINE, MODELS / MINILM, f"--dump={path}"], check=True, capture_output=True)
    raw, at, ids, vectors = path.read_bytes(), 0, [], []
    hidden = json.loads((MODELS / MINILM / "config.json").read_text())["hidden_size"]
    while at < len(raw):
        n, = struct.unpack_from("<I", raw, at)
        ids.append(list(struct.unpack_from(f"<{n}I", raw, at + 4)))
        at += 4 + 4 * n
        states = np.frombuffer(raw, "<f4", n * hidden, at).reshape(n, hidden)
        at += 4 * n * hidden
        mean = states.mean(0)
        vectors.append(mean / np.linalg.norm(mean))
    return ids, np.stack(vectors)


def peak(level):
    """The f32 peak of one thread in GFLOP/s: the best of what check_kernels measures between its first rounds."""
    bench = subprocess.Popen([BUILD / "tests/kernels/check_kernels", "--bench", f"--isa={level}", "--fn=gemm_f32"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)
    lines = [line for line, _ in zip(bench.stdout, range(PEAK_LINES))]
    bench.kill()
    bench.wait()
    return max(float(m) for m in re.findall(r"% of ([\d.]+)", "".join(lines)))


def sequences(case, mixed):
    if case == "mixed":
        return mixed
    batch, tokens = map(int, case.split("x"))
    rng = np.random.default_rng(0)
    return rng.integers(1000, 29000, (batch, tokens)).tolist()


def main():
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        mixed, vectors = dump(work)
        peers = {which: Peer(which, work) for which in PEERS}
        for which, peer in peers.items():
            far = float(np.abs(np.load(peer.run(mixed, 1)["vectors"]) - vectors).max())
            print(f"outputs: {PEERS[which]} differs from berth by at most {far:.1e}", file=sys.stderr)
            assert far <= NEAR, (which, far)
        limit = THREADS * peak(berth("1x16")[3])
        times = {(who, case): [] for who in ["berth", *PEERS] for case in CASES}
        gflops = {case: 0.0 for case in CASES}
        for _ in range(TURNS):
            for case in CASES:
                median, fastest, rate, _ = berth(case)
                times["berth", case] += [(median, fastest)]
                gflops[case] = max(gflops[case], rate)
                for which, peer in peers.items():
                    ms = peer.run(sequences(case, mixed), REPS[case] + 1)["ms"][1:]
                    times[which, case] += [(statistics.median(ms), min(ms))]
        for peer in peers.values():
            peer.end()
    middle = lambda who, case: statistics.median(t[0] for t in times[who, case])
    fastest = lambda who, case: min(t[1] for t in times[who, case])
    for case in CASES:
        for which, name in PEERS.items():
            row("encoders", case, "ms", middle("berth", case), name, middle(which, case),
                berth_min=round(fastest("berth", case), 2), peer_min=round(fastest(which, case), 2),
                min_ratio=round(fastest(which, case) / fastest("berth", case), 2),
                gflops=gflops[case], peak_gflops=limit, share_of_peak=round(gflops[case] / limit, 3))


main()
