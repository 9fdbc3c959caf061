#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""How much a virtio-fs device answers with one, two and four request queues, without a machine around it.

    bench/guest_queues.py [--scratch FOLDER] [--rounds N] [--quick] [--json FILE]

Needs no privilege. --quick shows that everything runs, and measures nothing. See bench/README.md.
"""

import argparse
import dataclasses
import json
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from harness import CASTORE, MIB, RELEASE, facts, print_table, program, progress

GUEST_LOAD = RELEASE / "bench/guest_load"
QUEUES = (1, 2, 4)


@dataclasses.dataclass(frozen=True)
class Sizes:
    rounds: int
    seconds: float  # of a turn
    names: int
    large_mib: int


FULL = Sizes(rounds=7, seconds=2, names=10_000, large_mib=256)
QUICK = Sizes(rounds=1, seconds=0.05, names=100, large_mib=2)


@dataclasses.dataclass(frozen=True)
class Load:
    title: str
    word: str
    unit: str
    per_request: float  # of the unit

    def shown(self, value):
        return f"{value:.2f} {self.unit}" if value < 100 else f"{value:,.0f} {self.unit}"


LOADS = (
    Load("GETATTR of one file", "getattr", "requests/s", 1),
    Load("LOOKUP of names in turn", "lookup", "requests/s", 1),
    Load("READ of 1 MiB", "read", "GB/s", MIB / 1e9),
)


def answer_of(*command):
    return subprocess.run([str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def measure(guest_load, store, sizes, rounds):
    """What is answered in a second, for each load and number of queues in each round."""
    digest = answer_of(guest_load, "make", store, sizes.names, sizes.large_mib)
    turns = [(load, queues) for load in LOADS for queues in QUEUES]
    found = {turn: [] for turn in turns}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        first = number % len(turns)
        for load, queues in turns[first:] + turns[:first]:
            requests, seconds = answer_of(guest_load, load.word, store, digest, queues, sizes.seconds).split()
            found[load, queues].append(int(requests) / float(seconds) * load.per_request)
    return found


def results(found):
    rows = []
    for (load, queues), values in found.items():
        beside = [value / one for value, one in zip(values, found[load, QUEUES[0]])]
        rows.append({"load": load.word, "queues": queues, "unit": load.unit, "median": statistics.median(values),
                     "beside_one_queue": statistics.median(beside), "rounds": values})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), metavar="FOLDER")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE as well")
    parser.add_argument("--quick", action="store_true", help="moments and tiny inputs: no figures")
    given = parser.parse_args()
    guest_load = program(GUEST_LOAD)
    sizes = QUICK if given.quick else FULL
    given.scratch.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="castore-bench-", dir=given.scratch))
    try:
        rows = results(measure(guest_load, work / "store", sizes, given.rounds or sizes.rounds))
        about = facts(CASTORE, work)
    finally:
        shutil.rmtree(work)
    titles = {load.word: load for load in LOADS}
    print_table(["measured", "queues", "answered", "beside one queue"],
                [[titles[row["load"]].title, str(row["queues"]), titles[row["load"]].shown(row["median"]),
                  f"{row['beside_one_queue']:.2f}"] for row in rows])
    if given.quick:
        print("--quick: no figures")
    if given.json:
        given.json.write_text(json.dumps({"quick": given.quick, "facts": about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
