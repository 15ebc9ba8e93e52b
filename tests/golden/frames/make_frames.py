#!/usr/bin/env python3
"""Writes the golden and the bad frames beside this file.

    make_frames.py [--check]     --check: compare with what is there, write nothing

Made with cbor2 5.x or later (only its plain encoder is used) and src/ipc/frame.h
for the numbers of the types. good/ must be accepted, and written again byte by
byte, by every implementation; bad/ must be refused by every one.
"""

import argparse
import struct
import sys
from pathlib import Path

import cbor2

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
import framing  # noqa: E402



def text(s, **more):
    return {"k": "text", **more, "d": s.encode()}


def tokens(*ids):
    return {"k": "tokens", "d": struct.pack(f"<{len(ids)}I", *ids)}


def tensor(shape, *values):
    return {"k": "tensor", "dtype": "f32", "shape": shape,
            "d": struct.pack(f"<{len(values)}f", *values)}


def media(kind, data, **more):
    return {"k": "bytes", **more, "media": kind, "d": data}


PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489")
WAV = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\0\0\0\0"
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}

GOOD = {
    "hello_daemon": ("HELLO", 0, {"version": 1, "build": "0.1.0", "kind": "daemon", "threads": 2,
                                  "cores": 2, "memory": 1 << 31, "isa": "", "degraded": False}),
    "hello_worker": ("HELLO", 0, {"version": 1, "build": "0.1.0", "kind": "native", "pid": 4242,
                                  "tasks": ["feature-extraction", "fill-mask"],
                                  "features": ["cancel", "credit"],
                                  "limits": {"items": 4096, "parts": 64}}),
    "hello_minimal": ("HELLO", 0, {"version": 65535, "build": "", "kind": ""}),
    "load": ("LOAD", 1, {"model": "sentence-transformers/all-MiniLM-L6-v2",
                         "revision": "c" * 40, "dtype": "exact", "device": "cpu",
                         "options": {"max_seq_length": 256, "scale": 0.5},
                         "files": [{"name": "config.json", "size": 612, "fd": 0},
                                   {"name": "1_Pooling/config.json", "size": 190, "fd": 1},
                                   {"name": "model.safetensors", "size": 90868376, "fd": 2}]}, 3),
    "status_sandbox": ("STATUS", 0, {"phase": "sandbox", "sandbox": {
        "no_new_privs": True, "seccomp": True, "landlock": True, "rlimits": True,
        "landlock_abi": 7, "degraded": False}}),
    "status_download": ("STATUS", 9, {"phase": "downloading", "done": 1 << 33, "all": 1 << 34,
                                      "rate": 117_000_000, "file": "model.safetensors"}),
    "ready": ("READY", 1, {"tasks": ["feature-extraction"], "task": "feature-extraction",
                           "dim": 384, "max_tokens": 256, "memory": 92274688, "dtype": "f32",
                           "isa": "avx512", "load_ns": 41_000_000, "limits": {"batch": 64},
                           "extra": {"pooling": "mean", "normalize": True}}),
    "job_texts": ("JOB", 2, {"task": "feature-extraction", "deadline_ns": 2**63 + 5, "priority": 9,
                             "caller": "key-1", "affinity": "", "params": {"normalize": True},
                             "items": [[text("one")], [text("zwei, \u00fc\u00df")],
                                       [text("\u4e09 \U0001f600")], [text("")]]}),
    "job_tokens": ("JOB", 3, {"task": "feature-extraction",
                              "items": [[tokens(101, 7592, 102)], [tokens()],
                                        [tokens(2**32 - 1)]]}),
    "job_pairs": ("JOB", 4, {"task": "rerank", "params": {"return_documents": False}, "items": [
        [text("what is a daemon", role="query"), text("A process.", role="document")],
        [text("what is a daemon", role="query"), text("A spirit.", role="document")]]}),
    "job_question": ("JOB", 5, {"task": "question-answering", "params": {"top_k": 3}, "items": [
        [text("Who?", role="question"), text("Ada wrote it.", role="context")]]}),
    "job_chat": ("JOB", 6, {"task": "chat", "params": {
        "tools": [TOOL], "tool_choice": "auto", "temperature": 0.7, "max_tokens": 128,
        "stop": ["\n\n"], "seed": -7, "logit_bias": {"50256": -100.0}, "stream": True,
        "response_format": None}, "items": [[
            text("Be brief.", role="system"), text("Weather in Bern?", role="user"),
            text('{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":'
                 '{"name":"weather","arguments":"{\\"city\\":\\"Bern\\"}"}}]}', role="assistant", media="application/json"),
            text('{"role":"tool","tool_call_id":"call_1","content":"{\\"celsius\\":4}"}', role="tool",
                 media="application/json")]]}),
    "job_image": ("JOB", 7, {"task": "image-text-to-text", "items": [
        [media("image/png", PNG, role="user"), text("What is this?")]]}),
    "job_audio": ("JOB", 8, {"task": "automatic-speech-recognition",
                             "params": {"language": "de", "timestamps": "word"},
                             "items": [[media("audio/wav", WAV)]]}),
    "job_tensor": ("JOB", 9, {"task": "tensor", "items": [[tensor([2, 2], 1.0, -2.5, 0.0, 3e38)]]}),
    "job_memfd": ("JOB", 10, {"task": "feature-extraction", "data": 70000, "items": [
        [{"k": "text", "o": 0, "n": 69000}], [{"k": "text", "role": "query", "o": 69000,
                                               "n": 1000}]]}, 1),
    "job_fetch": ("JOB", 11, {"task": "pull", "params": {
        "repo": "acme/tiny", "revision": "main", "endpoint": "https://huggingface.co",
        "token": "hf_x", "cache": "/c", "offline": False, "files": []}}),
    "chunk_text": ("CHUNK", 6, {"item": 0, "parts": [text("It is ")]}),
    "chunk_tokens": ("CHUNK", 6, {"item": 0, "parts": [text("The")], "result": {"tokens": [
        {"id": 464, "text": "The", "logprob": -0.5, "special": False, "top": [
            {"id": 464, "text": "The", "logprob": -0.5}, {"id": 32, "text": "A", "logprob": -1.25}]}]}}),
    "done_vectors": ("DONE", 2, {"item": 1, "parts": [tensor([4], 0.5, -0.5, 0.5, -0.5)],
                                 "usage": {"tokens": 7}, "flags": ["truncated"],
                                 "times": {"queue_ns": 12_000, "run_ns": 3_400_000}}),
    "done_memfd": ("DONE", 2, {"item": 0, "data": 98304, "parts": [
        {"k": "tensor", "dtype": "f32", "shape": [64, 384], "o": 0, "n": 98304}]}, 1),
    "done_fill_mask": ("DONE", 12, {"item": 0, "usage": {"tokens": 6}, "result": [[
        {"score": 0.25, "token": 3000, "token_str": "paris", "sequence": "paris it is"},
        {"score": 1e-300, "token": 0, "token_str": "", "sequence": ""}]]}),
    "done_fetch": ("DONE", 11, {"result": {"repo": "acme/tiny", "commit": "a" * 40, "bytes": 5,
                                           "files": [{"name": "config.json", "size": 5,
                                                      "hash": "b" * 40, "kind": "git-sha1"}]}}),
    "done_numbers": ("DONE", 13, {"result": [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32,
                                             2**64 - 1, -1, -24, -25, -2**63, -2**64, 0.0, -0.0,
                                             1.5, 1e308, True, False, None,
                                             "", b"", [], {}]}),
    "error_item": ("ERROR", 2, {"code": "input_too_long", "item": 3,
                                "text": "item 3 has 600 tokens, the model takes 512"}),
    "error_job": ("ERROR", 2, {"code": "cancelled", "text": "cancelled"}),
    "error_self": ("ERROR", 0, {"code": "damaged_file", "text": "model.safetensors is cut"}),
    "cancel": ("CANCEL", 2, {}),
    "credit_worker": ("CREDIT", 0, {"jobs": 64, "bytes": 8 << 20}),
    "credit_job": ("CREDIT", 2, {"bytes": 65536}),
    "ping": ("PING", 0, {"time_ns": 2**64 - 1}),
    "pong": ("PONG", 0, {"time_ns": 2**64 - 1, "threads": [1, 2**40], "busy": 3,
                         "memory": 92274688}),
    "drain": ("DRAIN", 0, {}),
    "log": ("LOG", 0, {"level": "warn", "text": "worker: a tensor was not read: x"}),
    "plan": ("PLAN", 0, {"architecture": "BertModel", "model_type": "bert",
                         "task": "feature-extraction",
                         "tasks": ["feature-extraction", "sentence-similarity"], "tensors": 103,
                         "parameters": 22713216, "bytes": {"F32": 90852864}, "context": 512,
                         "dim": 384, "vocab": 30522, "labels": 0,
                         "unsupported": [{"what": "auto_map", "why": "code of a repository"}],
                         "weights": 90900000, "runtime": [[512, 9000000], [16384, 90000000]],
                         "licence": "apache-2.0", "extra": {}}),
    "unknown_fields": ("PING", 0, {"time_ns": 1, "later": {"more": [1, {"deep": b"\0"}]}}),
    "deepest": ("LOG", 0, {"level": "", "text": "", "x": None}),
    "most_values": ("LOG", 0, {"level": "", "text": "", "x": [0] * (65536 - 7)}),
}


