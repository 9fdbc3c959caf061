#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks that the sources keep to the layers declared in CMake.

The calls of castore_module() under src/ are the one statement of the layering. Refused are
  - an #include of a module that is not in DEPS (tests: DEPS and TEST_DEPS),
  - an #include of a file that does not exist, or by a path that does not start at src/,
  - a cycle between modules,
  - a source file that no module lists.
Programs outside src/ (tests/, fuzz/, bench/) may include every module, but only files that exist.

    tools/check_layers.py [ROOT]
"""

import re
import sys
from pathlib import Path

KEYWORDS = ("HEADERS", "SOURCES", "TESTS", "DEPS", "LIBS", "TEST_DEPS")
CALL = re.compile(r"castore_module\s*\(([^)]*)\)")
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


class Module:
    def __init__(self, name, folder, lists):
        self.name = name
        self.folder = folder
        self.deps = lists["DEPS"]
        self.test_deps = lists["TEST_DEPS"]
        self.shipped = {folder / f for f in lists["HEADERS"] + lists["SOURCES"]}
        self.tests = {folder / f for f in lists["TESTS"]}


def parse_call(text, folder):
    words = re.sub(r"#.*", "", text).split()
    lists = {keyword: [] for keyword in KEYWORDS}
    current = None
    for word in words[1:]:
        if word in lists:
            current = lists[word]
        elif current is not None:
            current.append(word.strip('"'))
    return Module(words[0], folder, lists)


def read_modules(source):
    modules = {}
    for cmake in sorted(source.rglob("CMakeLists.txt")):
        text = re.sub(r"#.*", "", cmake.read_text())
        for call in CALL.finditer(text):
            module = parse_call(call.group(1), cmake.parent)
            modules[module.name] = module
    return modules


def find_cycle(modules):
    state = {}

    def visit(name, path):
        if state.get(name) == "done" or name not in modules:
            return None
        if name in path:
            return path[path.index(name):] + [name]
        for dep in modules[name].deps:
            if cycle := visit(dep, path + [name]):
                return cycle
        state[name] = "done"
        return None

    for name in modules:
        if cycle := visit(name, []):
            return cycle
    return None


def check_declarations(root, modules):
    for module in modules.values():
        for dep in module.deps + module.test_deps:
            if dep not in modules:
                yield f"module {module.name}: unknown module {dep} in DEPS"
        for file in sorted(module.shipped | module.tests):
            if not file.is_file():
                yield f"{file.relative_to(root)}: listed by {module.name}, does not exist"
    if cycle := find_cycle(modules):
        yield "cycle: " + " -> ".join(cycle)


def check_sources(root, modules):
    source = root / "src"
    owner = {file: m for m in modules.values() for file in m.shipped | m.tests}
    for file in source_files(source):
        where = file.relative_to(root)
        module = owner.get(file) or program_of(modules, file)
        if module is None:
            yield f"{where}: in no module"
            continue
        # Stated, not inherited: who includes a module names it.
        allowed = {module.name, *module.deps}
        if file in module.tests:
            allowed |= set(module.test_deps)
        for include in INCLUDE.findall(file.read_text()):
            target = owner.get(source / include)
            if target is None:
                yield f'{where}: "{include}" is no file of a module below src/'
            elif target.name not in allowed:
                yield f'{where}: "{include}" belongs to {target.name}, which {module.name} does not name in DEPS'


def check_programs(root):
    for folder in ("tests", "fuzz", "bench"):
        for file in source_files(root / folder):
            for include in INCLUDE.findall(file.read_text()):
                places = (root / "src" / include, root / include, file.parent / include)
                if not any(place.is_file() for place in places):
                    yield f'{file.relative_to(root)}: "{include}" does not exist'


def source_files(folder):
    return sorted(file for file in folder.rglob("*") if file.suffix in (".h", ".cc"))


def program_of(modules, file):
    """The module beside which an add_executable() lists the file, as a program's main file is."""
    cmake = file.parent / "CMakeLists.txt"
    calls = re.findall(r"add_executable\s*\(([^)]*)\)", cmake.read_text()) if cmake.is_file() else []
    if not any(file.name in call.split() for call in calls):
        return None
    return next((module for module in modules.values() if module.folder == file.parent), None)


def check(root):
    modules = read_modules(root / "src")
    if not modules:
        return ["no castore_module() below src/"]
    faults = list(check_declarations(root, modules))
    return faults + list(check_sources(root, modules)) + list(check_programs(root))


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    faults = check(root)
    for fault in faults:
        print(fault)
    print(f"check_layers: {len(faults)} faults in {len(source_files(root / 'src'))} files")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
