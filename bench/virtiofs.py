#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Measures reading in a guest through castore virtiofs next to virtiofsd, on the same files.

One emulated guest with a device of each; rounds in which both have their turn at each row, so that a
slow minute of the machine hits both; who goes first changes. The guest's caches are dropped and the
device is mounted anew before what is called cold; the host's caches stay warm for both. Times are
taken on the host around a command in the guest. See bench/README.md.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import CASTORE, MIB, ROOT, facts, print_table, program, progress

sys.path.insert(0, str(ROOT / "tools" / "vm"))
import guest as vm  # noqa: E402

SKIPPED = 77
PEERS = (Path("/opt/virtiofsd/bin/virtiofsd"), Path("/usr/lib/qemu/virtiofsd"))
SETTLE_S = 60  # for a daemon to listen


@dataclasses.dataclass(frozen=True)
class Sizes:
    rounds: int
    large_mib: int
    names: int
    small_files: int


FULL = Sizes(rounds=5, large_mib=256, names=10_000, small_files=2_000)
QUICK = Sizes(rounds=1, large_mib=8, names=200, small_files=100)


@dataclasses.dataclass(frozen=True)
class Row:
    title: str
    script: str  # in the guest, in the folder that is shown
    cold: bool
    asked: float  # the most it may take, of the peer's time


ROWS = (
    Row("sequential read, first", "dd if=large of=/dev/null bs=1M 2>/dev/null", True, 1),
    Row("sequential read, again", "dd if=large of=/dev/null bs=1M 2>/dev/null", False, 1),
    Row("stat of names, cold", "cd names; xargs stat -c %s </tmp/names >/dev/null", True, 0.5),
    Row("stat of names, warm", "cd names; xargs stat -c %s </tmp/names >/dev/null", False, 1),
    Row("cat of small files, cold", "cd small; xargs cat </tmp/small >/dev/null", True, 0.5),
    Row("cat of small files, warm", "cd small; xargs cat </tmp/small >/dev/null", False, 1),
)


def make_source(folder, sizes):
    (folder / "names").mkdir(parents=True)
    (folder / "small").mkdir()
    with open(folder / "large", "wb") as file:
        for _ in range(sizes.large_mib):
            file.write(os.urandom(MIB))
    for number in range(sizes.names):
        (folder / "names" / str(number)).touch()
    for number in range(sizes.small_files):
        (folder / "small" / str(number)).write_bytes(os.urandom(1024 + number * 7 % 15000))


@contextlib.contextmanager
def daemon(command, socket, log):
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        deadline = time.monotonic() + SETTLE_S
        while not os.path.exists(socket):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"virtiofs.py: {command[0]} does not listen:\n{Path(log).read_text()}")
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def peer_command(peer, source, socket):
    """virtiofsd with the cache policy for files that do not change, and what it is called here."""
    if "qemu" in peer.parts:
        return ([str(peer), "-f", f"--socket-path={socket}", "-o", f"source={source}", "-o", "cache=always"],
                "virtiofsd of QEMU 7.2, cache=always")
    version = subprocess.run([peer, "--version"], capture_output=True, text=True, check=True).stdout
    return ([str(peer), f"--socket-path={socket}", f"--shared-dir={source}", "--cache=always"],
            f"{version.strip()}, cache=always")


class Bench:
    def __init__(self, guest, tags):
        self.guest = guest
        self.tags = tags
        self.seconds = {(row.title, tag): [] for row in ROWS for tag in tags}

    def run(self, script):
        status, output = self.guest.run(script, timeout_s=600)
        if status != 0:
            raise SystemExit(f"virtiofs.py: in the guest, {script!r} ended with {status}: {output!r}")

    def turn(self, tag, row):
        if row.cold:
            self.run(f"umount /mnt/{tag} 2>/dev/null; echo 3 >/proc/sys/vm/drop_caches; "
                     f"mkdir -p /mnt/{tag}; mount -t virtiofs {tag} /mnt/{tag}")
        begin = time.monotonic()
        self.run(f"cd /mnt/{tag} && {row.script}")
        self.seconds[row.title, tag].append(time.monotonic() - begin)

    def measure(self, rounds):
        for number in range(rounds):
            progress(f"round {number + 1} of {rounds}")
            # A cold row and its warm one belong together.
            for first in range(0, len(ROWS), 2):
                for tag in self.tags if number % 2 == 0 else reversed(self.tags):
                    for row in ROWS[first:first + 2]:
                        self.turn(tag, row)


