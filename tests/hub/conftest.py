"""The fixtures root and hub for the tests beside this file."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from repos import hub, root  # noqa: E402,F401
