"""What the checks of this folder share: the tree's C files, and C text without its comments and strings."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
C_FOLDERS = ("src", "tests", "bench")
C_KINDS = {".c", ".h", ".cc", ".inc"}

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def c_files(*folders):
    """C and C++ files under the given folders of the tree, sorted."""
    found = [p for f in folders or C_FOLDERS for p in (ROOT / f).rglob("*") if p.suffix in C_KINDS and p.is_file()]
    return sorted(found)


def name(path):
    return str(pathlib.Path(path).relative_to(ROOT))


def without_comments(text):
    """The same lines with comments blanked out and strings emptied."""

    def blank(match):
        token = match[0]
        if token[0] in "\"'":
            return token[0] * 2
        return re.sub(r"[^\n]", " ", token)

    return TOKEN.sub(blank, text)


def finish(problems, what):
    """Prints the problems, or what was looked at, and ends the program."""
    for p in problems:
        print(p)
    print(f"{len(problems)} problems" if problems else f"ok: {what}")
    sys.exit(1 if problems else 0)