def results(bench, ours, peer):
    lines = []
    for row in ROWS:
        mine, theirs = (statistics.median(bench.seconds[row.title, tag]) for tag in (ours, peer))
        lines.append({"row": row.title, "castore_s": mine, "peer_s": theirs, "ratio": mine / theirs,
                      "asked": row.asked})
    return lines


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--castore", type=Path, default=CASTORE, metavar="PROGRAM")
    parser.add_argument("--virtiofsd", type=Path, metavar="PROGRAM",
                        help=f"default: the first of {', '.join(map(str, PEERS))}")
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR")
    parser.add_argument("--queues", type=int, default=2, help="request queues, and the guest's processors")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE as well")
    parser.add_argument("--quick", action="store_true",
                        help="tiny inputs: shows that everything runs, no figures")
    return parser.parse_args()


def main():
    options = parse_options()
    castore = program(options.castore)
    peer = options.virtiofsd or next((path for path in PEERS if path.exists()), None)
    try:
        vm.check()
        if peer is None:
            raise vm.Missing("virtiofsd (`cargo install virtiofsd --version 1.14.0 --root /opt/virtiofsd`)")
        if os.geteuid() != 0:
            raise vm.Missing("root, for virtiofsd")
    except vm.Missing as missing:
        progress(f"skipped: needs {missing}")
        raise SystemExit(SKIPPED)
    sizes = QUICK if options.quick else FULL
    rounds = options.rounds or sizes.rounds
    work = Path(tempfile.mkdtemp(prefix="castore-bench-", dir=options.scratch))
    try:
        lines, peer_name = measured(castore, peer, work, sizes, rounds, options.queues)
    finally:
        shutil.rmtree(work)
    print(f"beside: {peer_name}")
    print_table(["row", "castore s", "virtiofsd s", "ratio", "asked"],
                [[line["row"], f"{line['castore_s']:.3f}", f"{line['peer_s']:.3f}", f"{line['ratio']:.2f}",
                  f"{line['asked']:.2f}"] for line in lines])
    if options.quick:
        print("--quick: no figures")
    if options.json:
        about = {"quick": options.quick, "rounds": rounds, "peer": peer_name, "queues": options.queues}
        options.json.write_text(json.dumps(about | facts(castore, options.scratch) | {"rows": lines}, indent=1))


def measured(castore, peer, work, sizes, rounds, queues):
    progress("making the files")
    make_source(work / "source", sizes)
    os.environ["CASTORE_STORE"] = str(work / "store")
    root = subprocess.run([castore, "import", work / "source"], check=True, capture_output=True,
                          text=True).stdout.strip()
    sockets = {"castore": str(work / "castore.sock"), "peer": str(work / "peer.sock")}
    command, peer_name = peer_command(peer, work / "source", sockets["peer"])
    ours = [str(castore), "virtiofs", "--root", root, "--queues", str(queues), sockets["castore"]]
    with daemon(ours, sockets["castore"], work / "castore.log"), \
            daemon(command, sockets["peer"], work / "peer.log"):
        # The program from QEMU serves one request queue.
        devices = [vm.Device(sockets["castore"], "castore", queues),
                   vm.Device(sockets["peer"], "peer", 1 if "qemu" in peer.parts else queues)]
        with vm.Guest(devices, work, processors=queues, memory="1G", limit_s=120) as guest:
            bench = Bench(guest, ["castore", "peer"])
            bench.run(f"seq 0 {sizes.names - 1} >/tmp/names; seq 0 {sizes.small_files - 1} >/tmp/small")
            bench.measure(rounds)
            return results(bench, "castore", "peer"), peer_name


if __name__ == "__main__":
    main()
