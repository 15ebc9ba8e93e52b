#!/usr/bin/env python3
"""The checks themselves: each must find what it is there to find."""
import pathlib
import tempfile
import unittest
from unittest import mock

import check_docs
import check_headers
import check_layers
import check_names
import check_size
import check_symbols
import check_text
import source


class Tree(unittest.TestCase):
    """A tree of its own, in place of the real one."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        patch = mock.patch.object(source, "ROOT", self.root)
        patch.start()
        self.addCleanup(patch.stop)

    def file(self, place, text):
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def problems_of(self, main):
        """What a check's main() prints before it ends."""
        said = []
        with mock.patch.object(source, "finish", lambda problems, what: said.extend(problems)):
            main()
        return said


class Layers(Tree):
    def test_upward_sideways_and_foreign_includes_are_found(self):
        self.file("src/base/a.h", "")
        self.file("src/http/b.h", '#include "base/a.h"\n#include <microhttpd.h>\n')
        self.file("src/manager/c.c", '#include "http/b.h"\n#include "base/a.h"\n# include <sqlite3.h>\n')
        self.file("src/new/d.c", "")
        self.file("src/base/e.c", '#include "a.h"\n')
        self.assertEqual(sorted(self.problems_of(check_layers.main)), [
            'src/base/e.c:1: "a.h" is not a path from src/',
            "src/manager/c.c:1: manager may not include http",
            "src/manager/c.c:3: <sqlite3.h> belongs to store",
            "src/new/d.c: the folder new has no row in check_layers.py"])

    def test_a_half_that_reaches_the_other_through_a_third_is_found(self):
        with mock.patch.dict(check_layers.MAY_INCLUDE, {"ipc": "base kernels"}):
            self.file("src/kernels/k.h", "")
            self.file("src/ipc/i.h", '#include "kernels/k.h"\n')
            self.file("src/daemon/d.c", '#include "ipc/i.h"\n')
            self.assertEqual(self.problems_of(check_layers.main),
                             ["src/daemon: reaches kernels, which belongs to another program"])


class Size(Tree):
    def nesting(self, body):
        [(_, _, _, depth)] = check_size.functions("int f(void)\n{\n" + body + "\n}\n")
        return depth

    def test_lengths_and_names(self):
        text = ("/* f */\nstatic int\nlong_name(int a,\n          int b)\n{\n    return 1;\n}\n\nstruct x {\n    int a;\n};\n"
                "static const struct t rows[] = {\n    {f(1)},\n};\n\nvoid g(void)\n{\n}\n")
        self.assertEqual([f[:3] for f in check_size.functions(text)], [("long_name", 2, 6), ("g", 16, 3)])

    def test_nesting(self):
        self.assertEqual(self.nesting("a();"), 0)
        self.assertEqual(self.nesting("if (a)\n for (;;)\n while (b)\n switch (c) {\n case 1:\n  d();\n }"), 4)
        self.assertEqual(self.nesting("if (a) { b(); } else if (c) { d(); } else if (e) { f(); } else { g(); }"), 1)
        self.assertEqual(self.nesting("do { if (a) b(); } while (c);\nif (d) e();"), 2)
        self.assertEqual(self.nesting("list_each(a, b) { if (c) { d(); } }"), 2)
        self.assertEqual(self.nesting("struct x y = {.a = {1, 2}}; int z[] = {1}; again:\nif (a) goto again;"), 1)
        self.assertEqual(self.nesting('f("if (a) { if (b) {"); /* if (x) { */'), 0)

    def test_what_is_too_large_is_found(self):
        self.file("src/base/a.c", "void f(void)\n{\n" + "    a();\n" * 98 + "}\n")
        self.file("src/base/b.c", "void f(void)\n{\n" + "    a();\n" * 97 + "}\n")
        self.file("src/base/c.c", "\n" * 801)
        self.file("src/base/d.c", "void f(void)\n{\n" + "if (a)\n" * 5 + "b();\n}\n")
        self.file("src/token/tables/t.c", "\n" * 900)
        self.assertEqual(self.problems_of(check_size.main), [
            "src/base/c.c: 801 lines; a file has at most 800",
            "src/base/a.c:1: f has 101 lines; a function has at most 100",
            "src/base/d.c:1: f nests 5 deep; at most 4"])


class Text(Tree):
    def test_what_has_no_place_is_found(self):
        path = self.file("src/base/a.c", '/* base/b.c - x. */\nint a; // no\nchar *b = "// yes";\n#if 0\n/* TODO */\n')
        self.assertEqual([p.split(":", 2)[1] for p in check_text.check(path)], ["1", "5", "4", "2"])
        path = self.file("src/base/a.c", '/* base/a.c - x. */\nchar c = \'"\'; /* // yes */\n')
        self.assertEqual(check_text.check(path), [])


class Names(Tree):
    def test_names_in_two_folders_are_found(self):
        for place in ("src/base/a.c", "src/base/a.h", "src/http/a.c", "src/kernels/avx2/a.c", "src/kernels/avx512/a.c"):
            self.file(place, "")
        self.assertEqual(self.problems_of(check_names.main),
                         ["a (as a module): src/base and src/http", "a.c: src/base/a.c and src/http/a.c"])


class Symbols(Tree):
    def test_banned_calls_are_found(self):
        path = self.file("src/base/a.c", 'int a = atoi(b);\n/* strcpy(c) */\nmy_strcpy("sprintf(");\nsprintf (a);\n')
        self.assertEqual([p.split(":")[1] for p in check_symbols.check_calls(path)], ["1", "4"])

    def test_which_sections_can_be_written(self):
        for section, can in ((".data", True), (".bss", True), (".tbss", True), (".data.x", True), ("*COM*", True),
                             (".data.rel.ro", False), (".data.rel.ro.local", False), (".rodata", False), (".text", False)):
            self.assertEqual(check_symbols.writable(section), can, section)


class Headers(unittest.TestCase):
    def test_guards(self):
        good, bad = "#ifndef BASE_A_H\n#define BASE_A_H\n", "#ifndef A_H\n#define A_H\n"
        self.assertEqual(check_headers.check_guard("base/a.h", good), [])
        self.assertEqual(len(check_headers.check_guard("base/a.h", bad)), 1)
        self.assertEqual(len(check_headers.check_guard("base/a.h", "")), 1)
        self.assertEqual(check_headers.guard_names("kernels/avx2/avx2.h"), {"KERNELS_AVX2_AVX2_H", "KERNELS_AVX2_H"})


class Docs(unittest.TestCase):
    def test_the_part_between_marks(self):
        self.assertEqual(check_docs.part("a\n<!-- from: p -->\nb\n<!-- end: p -->\nc\n", "p"), "b\n")
        self.assertEqual(check_docs.part("a\nb\n", "p"), "a\nb\n")


if __name__ == "__main__":
    unittest.main()
