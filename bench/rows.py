"""The lines that every suite of script/bench prints."""
import json
import sys

JSON = "--json" in sys.argv


def row(suite, case, unit, berth, peer, peer_value, lower_is_better=True, dtype="f32", **more):
    """Prints one comparison: berth and peer_value are medians; ratio > 1 means that berth is better."""
    ratio = peer_value / berth if lower_is_better else berth / peer_value
    line = {"suite": suite, "case": case, "dtype": dtype, "unit": unit, "berth": round(berth, 3), "peer": peer,
            "peer_value": round(peer_value, 3), "ratio": round(ratio, 3), **more}
    if JSON:
        print(json.dumps(line), flush=True)
    else:
        extra = "  ".join(f"{k} {v}" for k, v in more.items())
        print(f"{suite:9} {case:12} {dtype:4} berth {berth:9.2f} {unit:5} {peer:14} {peer_value:9.2f}  ratio {ratio:5.2f}  {extra}", flush=True)
