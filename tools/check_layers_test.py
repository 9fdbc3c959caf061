#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests of check_layers.py on small trees of sources."""

import tempfile
import unittest
from pathlib import Path

import check_layers

BASE = {"src/base/CMakeLists.txt": "castore_module(base HEADERS a.h SOURCES a.cc)",
        "src/base/a.h": "#pragma once\n",
        "src/base/a.cc": '#include "base/a.h"\n#include <vector>\n'}


class CheckLayers(unittest.TestCase):
    def faults(self, *trees):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in {k: v for tree in trees for k, v in tree.items()}.items():
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return check_layers.check(Path(folder).resolve())

    def module(self, name, declaration, include, file="b.cc"):
        return {f"src/{name}/CMakeLists.txt": f"castore_module({name} {declaration})",
                f"src/{name}/{file}": f'#include "{include}"\n'}

    def test_accepts_an_include_of_a_named_module(self):
        self.assertEqual(self.faults(BASE, self.module("top", "SOURCES b.cc DEPS base", "base/a.h")), [])

    def test_refuses_an_include_that_leaves_deps(self):
        [fault] = self.faults(BASE, self.module("top", "SOURCES b.cc", "base/a.h"))
        self.assertIn("does not name in DEPS", fault)

    def test_refuses_an_include_through_a_module_between(self):
        between = self.module("middle", "HEADERS b.cc DEPS base", "base/a.h")
        [fault] = self.faults(BASE, between, self.module("top", "SOURCES b.cc DEPS middle", "base/a.h"))
        self.assertIn("belongs to base", fault)

    def test_lets_only_tests_use_test_deps(self):
        declaration = "SOURCES {} TESTS {} TEST_DEPS base"
        test = self.module("top", declaration.format("", "b.cc"), "base/a.h")
        self.assertEqual(self.faults(BASE, test), [])
        shipped = self.module("top", declaration.format("b.cc", ""), "base/a.h")
        self.assertEqual(len(self.faults(BASE, shipped)), 1)

    def test_refuses_a_cycle(self):
        one = self.module("one", "HEADERS b.h DEPS two", "two/b.h", "b.h")
        two = self.module("two", "HEADERS b.h DEPS one", "one/b.h", "b.h")
        self.assertIn("cycle: one -> two -> one", self.faults(one, two))

    def test_refuses_a_file_in_no_module(self):
        [fault] = self.faults(BASE, {"src/base/stray.cc": ""})
        self.assertIn("src/base/stray.cc: in no module", fault)

    def test_refuses_an_include_that_does_not_start_at_src(self):
        [fault] = self.faults(BASE, self.module("top", "SOURCES b.cc DEPS base", "a.h"))
        self.assertIn("is no file of a module", fault)

    def test_refuses_a_listed_file_that_does_not_exist(self):
        [fault] = self.faults({"src/base/CMakeLists.txt": "castore_module(base SOURCES gone.cc)"})
        self.assertIn("does not exist", fault)

    def test_counts_the_main_file_of_a_program_to_the_module_beside_it(self):
        top = {"src/top/CMakeLists.txt": "castore_module(top DEPS base)\nadd_executable(top main.cc)",
               "src/top/main.cc": '#include "base/a.h"\n'}
        self.assertEqual(self.faults(BASE, top), [])

    def test_knows_all_modules_in_programs_outside(self):
        self.assertEqual(self.faults(BASE, {"fuzz/a_fuzz.cc": '#include "base/a.h"\n'}), [])
        self.assertEqual(len(self.faults(BASE, {"fuzz/a_fuzz.cc": '#include "base/gone.h"\n'})), 1)


if __name__ == "__main__":
    unittest.main()
