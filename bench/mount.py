#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures reading through mounts of castore against the same files on the native filesystem.

Filesystems have their turns row by row and round by round, so that a slow minute of the machine
hits all; who goes first changes. The table shows the median of the native times and, for every
other filesystem, the median of the rounds' ratios to native. See bench/README.md.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path

from harness import (CASTORE, RELEASE, ROOT, facts, kernel_tree, print_table, program, progress,
                     remove, stop)
from mount_loads import FULL, QUICK, BigFile, Loops, Readiness, RealTree, SmallFiles, Turn
from mount_servers import DROP_CACHES, Castore, Mounts, Native, Signals, peers, uring_enabled

VARIANTS = ("cached-dev", "cached-uring", "passthrough-dev", "passthrough-uring")
GROUPS = (SmallFiles, BigFile, RealTree, Readiness)
SKIPPED = 77  # exit code: nothing was measured, because the machine does not allow it


class Bench:
    def __init__(self, servers, mounts, rounds):
        self.servers = servers
        self.mounts = mounts
        self.rounds = rounds
        self.seconds = {}  # of a row's key: of a server's name: one number a round
        self.seen = {}  # of a row's key: what the native filesystem showed
        self.notes = []  # what could not be measured, and why
        self.failed = {}  # (row's key, server's name): the server

    def note(self, text):
        progress(text)
        self.notes.append(text)

    def measure(self, group, rows):
        wanted = {row.key for row in rows}
        group.make()
        servers = [server for server in self.servers
                   if group.takes_part(server) and self.works(server, group, wanted)]
        for turn in range(self.rounds):
            progress(f"{group.title}, round {turn + 1} of {self.rounds}")
            for step in group.steps():
                for server in rotated(servers, turn):
                    self.take_turn(step, wanted, Turn(server, group.packed, self.mounts))

    def works(self, server, group, keys):
        """Whether a filesystem shows the source at all, and in the way its column says."""
        used = None
        with self.failures_of(server, keys):
            server.prepare(group.packed)
            with server.shown(group.packed, self.mounts) as path:
                used = server.fell_back(path)
        if used:
            self.note(f"{group.title}: without {server.name}, which fell back to {used}")
        return not used and not any((key, server.name) in self.failed for key in keys)

    def take_turn(self, step, wanted, turn):
        loads = {key: load for key, load in step.loads.items()
                 if key in wanted and (key, turn.server.name) not in self.failed}
        if not loads:
            return
        with self.failures_of(turn.server, loads):
            with turn.shown() if step.shown else contextlib.nullcontext() as path:
                if step.warm_up:
                    step.warm_up(path)
                for key, load in loads.items():
                    with self.failures_of(turn.server, [key]):
                        self.record(key, turn.server, load(turn, path))

    @contextlib.contextmanager
    def failures_of(self, server, keys):
        """What fails once on a filesystem is not tried again and has no figure there."""
        try:
            yield
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            self.failed |= {(key, server.name): server for key in keys}
            self.note(f"{', '.join(sorted(keys))} on {server.name} failed: {error}")

    def record(self, key, server, measured):
        known = self.seen.setdefault(key, measured.seen)
        if measured.seen != known:
            raise ValueError(f"it shows {measured.seen}, others {known}")
        self.seconds.setdefault(key, {}).setdefault(server.name, []).append(measured.seconds)

    def result(self, row, server, native):
        """What the table and the JSON say of one row on one filesystem, or None."""
        times = self.seconds.get(row.key, {}).get(server.name)
        beside = None if row.absolute else native.name
        if not times or {(row.key, server.name), (row.key, beside)} & self.failed.keys():
            return None
        ratio = None
        if beside:
            ratio = statistics.median(mine / theirs for mine, theirs
                                      in zip(times, self.seconds[row.key][beside]))
        figure = statistics.median(times) * 1000 if row.absolute else ratio
        limits = [asked.limit for asked in row.asked if asked.fits(server)]
        return {"seconds": times, "median": statistics.median(times), "ratio": ratio,
                "asked": min(limits, default=None),
                "reached": figure <= min(limits) if limits else None}


def rotated(servers, turn):
    """Who goes first changes from round to round."""
    first = turn % len(servers)
    return servers[first:] + servers[:first]


# --- what is measured -------------------------------------------------------------------------------


def chosen_servers(castore, variants, with_peers, note):
    """What this machine and this castore have."""
    servers = []
    for server in [Castore(castore, *variant.split("-")) if variant != "default" else Castore(castore)
                   for variant in variants] + (peers() if with_peers else []):
        lacking = server.lacks()
        if lacking:
            note(f"without {server.name}: {lacking}")
        else:
            servers.append(server)
    if not any(server.ours for server in servers):
        note("castore mount is measured without options")
        servers.insert(0, Castore(castore))
    return servers


def chosen_rows(groups, only, note):
    """Of each group the rows that are wanted and possible."""
    chosen = []
    for group in groups:
        rows = [row for row in group.rows if not only or group.key in only or row.key in only]
        for row in rows:
            lacking = [tool for tool in row.needs if not shutil.which(tool)]
            if lacking:
                note(f"without {row.title}: {lacking[0]} is not installed")
        rows = [row for row in rows if all(shutil.which(tool) for tool in row.needs)]
        if rows:
            chosen.append((group, rows))
    return chosen


# --- results ----------------------------------------------------------------------------------------


def duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def cell(row, result, judged):
    if result is None:
        return "-"
    figure = duration(result["median"]) if row.absolute else f"{result['ratio']:.2f}"
    if not judged or result["reached"] is None:
        return figure
    return f"{figure} {'ok' if result['reached'] else 'OVER'}"


def print_results(bench, rows, native, judged):
    others = [server for server in bench.servers if server is not native
              and any(bench.result(row, server, native) for _, row in rows)]
    lines = []
    for title, row in rows:
        known = bench.result(row, native, native)
        asked = [f"{asked.limit:g} ms" if row.absolute else str(asked) for asked in row.asked]
        lines.append([f"{title}: {row.title}", duration(known["median"]) if known else "-"]
                     + [cell(row, bench.result(row, server, native), judged) for server in others]
                     + [", ".join(asked)])
    print_table(["measured", native.name] + [server.name for server in others] + ["asked"], lines)
    for note in bench.notes:
        print(f"- {note}")


def written(bench, rows, native, about):
    return json.dumps(about | {
        "native": native.name,
        "servers": [{"name": server.name, "ours": server.ours} for server in bench.servers],
        "rows": [{"key": row.key, "group": title, "title": row.title, "absolute": row.absolute,
                  "asked": [dataclasses.asdict(asked) for asked in row.asked],
                  "results": {server.name: result for server in bench.servers
                              if (result := bench.result(row, server, native))}}
                 for title, row in rows],
        "notes": bench.notes,
    }, indent=1) + "\n"


# --- the run ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def workplace(scratch, signals):
    """A folder for one run, and its mounts; both are gone afterwards, whatever ends the run."""
    work = scratch / "mount_bench"
    lock = os.open(scratch, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stop(f"another run uses {scratch}")
    mounts = Mounts(work / "mounts", signals)
    remove(work)
    work.mkdir()
    try:
        yield work, mounts
    finally:
        with signals.hold():
            mounts.clear()
            remove(work)
            os.close(lock)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--castore", type=Path, default=CASTORE,
                        help="the program to measure (default: the release build)")
    parser.add_argument("--mount-load", type=Path, default=RELEASE / "bench/mount_load",
                        help="the program with the reading loops (default: the release build)")
    parser.add_argument("--scratch", type=Path, default=ROOT / "build/bench",
                        help="folder on the filesystem to measure; some 15 GiB are needed")
    parser.add_argument("--tree", type=Path, help="a kernel source to use instead of unpacking one")
    parser.add_argument("--rounds", type=int, help="of each comparison (default: 5)")
    parser.add_argument("--variants", default=",".join(VARIANTS),
                        help="ways to mount castore: IO-TRANSPORT, or 'default' for a mount without "
                             "options; with commas (default: %(default)s)")
    parser.add_argument("--no-peers", action="store_true", help="castore and the native filesystem alone")
    parser.add_argument("--only", action="append", metavar="NAME",
                        choices=[name for group in GROUPS
                                 for name in [group.key] + [row.key for row in group.rows]],
                        help="measure this group or row alone; may be repeated: %(choices)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE as well")
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds on tiny inputs: shows that everything runs, no figures")
    options = parser.parse_args()
    options.variants = options.variants.split(",")
    if unknown := set(options.variants) - {"default", *VARIANTS}:
        parser.error(f"argument --variants: not known: {', '.join(sorted(unknown))}")
    return options


def main():
    options = parse_options()
    castore = program(options.castore)
    loops = Loops(program(options.mount_load))
    if os.geteuid() != 0 or not os.path.exists("/dev/fuse") or not os.access(DROP_CACHES, os.W_OK):
        progress("skipped: needs root, /dev/fuse, and a kernel whose caches it may drop")
        raise SystemExit(SKIPPED)
    # Nothing of the caller's settings gets into the figures.
    for name in [name for name in os.environ if name.startswith(("GIT_", "CASTORE_"))
                 or name.endswith("_SERVICE_ADDR")]:
        del os.environ[name]
    os.environ |= {"LC_ALL": "C", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}

    sizes = QUICK if options.quick else FULL
    rounds = options.rounds or sizes.rounds
    options.scratch.mkdir(parents=True, exist_ok=True)
    scratch = options.scratch.resolve()
    signals = Signals()
    with workplace(scratch, signals) as (work, mounts):
        native = Native(work)
        bench = Bench([native], mounts, rounds)
        bench.servers += chosen_servers(castore, options.variants, not options.no_peers, bench.note)
        rows = []
        try:
            with uring_enabled(any(server.transport == "uring" for server in bench.servers)):
                for kind, rows_of_kind in chosen_rows(GROUPS, options.only, bench.note):
                    group = kind(work, sizes, castore, loops)
                    if kind is RealTree and (options.tree or not options.quick):
                        group.use(options.tree.resolve() if options.tree else kernel_tree(scratch))
                    rows += [(group.title, row) for row in rows_of_kind]
                    bench.measure(group, rows_of_kind)
                    group.remove()
        except BaseException:
            # What was measured until now took long enough.
            bench.note("stopped before the end: figures are of fewer rounds, or missing")
            print_results(bench, rows, native, judged=False)
            raise

    print_results(bench, rows, native, judged=not options.quick)
    if options.json:
        about = {"quick": options.quick, "rounds": rounds} | facts(castore, scratch)
        options.json.write_text(written(bench, rows, native, about))
    if any(server.ours for server in bench.failed.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
