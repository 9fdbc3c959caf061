# SPDX-License-Identifier: MIT OR Apache-2.0
"""What bench/mount.py measures: groups of rows over one source, in steps.

A step is what one filesystem does before the next has its turn: one row, or several that are
measured warm. It begins with a fresh mount and empty caches, so that the memory belongs to it
alone; before warm rows come passes that nobody times.
"""

import contextlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from harness import MIB, progress, remove, run
from mount_servers import Packed, drop_caches

SEED = 2025


@dataclass(frozen=True)
class Asked:
    """The most a row may take, of those castore mounts that fit."""

    limit: float
    io: str | None = None
    transport: str | None = None

    def fits(self, server):
        return (server.ours and self.io in (None, server.io)
                and self.transport in (None, server.transport))

    def __str__(self):
        return " ".join(word for word in (f"{self.limit:.2f}", self.io, self.transport) if word)


@dataclass(frozen=True)
class Row:
    key: str
    title: str
    asked: tuple[Asked, ...] = ()
    needs: tuple[str, ...] = ()  # programs
    absolute: bool = False  # milliseconds, instead of times native


class Measured(NamedTuple):
    seconds: float
    seen: str | None = None  # must be the same on every filesystem


@dataclass(frozen=True)
class Step:
    """Loads by the keys of their rows; each is called with the turn and where the source is shown."""

    loads: dict
    warm_up: object = None
    shown: bool = True


@dataclass(frozen=True)
class Sizes:
    rounds: int
    small_files: int
    top_folders: int
    folders_in_each: int
    big_file_bytes: int
    cold_reads: int
    warm_reads: int
    objects: int


FULL = Sizes(rounds=5, small_files=20_000, top_folders=20, folders_in_each=25,
             big_file_bytes=1024 * MIB, cold_reads=10_000, warm_reads=200_000, objects=1_000_000)
QUICK = Sizes(rounds=1, small_files=200, top_folders=2, folders_in_each=5,
              big_file_bytes=4 * MIB, cold_reads=100, warm_reads=1_000, objects=2_000)


class Turn:
    """One filesystem's turn at one step."""

    def __init__(self, server, packed, mounts):
        self.server = server
        self.packed = packed
        self.mounts = mounts

    @contextlib.contextmanager
    def shown(self):
        """The source, in a fresh mount, with nothing of it in memory."""
        with self.server.shown(self.packed, self.mounts) as path:
            drop_caches()
            yield path


class Loops:
    """The loops of the program mount_load: the median of the passes."""

    def __init__(self, program):
        self.program = program

    def __call__(self, load, passes, *arguments):
        command = [self.program, load, passes, *arguments]
        result = subprocess.run([str(word) for word in command], check=True, text=True,
                                stdout=subprocess.PIPE, start_new_session=True)
        lines = [line.split(maxsplit=1) for line in result.stdout.splitlines()]
        return Measured(statistics.median(float(line[0]) for line in lines), lines[0][1])


def median_of(passes, *pipeline, **options):
    """The median of the seconds that a pipeline takes."""
    taken = []
    for _ in range(passes):
        start = time.monotonic()
        run(*pipeline, **options)
        taken.append(time.monotonic() - start)
    return Measured(statistics.median(taken))


# --- groups ----------------------------------------------------------------------------------------


class Group:
    """Rows over one source.

    Each kind has a `key`, its `rows`, a `title` that says how much there is of it, `make`, which
    makes what all steps read, and the `steps`.
    """

    def __init__(self, work, sizes, castore, loops):
        self.work = work
        self.sizes = sizes
        self.loops = loops
        self.source = work / self.key
        self.packed = Packed(self.source, work, castore)

    def takes_part(self, _server):
        return True

    def remove(self):
        self.packed.remove()
        remove(self.source)


