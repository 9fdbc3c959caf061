# SPDX-License-Identifier: MIT OR Apache-2.0
"""The filesystems that bench/mount.py compares, and mounts that never outlive the run."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import output_of, progress, remove, run

ENABLE_URING = Path("/sys/module/fuse/parameters/enable_uring")
DROP_CACHES = Path("/proc/sys/vm/drop_caches")
UNMOUNT_SECONDS = 5


class Signals:
    """The first SIGINT, SIGTERM or SIGHUP ends the program, but never in the middle of a mount."""

    def __init__(self):
        self.held = 0
        self.arrived = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.arrive)

    def arrive(self, number, _frame):
        if self.arrived is None:
            self.arrived = number
            if not self.held:
                raise SystemExit(128 + number)

    @contextlib.contextmanager
    def hold(self):
        """Signals that arrive inside have their effect at the end."""
        early = self.arrived
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1
        if self.arrived != early and not self.held:
            raise SystemExit(128 + self.arrived)


class Mounts:
    """Mount points in one folder of the run."""

    def __init__(self, folder, signals):
        self.folder = folder
        self.signals = signals
        self.clear()

    def points(self):
        table = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        points = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), line.split()[4])
                  for line in table.splitlines()]
        return [point for point in points if Path(point).is_relative_to(self.folder)]

    def clear(self):
        """Ends every mount in the folder, also those of a run that was killed."""
        with self.signals.hold():
            for point in reversed(self.points()):
                unmount(point)

    @contextlib.contextmanager
    def mounted(self, command, name):
        """The mount that a command makes; its last word is the mount point, which is given here."""
        point = self.folder / name
        with self.signals.hold():
            point.mkdir(parents=True, exist_ok=True)
            run(list(command) + [point])
        try:
            yield point
        finally:
            with self.signals.hold():
                unmount(str(point))


def unmount(point):
    # A process that was killed a moment ago may still be in there.
    deadline = time.monotonic() + UNMOUNT_SECONDS
    while subprocess.run(["umount", point], stderr=subprocess.DEVNULL).returncode != 0:
        if time.monotonic() > deadline:
            progress(f"{point} is busy: unmounting it lazily")
            subprocess.run(["umount", "--lazy", point])
            break
        time.sleep(0.05)
    # Pages that a server still maps cannot be dropped, so the next turn waits for its end.
    while server_of(point) and time.monotonic() < deadline:
        time.sleep(0.01)


def server_of(point):
    """The process whose command line ends with the mount point."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if process.read_bytes().endswith(b"\0" + os.fsencode(point) + b"\0"):
                return process.parent.name
    return None


def drop_caches():
    os.sync()
    DROP_CACHES.write_text("3\n")


@contextlib.contextmanager
def uring_enabled(wanted):
    """FUSE over io_uring is off by default; it is allowed for the run and then as it was before."""
    before = ENABLE_URING.read_text().strip() if wanted else "Y"
    try:
        if before != "Y":
            ENABLE_URING.write_text("Y\n")
        yield
    finally:
        if before != "Y":
            ENABLE_URING.write_text(before + "\n")


class Packed:
    """A folder, and the same folder in the form each filesystem reads, made when first asked for."""

    def __init__(self, source, work, castore):
        self.source = source
        self.work = work
        self.castore = [castore, "--store", work / "store"]

    @functools.cached_property
    def digest(self):
        progress(f"storing {self.source}")
        command = [str(word) for word in [*self.castore, "ingest", "--json", self.source]]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["digest"]

    @functools.cached_property
    def erofs(self):
        progress(f"making an EROFS image of {self.source}")
        image = self.work / "erofs.image"
        run(["mkfs.erofs", "--quiet", image, self.source])
        return image

    @functools.cached_property
    def squashfs(self):
        progress(f"making a squashfs image of {self.source}")
        image = self.work / "squashfs.image"
        uncompressed = ["-noI", "-noD", "-noF", "-noX", "-noId"]
        run(["mksquashfs", self.source, image, "-quiet", "-no-progress", "-noappend"] + uncompressed)
        return image

    def remove(self):
        for name in ("store", "erofs.image", "squashfs.image"):
            remove(self.work / name)


class Native:
    """The folder itself; everything is measured against it."""

    ours = False
    io = transport = None

    def __init__(self, folder):
        self.name = output_of("findmnt", "-no", "FSTYPE", "-T", folder) or "native"

    def lacks(self):
        return None

    def prepare(self, packed):
        pass

    def fell_back(self, _point):
        return None

    @contextlib.contextmanager
    def shown(self, packed, _mounts):
        yield packed.source


class Castore:
    ours = True

    def __init__(self, castore, io=None, transport=None):
        self.castore = castore
        self.io = io
        self.transport = transport
        self.name = f"{io} {transport}" if io else "default"

    def lacks(self):
        known = output_of(self.castore, "mount", "--help")
        for option, value in (("--io", self.io), ("--transport", self.transport)):
            if value and option not in known:
                return f"this castore has no {option}"
        if self.transport == "uring" and not ENABLE_URING.exists():
            return "this kernel has no FUSE over io_uring"
        return None

    def prepare(self, packed):
        _ = packed.digest

    def command(self, packed):
        options = [f"--io={self.io}", f"--transport={self.transport}"] if self.io else []
        return packed.castore + ["mount", "--log-file", packed.work / "castore.log", *options,
                                 "--root", packed.digest]

    def shown(self, packed, mounts):
        return mounts.mounted(self.command(packed), "castore")

    def fell_back(self, point):
        """What the mount uses instead of what it was asked for, where castore can tell."""
        try:
            stats = json.loads(output_of(self.castore, "stats", "--json", point))
        except ValueError:
            return None
        for key, wanted in (("read_path", self.io), ("transport", self.transport)):
            if wanted and wanted not in str(stats.get(key, wanted)):
                return str(stats[key])
        return None


class Peer:
    """Another read-only filesystem, made by a tool and mounted by a command."""

    ours = False
    io = transport = None

    def __init__(self, name, form, tools, command):
        self.name = name
        self.form = form
        self.tools = tools
        self.command = command

    def lacks(self):
        missing = [tool for tool in self.tools if not shutil.which(tool)]
        return f"{missing[0]} is not installed" if missing else None

    def prepare(self, packed):
        _ = getattr(packed, self.form)

    def fell_back(self, _point):
        return None

    def shown(self, packed, mounts):
        return mounts.mounted([*self.command, getattr(packed, self.form)], self.form)


def peers():
    low_level = "squashfuse_ll" if shutil.which("squashfuse_ll") else "squashfuse"
    return [
        Peer("EROFS", "erofs", ["mkfs.erofs"], ["mount", "-t", "erofs", "-o", "loop,ro"]),
        Peer("squashfs", "squashfs", ["mksquashfs"], ["mount", "-t", "squashfs", "-o", "loop,ro"]),
        Peer(low_level, "squashfs", ["mksquashfs", low_level], [low_level]),
    ]
