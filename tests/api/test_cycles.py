"""50 cycles of load, run, unload: nothing stays behind, neither in the daemon nor beside it."""
import pytest

from daemon import MINILM, MODELS, Daemon, alive

CYCLES, WARM = 50, 10
GROWTH_BYTES = 64 * 1024


@pytest.mark.timeout(300)
def test_fifty_cycles_leave_nothing_behind(tmp_path):
    with Daemon(tmp_path) as d:
        d.keep_connection()
        d.add(MINILM, MODELS / MINILM)
        seen = {}
        for cycle in range(1, CYCLES + 1):
            d.post("/berth/load", model=MINILM)
            pids = d.workers()
            assert len(pids) == 1 and alive(pids[0])
            answer = d.post("/v1/embeddings", model=MINILM, input=[f"cycle {cycle}", "and a second text"])
            assert [len(v["embedding"]) for v in answer["data"]] == [384, 384]
            d.post("/berth/unload", model=MINILM)
            assert not alive(pids[0]), "the worker outlived the answer of unload"
            seen[cycle] = (d.descriptors(), d.threads(), len(d.children())), d.rss_anon()
        print(f"descriptors, threads, children: cycle {WARM} {seen[WARM][0]}, cycle {CYCLES} {seen[CYCLES][0]}; "
              f"RssAnon {seen[WARM][1]} and {seen[CYCLES][1]}: {seen[CYCLES][1] - seen[WARM][1]:+d} bytes")
        assert seen[CYCLES][0] == seen[WARM][0]
        assert seen[CYCLES][0][2] == 0
        assert seen[CYCLES][1] - seen[WARM][1] <= GROWTH_BYTES
