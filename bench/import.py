#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures importing and exporting against cp, on one filesystem.

Programs that are compared run in turns, round by round, so that a slow minute of the machine hits
both. The table shows the median time of each and the median of the rounds' ratios. Sources are in
the page cache, and everything written before is on disk, when a clock starts. See bench/README.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from harness import (CASTORE, MIB, ROOT, kernel_tree, print_table, program, progress, remove, stop,
                     timed)


@dataclass
class Row:
    name: str
    ours: str
    peer: str
    theirs: str
    ratio: float | None
    asked: str
    reached: bool | None


@dataclass
class Sizes:
    rounds: int
    big_file_bytes: int
    small_files: int


FULL = Sizes(rounds=5, big_file_bytes=4096 * MIB, small_files=1_000_000)
QUICK = Sizes(rounds=1, big_file_bytes=16 * MIB, small_files=2_000)


class Bench:
    def __init__(self, castore, scratch, sizes):
        self.castore = castore
        self.scratch = scratch
        self.sizes = sizes
        self.rows = []

    # --- running -------------------------------------------------------------------------------

    def settle(self, *leftovers):
        """Removes what a round left and waits until the disk has nothing more to do."""
        for path in leftovers:
            remove(path)
        subprocess.run(["sync", "-f", self.scratch], check=True)

    def import_command(self, store, path):
        return [self.castore, "--store", store, "import", path]

    def imported_path(self, store):
        listed = subprocess.run([self.castore, "--store", store, "list"], check=True, text=True,
                                stdout=subprocess.PIPE)
        return listed.stdout.split()[0]

    def add_times(self, name, ours, peer, theirs, asked):
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        self.rows.append(Row(name, f"{statistics.median(ours):.2f} s", peer,
                             f"{statistics.median(theirs):.2f} s", round(ratio, 2),
                             f"at most {asked:.2f}", ratio <= asked))

    # --- measurements --------------------------------------------------------------------------

    def tree(self, source):
        """First import, second import and export of a tree, beside cp -a of it."""
        store, copy, exported = (self.scratch / name for name in ("store", "copy", "exported"))
        warm(source)
        first, second, durable_copy, export, plain_copy = [], [], [], [], []
        for turn in range(self.sizes.rounds):
            progress(f"tree, round {turn + 1} of {self.sizes.rounds}")

            def run_ours():
                self.settle(store)
                first.append(timed(self.import_command(store, source)))
                self.settle()
                second.append(timed(self.import_command(store, source)))

            def run_copy():
                self.settle(copy)
                durable_copy.append(timed(["cp", "-a", source, copy], ["sync", "-f", copy]))
                self.settle(copy)

            def run_export():
                self.settle(exported)
                export.append(timed([self.castore, "--store", store, "export",
                                     self.imported_path(store), exported]))
                self.settle(exported)

            def run_plain_copy():
                self.settle(copy)
                plain_copy.append(timed(["cp", "-a", source, copy]))
                self.settle(copy)

            for run in in_turns(turn, run_ours, run_copy) + in_turns(turn, run_export, run_plain_copy):
                run()
        self.settle(store)
        self.add_times("first import of the tree", first, "cp -a + sync -f", durable_copy, 1.0)
        self.add_times("second import, unchanged", second, "first import", first, 0.25)
        self.add_times("export of the tree", export, "cp -a", plain_copy, 1.0)

    def big_file(self):
        """Import of one large file of random bytes, beside cp of it."""
        source, store, copy = (self.scratch / name for name in ("big_file", "store", "copy"))
        with open(source, "wb") as file:
            for _ in range(self.sizes.big_file_bytes // MIB):
                file.write(os.urandom(MIB))
        warm(source)
        ours, theirs = [], []
        for turn in range(self.sizes.rounds):
            progress(f"large file, round {turn + 1} of {self.sizes.rounds}")

            def run_ours():
                self.settle(store)
                ours.append(timed(self.import_command(store, source)))
                self.settle(store)

            def run_copy():
                self.settle(copy)
                theirs.append(timed(["cp", source, copy], ["sync", "-f", copy]))
                self.settle(copy)

            for run in in_turns(turn, run_ours, run_copy):
                run()
        self.settle(source)
        self.add_times(f"import of one file of {self.sizes.big_file_bytes // MIB} MiB", ours,
                       "cp + sync -f", theirs, 1.3)

    def memory(self):
        """Peak memory of importing very many small files."""
        source, store = self.scratch / "small_files", self.scratch / "store"
        progress(f"making {self.sizes.small_files} small files")
        make_small_files(source, self.sizes.small_files)
        self.settle(store)
        progress("importing them")
        start = time.monotonic()
        process = subprocess.Popen([str(w) for w in self.import_command(store, source)],
                                   stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        if status != 0:
            stop("the import of the small files failed")
        peak = usage.ru_maxrss / 1024
        self.rows.append(Row(f"peak memory, {self.sizes.small_files} small files", f"{peak:.0f} MiB", "-",
                             f"in {seconds:.0f} s", None, "below 200 MiB", peak < 200))
        self.settle(store, source)


def in_turns(turn, one, other):
    """Who goes first changes from round to round."""
    return [one, other] if turn % 2 == 0 else [other, one]


def warm(path):
    files = [path] if path.is_file() else (f for f in path.rglob("*") if f.is_file())
    for file in files:
        with open(file, "rb") as stream:
            while stream.read(4 * MIB):
                pass


def make_small_files(folder, count):
    """Files of some 100 bytes, all different, 1,000 in a folder."""
    for number in range(count):
        parent = folder / f"{number // 1000:04}"
        if number % 1000 == 0:
            parent.mkdir(parents=True)
        (parent / f"{number % 1000:03}").write_text(f"file number {number}\n" * 5)


def make_quick_tree(folder):
    make_small_files(folder / "files", 300)
    (folder / "program").write_bytes(os.urandom(300_000))
    (folder / "program").chmod(0o755)
    (folder / "link").symlink_to("program")


def print_rows(rows, judged):
    head = ["measured", "castore", "beside", "takes", "ratio", "asked", ""]
    lines = [[row.name, row.ours, row.peer, row.theirs, "" if row.ratio is None else f"{row.ratio:.2f}",
              row.asked, ("reached" if row.reached else "NOT reached") if judged else "not judged"]
             for row in rows]
    print_table(head, lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--castore", type=Path, default=CASTORE,
                        help="the program to measure (default: the release build)")
    parser.add_argument("--scratch", type=Path, default=ROOT / "build/bench",
                        help="folder on the filesystem to measure; some 20 GiB are needed")
    parser.add_argument("--tree", type=Path, help="import this tree instead of the kernel source")
    parser.add_argument("--rounds", type=int, help="of each comparison (default: 5)")
    parser.add_argument("--only", choices=["tree", "big_file", "memory"], action="append",
                        help="measure this alone; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows to FILE as well")
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds on tiny inputs: shows that everything runs, no figures")
    options = parser.parse_args()

    castore = program(options.castore)
    sizes = QUICK if options.quick else FULL
    if options.rounds:
        sizes.rounds = options.rounds
    options.scratch.mkdir(parents=True, exist_ok=True)

    bench = Bench(castore, options.scratch.resolve(), sizes)
    wanted = options.only or ["tree", "big_file", "memory"]
    if "tree" in wanted:
        source = options.tree.resolve() if options.tree else bench.scratch / "quick_tree"
        if not options.tree and options.quick:
            bench.settle(source)
            make_quick_tree(source)
        elif not options.tree:
            source = kernel_tree(bench.scratch)
        bench.tree(source)
        if options.quick and not options.tree:
            bench.settle(source)
    if "big_file" in wanted:
        bench.big_file()
    if "memory" in wanted:
        bench.memory()

    print_rows(bench.rows, judged=not options.quick)
    if options.json:
        options.json.write_text(json.dumps([row.__dict__ for row in bench.rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
