#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How much memory the server of a mount takes while a program walks a tree of millions of entries, and how much of it
it gives back when the kernel forgets them.

    bench/mount_memory.py --scratch FOLDER [--entries N] [--quick] [--json FILE]

Needs root, to mount and to drop caches, and in the kernel about 1.2 KiB for each entry. --quick shows that everything
runs, and measures nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from harness import CASTORE, MIB, RELEASE, facts, output_of, print_table, program, progress, remove, stop
from mount_servers import DROP_CACHES, Mounts, Signals, server_of

WIDE_STORE = RELEASE / "bench/wide_store"
ENTRIES = 5_000_000
QUICK_ENTRIES = 50_000
PER_FOLDER = 1000
LIMIT_MIB = 300
READY_LIMIT_SECONDS = 0.030
FORGET_SECONDS = 120
READY_ROUNDS = 5


def memory_of(pid):
    """Bytes: resident now, at most so far, and of that now what the process has for itself and what it maps of files."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key in ("VmRSS", "VmHWM", "RssAnon", "RssFile"):
            found[key] = int(value.split()[0]) * 1024
    return found


def stats_of(castore, point):
    return json.loads(output_of(castore, "stats", "--json", point))


def walk(point, sample):
    """Looks at every entry, as find does; calls `sample` meanwhile."""
    process = subprocess.Popen(["find", point, "-size", "+1G"], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        sample()
        time.sleep(0.1)
    if process.returncode != 0:
        stop("find failed")


def drop_nodes(castore, point):
    """Has the kernel forget what it knows of the mount, as far as it does."""
    deadline = time.monotonic() + FORGET_SECONDS
    nodes = stats_of(castore, point)["nodes"]
    while time.monotonic() < deadline:
        DROP_CACHES.write_text("2\n")
        time.sleep(0.5)
        before, nodes = nodes, stats_of(castore, point)["nodes"]
        if nodes in (0, before):
            break
    return nodes


def measure(castore, digest, mounts, work, options):
    command = [castore, "--store", work / "store", "mount", "--root", digest, "--log-file", work / "log",
               "--transport=dev", *options]
    ready = []
    for _ in range(READY_ROUNDS):
        begin = time.monotonic()
        with mounts.mounted(command, "memory"):
            ready.append(time.monotonic() - begin)
    with mounts.mounted(command, "memory") as point:
        pid = server_of(point)
        found = {"ready_seconds": sorted(ready)[len(ready) // 2], "idle": memory_of(pid)}
        highest = dict(found["idle"])

        def sample():
            for key, value in memory_of(pid).items():
                highest[key] = max(highest[key], value)

        begin = time.monotonic()
        walk(point, sample)
        found["walk_seconds"] = time.monotonic() - begin
        sample()
        found["walk"] = highest
        found["walk_nodes"] = stats_of(castore, point)["nodes"]
        found["left_nodes"] = drop_nodes(castore, point)
        found["dropped"] = memory_of(pid)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, default=RELEASE / "bench-memory")
    parser.add_argument("--castore", type=Path, default=CASTORE)
    parser.add_argument("--entries", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if os.geteuid() != 0:
        stop("root is needed to mount and to drop caches")
    castore, wide_store = program(given.castore), program(WIDE_STORE)
    entries = given.entries or (QUICK_ENTRIES if given.quick else ENTRIES)
    work = given.scratch.resolve() / "mount-memory"
    signals = Signals()
    mounts = Mounts(work, signals)
    remove(work)
    work.mkdir(parents=True)
    try:
        progress(f"writing a tree of {entries} entries")
        digest = subprocess.run([wide_store, work / "store", str(entries), str(PER_FOLDER)], check=True, text=True,
                                stdout=subprocess.PIPE).stdout.strip()
        progress("mounting, walking, dropping caches")
        result = measure(castore, digest, mounts, work, [])
    finally:
        mounts.clear()
        remove(work)
    result |= {"entries": entries, "facts": facts(castore, given.scratch)}
    if result["walk_nodes"] < entries:
        stop(f"the server knew {result['walk_nodes']} nodes after a walk over {entries} entries")
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")

    def row(name, memory, nodes, asked):
        return [name, *(f"{memory[key] / MIB:.1f} MiB" for key in ("VmRSS", "RssAnon", "RssFile")), str(nodes), asked]

    print_table(["server", "resident", "its own", "mapped files", "nodes", "asked"], [
        row("idle", result["idle"], 0, ""),
        row(f"highest during find over {entries:,} entries", result["walk"], result["walk_nodes"],
            f"below {LIMIT_MIB} MiB"),
        row("after dropping caches", result["dropped"], result["left_nodes"], "close to idle"),
    ])
    print(f"\nfind took {result['walk_seconds']:.1f} s; the mount was ready after {result['ready_seconds'] * 1000:.0f} ms "
          f"(asked: {READY_LIMIT_SECONDS * 1000:.0f} ms)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