class SmallFiles(Group):
    """Many small files in not so many folders."""

    key = "small"
    rows = [
        Row("cold_walk", "cold walk + stat", (Asked(0.65, transport="uring"), Asked(0.85, transport="dev"))),
        Row("cold_read_2", "cold read of all, 2 threads",
            (Asked(0.45, "cached", "uring"), Asked(0.65, "cached", "dev"))),
        Row("warm_walk", "warm walk + stat", (Asked(1.0),)),
        Row("warm_small_tar", "warm tar of all", (Asked(1.15, "cached"),)),
        Row("warm_read_1", "warm read of all, 1 thread", (Asked(1.35, "cached"),)),
        Row("warm_read_2", "warm read of all, 2 threads", (Asked(1.35, "cached"),)),
        Row("warm_open", "warm open, fstat, close"),
    ]

    @property
    def title(self):
        return f"{self.sizes.small_files:,} small files"

    def make(self):
        progress(f"making {self.title}")
        chance = random.Random(SEED)
        folders = [Path(f"{top:02}") / f"{sub:02}" for top in range(self.sizes.top_folders)
                   for sub in range(self.sizes.folders_in_each)]
        each = self.sizes.small_files // len(folders)
        paths = [folder / f"{number:03}.bin" for folder in folders for number in range(each)]
        for folder in folders:
            (self.source / folder).mkdir(parents=True)
        for path in paths:
            size = chance.randint(4 * 1024, 64 * 1024)
            (self.source / path).write_bytes(chance.randbytes(size))
        self.paths = self.work / "small.paths"
        self.paths.write_text("".join(f"{path}\n" for path in paths))

    def remove(self):
        super().remove()
        remove(self.work / "small.paths")

    def warm_up(self, path):
        self.loops("walk", 1, path)
        self.loops("read", 1, path, self.paths, 1)

    def steps(self):
        def walk(passes):
            return lambda _turn, path: self.loops("walk", passes, path)

        def read(passes, threads):
            return lambda _turn, path: self.loops("read", passes, path, self.paths, threads)

        return [
            Step({"cold_walk": walk(1)}),
            Step({"cold_read_2": read(1, 2)}),
            Step({
                "warm_walk": walk(7),
                "warm_small_tar": lambda _turn, path: median_of(3, *tar(path)),
                "warm_read_1": read(5, 1),
                "warm_read_2": read(5, 2),
                "warm_open": lambda _turn, path: self.loops("open", 7, path, self.paths),
            }, self.warm_up),
        ]


