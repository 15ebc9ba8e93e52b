"""A tokenizer of ours on pipes (token_tool.c), for scripts that compare."""
import struct
import subprocess

SPECIALS, OFFSETS, PAIR, DECODE, SKIP = 1, 2, 4, 8, 16


class Refused(Exception):
    pass


class TokenPipe:
    def __init__(self, tool, folder):
        self.p = subprocess.Popen([str(tool), str(folder)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def close(self):
        self.p.stdin.close()
        self.p.wait()

    @staticmethod
    def request(a, b=None, flags=SPECIALS | OFFSETS, max_tokens=0):
        texts = [t.encode() if isinstance(t, str) else t for t in ([a] if b is None else [a, b])]
        return struct.pack("<II", flags | (PAIR if b is not None else 0), max_tokens) + b"".join(
            struct.pack("<I", len(t)) + t for t in texts)

    def send(self, data):
        self.p.stdin.write(data)
        self.p.stdin.flush()

    def u32(self):
        data = self.p.stdout.read(4)
        if len(data) < 4:
            raise RuntimeError("token_tool ended: " + self.p.stderr.read().decode())
        return struct.unpack("<I", data)[0]

    def rows(self):
        """[(id, start, end, type)]"""
        n = self.u32()
        if n == 0xFFFFFFFF:
            raise Refused(self.p.stdout.read(self.u32()).decode())
        return list(struct.iter_unpack("<4I", self.p.stdout.read(16 * n)))

    def encode(self, *args, **kw):
        self.send(self.request(*args, **kw))
        return self.rows()

    def decode(self, ids, skip_special=False):
        self.send(self.request(struct.pack(f"<{len(ids)}I", *ids), flags=DECODE | (SKIP if skip_special else 0)))
        n = self.u32()
        if n == 0xFFFFFFFF:
            raise Refused(self.p.stdout.read(self.u32()).decode())
        return self.p.stdout.read(n).decode()
