#!/usr/bin/env python3
"""Fails when a page names a file that is not there: `folder/file.c` (from the root or from src/), or a link.

A NAME in capitals stands for any.
"""
import re

import source

PATH = re.compile(r"`((?:[a-z_][\w.-]*/)+[\w.-]+\.(?:c|h|cc|py|def|md|sh|json|yaml))`")
ANY = re.compile(r"\b[A-Z]{3,}\b(?!\.md)")
LINK = re.compile(r"\[[^\]]*\]\((?!\w+:|#)([^)#\s]+)")


def main():
    pages = sorted([*source.ROOT.glob("*.md"), *(source.ROOT / "docs").rglob("*.md")])
    problems, named = [], 0
    for page in pages:
        text = page.read_text()
        for match in [*PATH.finditer(text), *LINK.finditer(text)]:
            if ANY.search(match[1]):
                continue
            named += 1
            bases = (source.ROOT, source.ROOT / "src") if match.re is PATH else (page.parent,)
            if not any((base / match[1]).exists() for base in bases):
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{source.name(page)}:{line}: there is no {match[1]}")
    source.finish(problems, f"{named} paths in {len(pages)} pages")


if __name__ == "__main__":
    main()