class BigFile(Group):
    """One large file."""

    key = "big"
    rows = [
        Row("cold_dd", "cold dd, blocks of 1 MiB", (Asked(1.05, "passthrough"),)),
        Row("cold_random", "cold random reads of 4 KiB", (Asked(1.2, "passthrough"),)),
        Row("cold_mmap", "cold mmap, every page", (Asked(1.05, "passthrough"),)),
        Row("warm_dd", "warm dd, blocks of 1 MiB", (Asked(1.05, "passthrough"), Asked(1.3, "cached"))),
        Row("warm_random", "warm random reads of 4 KiB", (Asked(1.2, "passthrough"),)),
        Row("warm_mmap", "warm mmap, every page", (Asked(1.05, "passthrough"), Asked(1.3, "cached"))),
    ]
    name = "data.bin"

    @property
    def title(self):
        return f"file of {self.sizes.big_file_bytes // MIB:,} MiB"

    def make(self):
        progress(f"making a {self.title}")
        chance = random.Random(SEED)
        self.source.mkdir(parents=True)
        with open(self.source / self.name, "wb") as file:
            for _ in range(self.sizes.big_file_bytes // MIB):
                file.write(chance.randbytes(MIB))

    def warm_up(self, path):
        self.loops("mmap", 1, path / self.name)

    def steps(self):
        def dd(passes):
            return lambda _turn, path: median_of(
                passes, ["dd", f"if={path / self.name}", "of=/dev/null", "bs=1M", "status=none"])

        def reads(passes, count):
            return lambda _turn, path: self.loops("random", passes, path / self.name, count)

        def mapped(passes):
            return lambda _turn, path: self.loops("mmap", passes, path / self.name)

        return [
            Step({"cold_dd": dd(1)}),
            Step({"cold_random": reads(1, self.sizes.cold_reads)}),
            Step({"cold_mmap": mapped(1)}),
            Step({"warm_dd": dd(5), "warm_random": reads(3, self.sizes.warm_reads),
                  "warm_mmap": mapped(5)}, self.warm_up),
        ]


class RealTree(Group):
    """The kernel's source, and what people do with it."""

    key = "tree"
    rows = [
        Row("cold_find", "cold find -ls"),
        Row("cold_grep", "cold grep -r"),
        Row("warm_find", "warm find -ls"),
        Row("warm_tar", "warm tar"),
        Row("warm_grep", "warm grep -r"),
        Row("git_status", "git status over an overlay", needs=("git",)),
        Row("defconfig", "make defconfig, built elsewhere", needs=("make", "gcc", "flex", "bison")),
    ]

    is_toy = True

    @property
    def title(self):
        return "toy tree" if self.is_toy else "kernel source"

    def use(self, tree):
        self.is_toy = False
        self.source = self.packed.source = tree

    def make(self):
        if self.is_toy:
            make_toy_tree(self.source)
        progress(f"making a git repository of {self.source}")
        run(self.git(self.source, "init", "-q"))
        run(self.git(self.source, "-c", "core.looseCompression=0", "-c", "core.fsync=none",
                     "add", "-A", "-f", "."))
        run(self.git(self.source, "-c", "user.name=bench", "-c", "user.email=bench@localhost",
                     "commit", "-q", "-m", "tree"))

    def remove(self):
        self.packed.remove()
        for name in ("git", "upper", "overlay_work", "built"):
            remove(self.work / name)
        if self.is_toy:
            remove(self.source)

    def git(self, tree, *words):
        return ["git", "-C", tree, f"--git-dir={self.work / 'git'}", f"--work-tree={tree}", *words]

    def git_status(self, turn, tree):
        """The tree is the lower layer of an overlay, as it is when somebody works on it."""
        upper, work = self.work / "upper", self.work / "overlay_work"
        for folder in (upper, work):
            remove(folder)
            folder.mkdir()
        # Each filesystem has its own inode numbers and times, so each gets its own index, which a
        # first status fills.
        index = self.work / "git" / f"index-{turn.server.name}"
        if not index.exists():
            shutil.copy(self.work / "git/index", index)
        environment = os.environ | {"GIT_INDEX_FILE": str(index)}
        layers = f"lowerdir={tree},upperdir={upper},workdir={work}"
        with turn.mounts.mounted(["mount", "-t", "overlay", "-o", layers, "overlay"], "overlay") as top:
            status = self.git(top, "status", "--porcelain")
            changed = subprocess.run([str(word) for word in status], check=True, env=environment,
                                     stdout=subprocess.PIPE, start_new_session=True).stdout
            if changed:
                raise ValueError(f"git sees changes over {turn.server.name}: {changed[:200]!r}")
            return median_of(3, status, env=environment)

    def defconfig(self, _turn, tree):
        built = self.work / "built"
        remove(built)
        built.mkdir()
        return median_of(1, ["make", "-s", "-C", tree, f"O={built}", "defconfig"])

    def steps(self):
        def find(passes):
            return lambda _turn, path: median_of(passes, ["find", path, "-ls"])

        def grep(_turn, path):
            # No file has the word, so all are read to their ends.
            return median_of(1, ["grep", "-r", "castore_has_no_such_word", path], codes=(1,))

        return [
            Step({"cold_find": find(1)}),
            Step({"cold_grep": grep}),
            Step({
                "warm_find": find(3),
                "warm_tar": lambda _turn, path: median_of(1, *tar(path)),
                "warm_grep": grep,
                "git_status": self.git_status,
                "defconfig": self.defconfig,
            }, lambda path: run(*tar(path))),
        ]


class Readiness(Group):
    """How long `castore mount` takes to return, with many objects in the store."""

    key = "ready"
    rows = [
        Row("ready", "mount ready", (Asked(30),), absolute=True),
        Row("cold_ready", "cold mount ready", absolute=True),
    ]

    def takes_part(self, server):
        return server.ours

    @property
    def title(self):
        return f"store of {self.sizes.objects:,} objects"

    def make(self):
        progress(f"making a {self.title}")
        self.packed.digest = ingested_small_files(self.packed.castore, self.sizes.objects)

    def seconds_to_mount(self, turn):
        start = time.monotonic()
        with turn.server.shown(turn.packed, turn.mounts):
            return time.monotonic() - start

    def ready(self, turn, _path):
        self.seconds_to_mount(turn)
        return Measured(statistics.median(self.seconds_to_mount(turn) for _ in range(5)))

    def cold_ready(self, turn, _path):
        drop_caches()
        return Measured(self.seconds_to_mount(turn))

    def steps(self):
        return [Step({"ready": self.ready}, shown=False),
                Step({"cold_ready": self.cold_ready}, shown=False)]


def tar(path):
    """tar sees through an output of /dev/null and then reads nothing."""
    return ["tar", "-C", path, "-cf", "-", "."], ["cat"]


def make_toy_tree(folder):
    """Just enough for every command of the rows of the tree."""
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "text").write_text(f"{name}\n" * 1000)
    (folder / "link").symlink_to("a/text")
    (folder / "Makefile").write_text("defconfig:\n\tcat a/text >$(O)/.config\n")


def ingested_small_files(castore, count):
    """Streams an archive of files that are all different, 1,000 in a folder, into a store."""
    command = [str(word) for word in [*castore, "ingest", "--json", "-"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          start_new_session=True) as process:
        with tarfile.open(fileobj=process.stdin, mode="w|", format=tarfile.USTAR_FORMAT) as archive:
            for number in range(count):
                content = f"file number {number}\n".encode()
                entry = tarfile.TarInfo(f"files/{number // 1000:04}/{number % 1000:03}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        process.stdin.close()
        printed = process.stdout.read()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(printed)["digest"]