def nest(n):
    value = 0
    for _ in range(n):
        value = [value]
    return value


GOOD["deepest"][2]["x"] = nest(31)  # in the map: 32 containers


def frame(body, name="LOG", flags=0, length=None, number=None):
    """A frame of raw parts, right or wrong."""
    return framing.HEADER.pack(len(body) if length is None else length,
                               framing.TYPES[name] if number is None else number, flags, 1) + body


def log(value, key=b"\x61x"):
    """A LOG frame that is right but for one more member, written by hand."""
    return frame(b"\xa3" + cbor2.dumps("level") + b"\x60" + cbor2.dumps("text") + b"\x60"
                 + key + value)


def lacking(name, **changed):
    """A frame with a member left out (None) or changed."""
    body = dict(next(g[2] for g in GOOD.values() if g[0] == name))
    body |= changed
    return frame(cbor2.dumps({k: v for k, v in body.items() if v is not None}), name)


PING = cbor2.dumps({"time_ns": 1})

BAD = {
    "no_header": b"\x01\x00\x00\x00",
    "type_unknown": frame(PING, number=99),
    "type_zero": frame(PING, number=0),
    "length_over_limit": frame(b"", "PING", length=(256 << 10) + 1),
    "length_huge": frame(b"", "PING", length=2**32 - 1),
    "length_past_end": frame(PING, "PING", length=len(PING) + 1),
    "length_too_short": frame(PING, "PING", length=len(PING) - 1),
    "length_zero": frame(b"", "CANCEL"),
    "flags_unknown": frame(PING, "PING", flags=0x100),
    "flags_too_many_descriptors": frame(PING, "PING", flags=254),
    "flags_high_bit": frame(PING, "PING", flags=0x8000),
    "body_array": frame(b"\x80", "CANCEL"),
    "body_text": frame(b"\x60", "CANCEL"),
    "body_null": frame(b"\xf6", "CANCEL"),
    "trailing_byte": frame(PING + b"\x00", "PING"),
    "trailing_map": frame(PING + b"\xa0", "PING"),
    "two_values": frame(b"\xa0\xa0", "CANCEL"),
    "duplicate_key": frame(b"\xa2" + 2 * PING[1:], "PING"),
    "duplicate_key_unknown": frame(b"\xa3" + PING[1:] + b"\x61a\x01\x61a\x01", "PING"),
    "duplicate_key_other_head": frame(b"\xa3" + PING[1:] + b"\x61a\x01\x78\x01a\x02", "PING"),
    "duplicate_key_nested": log(b"\x81\xa2\x61a\x01\x61a\x02"),
    "duplicate_key_in_large_map": log(b"\xb8\x29" + b"".join(
        b"\x62%c%c\x00" % (97 + i // 20, 97 + i % 20) for i in range(40)) + b"\x62aa\x00"),
    "duplicate_empty_key": log(b"\xa2\x60\x01\x60\x02"),
    "indefinite_map": frame(b"\xbf" + PING[1:] + b"\xff", "PING"),
    "indefinite_array": log(b"\x9f\x01\xff"),
    "indefinite_bytes": log(b"\x5f\x41a\xff"),
    "indefinite_text": log(b"\x7f\x61a\xff"),
    "indefinite_text_key": log(b"\x00", key=b"\x7f\x61x\xff"),
    "break_alone": log(b"\xff"),
    "utf8_lone_byte": log(b"\x61\xff"),
    "utf8_cut": log(b"\x62\xe2\x82"),
    "utf8_overlong": log(b"\x62\xc0\xaf"),
    "utf8_surrogate": log(b"\x63\xed\xa0\x80"),
    "utf8_beyond": log(b"\x64\xf4\x90\x80\x80"),
    "utf8_in_key": log(b"\x00", key=b"\x61\xff"),
    "tag_date": log(b"\xc0\x60"),
    "tag_bignum": log(b"\xc2\x41\x01"),
    "tag_self_described": frame(b"\xd9\xd9\xf7" + PING, "PING"),
    "tag_shared_reference": log(b"\xd8\x1d\x00"),
    "undefined": log(b"\xf7"),
    "simple_unassigned": log(b"\xe0"),
    "simple_one_byte": log(b"\xf8\xff"),
    "simple_one_byte_small": log(b"\xf8\x14"),
    "reserved_28": log(b"\x1c"),
    "reserved_30_text": log(b"\x7e"),
    "indefinite_uint": log(b"\x1f"),
    "uint_cut": log(b"\x1b\x00"),
    "float_cut": log(b"\xfb\x00"),
    "text_past_end": log(b"\x62a"),
    "text_length_huge": log(b"\x7b" + b"\xff" * 8),
    "bytes_past_end": log(b"\x59\xff\xff"),
    "bytes_length_huge": log(b"\x5b" + b"\xff" * 8),
    "array_past_end": log(b"\x82\x00"),
    "array_count_huge": log(b"\x9b" + b"\xff" * 8),
    "array_count_32_bits": log(b"\x9a\x00\x01\x00\x01\x00"),
    "map_past_end": log(b"\xa1\x61a"),
    "map_count_huge": log(b"\xbb" + b"\xff" * 8),
    "map_count_half": log(b"\xbb\x80" + b"\x00" * 7),
    "too_deep": log(b"\x81" * 32 + b"\x00"),
    "far_too_deep": log(b"\x81" * 100_000 + b"\x00"),
    "too_deep_maps": log(b"\xa1\x61a" * 32 + b"\x00"),
    "too_many_values": log(cbor2.dumps([0] * (65536 - 6))),
    "key_number": log(b"\x00", key=b"\x01"),
    "key_bytes": log(b"\x00", key=b"\x41x"),
    "key_array": log(b"\x00", key=b"\x80"),
    "key_null": log(b"\x00", key=b"\xf6"),
    "hello_no_version": lacking("HELLO", version=None),
    "hello_version_too_large": lacking("HELLO", version=65536),
    "hello_version_text": lacking("HELLO", version="1"),
    "hello_version_negative": lacking("HELLO", version=-1),
    "hello_version_float": lacking("HELLO", version=1.0),
    "hello_kind_too_long": lacking("HELLO", kind="x" * 65),
    "hello_degraded_number": lacking("HELLO", degraded=1),
    "hello_tasks_map": lacking("HELLO", tasks={}),
    "load_no_files": lacking("LOAD", files=None),
    "load_too_many_files": lacking("LOAD", files=[{}] * 254),
    "job_no_task": lacking("JOB", task=None),
    "job_priority_ten": lacking("JOB", priority=10),
    "job_params_array": lacking("JOB", params=[]),
    "job_too_many_items": lacking("JOB", items=[[]] * 4097),
    "job_data_too_large": lacking("JOB", data=(1 << 30) + 1),
    "chunk_no_parts": lacking("CHUNK", parts=None),
    "chunk_too_many_parts": lacking("CHUNK", parts=[{}] * 1025),
    "error_no_code": lacking("ERROR", code=None),
    "error_text_too_long": lacking("ERROR", text="x" * 4097),
    "error_text_bytes": lacking("ERROR", text=b"x"),
    "ping_no_time": lacking("PING", time_ns=None),
    "pong_no_threads": lacking("PONG", threads=None),
    "log_no_level": lacking("LOG", level=None),
    "status_no_phase": lacking("STATUS", phase=None),
    "ready_dim_negative": lacking("READY", dim=-1),
    "plan_no_unsupported": lacking("PLAN", unsupported=None),
    "plan_runtime_text": lacking("PLAN", runtime="512"),
    "credit_bytes_too_large": lacking("CREDIT", bytes=2**63),
}


def good_bytes(name, job, body, n_fds=0):
    return framing.encode(name, body, job, n_fds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    check = parser.parse_args().check
    files = {f"good/{k}.bin": good_bytes(*v) for k, v in GOOD.items()}
    files |= {f"bad/{k}.bin": v for k, v in BAD.items()}
    there = {p.relative_to(HERE).as_posix() for p in HERE.glob("*/*.bin")}
    wrong = [n for n, d in files.items() if n not in there or (HERE / n).read_bytes() != d]
    wrong += sorted(there - set(files))
    if check:
        sys.exit(f"differs: {', '.join(wrong)}" if wrong else 0)
    for name, data in files.items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_bytes(data)
    print(f"{len(GOOD)} good frames, {len(BAD)} bad ones")


if __name__ == "__main__":
    main()
