"""One version for the whole of berth."""
import re

from conftest import ROOT

import berth_transformers


def test_the_package_has_mesons_version():
    said = re.search(r"\n\s+version: '([^']+)'", (ROOT / "meson.build").read_text())
    assert berth_transformers.__version__ == said[1]
