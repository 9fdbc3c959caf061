#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a Linux guest sees of a store through castore virtiofs: one guest, booted once.

The guest has two devices with two request queues each: one shows all registered paths and lets its
root be listed, the other, of a daemon of its own, does not. Each check runs in the guest and is
compared with the source on this side.

  CASTORE=PROGRAM virtiofs_test.py      exit code 77: this machine lacks what is named
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools" / "vm"))
import guest as vm  # noqa: E402

CASTORE = os.environ.get("CASTORE", "castore")
SKIPPED = 77
REAL_TREE = Path("/usr/include")
PROGRAM = "sort"  # with libraries, and in every Debian
LARGE_BYTES = 1044480
LISTED = "listed"
HIDDEN = "hidden"


def castore(*arguments, **options):
    done = subprocess.run([CASTORE, *arguments], check=True, capture_output=True, text=True, **options)
    return done.stdout.strip()


def write(path, content, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def make_small_tree(folder):
    """What peers test with, and what is legal and unusual."""
    write(folder / "blob", b"\0\1")
    write(folder / "hello", b"#!/bin/sh\necho Hello, World!\n", 0o755)
    write(folder / "twin", b"#!/bin/sh\necho Hello, World!\n")
    write(folder / "large", bytes(i * i >> 8 & 0xff for i in range(LARGE_BYTES)))
    (folder / "link").symlink_to("blob")
    (folder / "nowhere").symlink_to("/nix/store/somewhereelse")
    (folder / "longest").symlink_to("t" * 4095)
    write(folder / "with-keep" / ".keep", b"")
    write(folder / "complicated" / ".keep", b"")
    write(folder / "complicated" / "keep" / ".keep", b"")
    (folder / "complicated" / "aa").symlink_to("/nix/store/somewhereelse")
    for name in (b"\xff\xfe", b"n" * 255, b"new\nline", b" "):
        write(Path(os.fsdecode(os.fsencode(folder / "names") + b"/" + name)), b"content of " + name)
    for number in range(5000):
        write(folder / "many" / f"{number:04}", b"")


def make_closure(folder):
    """A program and all it loads, as a tree of its own."""
    write(folder / "bin" / PROGRAM, Path(shutil.which(PROGRAM)).read_bytes(), 0o755)
    for library in vm.libraries_of(shutil.which(PROGRAM)):
        write(folder / "lib" / Path(library).name, Path(library).read_bytes(), 0o755)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def source_manifest(folder):
    """Of each name below a folder: what it is, as castore keeps it."""
    shown = {}
    for parent, folders, files in os.walk(os.fsencode(folder)):
        for name in folders + files:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                what = ("symlink", 0o444, os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                mode = 0o555 if status.st_mode & 0o100 else 0o444
                what = ("file", mode, sha256(Path(os.fsdecode(path)).read_bytes()))
            else:
                what = ("directory", 0o555, None)
            shown[os.path.relpath(path, os.fsencode(folder))] = what
    return shown


def archive_manifest(archive):
    """The same of a tar archive."""
    shown = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            if member.issym():
                # tar gives links whatever mode they have.
                what = ("symlink", 0o444, os.fsencode(member.linkname))
            elif member.isreg():
                what = ("file", member.mode, sha256(members.extractfile(member).read()))
            elif member.isdir():
                what = ("directory", member.mode, None)
            else:
                what = (f"type {member.type}", member.mode, None)
            shown[os.fsencode(member.name).removeprefix(b"./")] = what
    shown.pop(b".", None)
    return shown


class Checks:
    def __init__(self, guest, small, include, include_source, closure):
        self.guest = guest
        self.small = f"/{LISTED}/{small}"
        self.small_name = small
        self.include = include
        self.include_source = include_source
        self.closure = f"/{LISTED}/{closure}"

    def run(self, script, status=0, timeout_s=120):
        code, output = self.guest.run(script, timeout_s)
        assert code == status, f"{script!r} ended with {code}: {output[-2000:]!r}"
        return output

    def fails(self, script, message):
        code, output = self.guest.run(script)
        assert code != 0 and message in output, f"{script!r}: {code}, {output[-500:]!r}"

    def value(self, script):
        return self.run(script).decode().strip()

    def expect(self, script, wanted):
        got = self.value(script)
        assert got == wanted, f"{script!r} gives {got!r}, not {wanted!r}"

    # Each test_ method is a claim.

    def test_mounted_read_only_as_virtiofs(self):
        for place in (LISTED, HIDDEN):
            line = self.value(f"grep ' /{place} ' /proc/mounts")
            assert line.split()[:3] == [place, f"/{place}", "virtiofs"], line
        self.fails(f"touch {self.small}/new", b"Read-only file system")

    def test_the_root_is_listed_where_that_was_asked_for(self):
        names = self.value(f"ls /{LISTED}").split()
        assert self.small_name in names and self.include in names and len(names) == 3, names

    def test_the_root_is_not_listed_elsewhere_but_its_names_are_found(self):
        # Not the ls of busybox, which does not tell an empty folder from an error.
        self.fails(f"/bin/ls /{HIDDEN}", b"Operation not permitted")
        self.expect(f"cat /{HIDDEN}/{self.small_name}/hello | head -n 1", "#!/bin/sh")

    def test_wrong_names_in_the_root_are_absent(self):
        for name in (self.small_name[:-1], "0" + self.small_name, "nothing"):
            self.fails(f"stat /{LISTED}/{name}", b"No such file")
        self.run(f"stat /{LISTED}/{self.small_name}")
        self.fails(f"stat /{LISTED}/{self.small_name[:-1]}", b"No such file")

    def test_attributes(self):
        where = self.small
        for path, wanted in (("blob", "444 2 0 0 1 regular file"), ("hello", "555 29 0 0 1 regular file"),
                             ("twin", "444 29 0 0 1 regular file"), ("with-keep", "555 1 0 0 1 directory"),
                             ("complicated", "555 4 0 0 1 directory"),
                             ("complicated/keep/.keep", "444 0 0 0 1 regular empty file"),
                             ("large", f"444 {LARGE_BYTES} 0 0 1 regular file"),
                             ("link", "444 4 0 0 1 symbolic link")):
            self.expect(f"stat -c '%a %s %u %g %Y %F' {where}/{path}", wanted)

    def test_equal_content_has_equal_inode_numbers(self):
        def inode(path):
            return self.value(f"stat -c %i {self.small}/{path}")
        assert inode("with-keep") == inode("complicated/keep")
        assert inode("complicated/.keep") == inode("complicated/keep/.keep")
        assert inode("complicated/aa") == inode("nowhere")
        assert inode("hello") != inode("twin")

    def test_contents(self):
        assert self.run(f"cat {self.small}/blob") == b"\0\1"
        assert self.run(f"cat {self.small}/link") == b"\0\1"
        assert self.run(f"cat {self.small}/complicated/.keep") == b""
        digest = hashlib.md5(bytes(i * i >> 8 & 0xff for i in range(LARGE_BYTES))).hexdigest()
        self.expect(f"md5sum <{self.small}/large", f"{digest}  -")
        # Single pieces, also across the end.
        self.expect(f"dd if={self.small}/large bs=1000 skip=1044 2>/dev/null | wc -c", "480")

    def test_symlinks(self):
        self.expect(f"readlink {self.small}/nowhere", "/nix/store/somewhereelse")
        self.expect(f"readlink {self.small}/longest | tr -d '\\n' | wc -c", "4095")
        self.fails(f"cat {self.small}/nowhere", b"No such file")

    def test_listings(self):
        self.expect(f"ls -a {self.small}/complicated/keep", ".keep")
        self.expect(f"ls -A {self.small}/complicated", ".keep\naa\nkeep")
        self.expect(f"ls {self.small}/many | uniq | wc -l", "5000")

    def test_names_of_any_bytes(self):
        for name in (b"\xff\xfe", b"n" * 255, b"new\nline", b" "):
            octal = "".join(f"\\{byte:03o}" for byte in name)
            got = self.run(f"cat \"{self.small}/names/$(printf '{octal}')\"")
            assert got == b"content of " + name, got

    def test_extended_attributes(self):
        shown = self.value(f"getfattr -d -m - --absolute-names {self.small}/blob {self.small}/with-keep")
        lines = [line for line in shown.splitlines() if line and not line.startswith("#")]
        assert len(lines) == 2, shown
        for path, line in (("blob", lines[0]), ("with-keep", lines[1])):
            digest = json.loads(castore("stat", "--json", f"{self.small_name}/{path}"))["digest"]
            assert line.endswith(f'="{digest}"'), (line, digest)
        self.fails(f"getfattr -n user.cheesecake {self.small}/blob", b"No such attribute")

    def test_a_program_and_its_libraries_run_out_of_the_share(self):
        loader = self.value(f"ls {self.closure}/lib | grep '^ld-'")
        command = f"{self.closure}/lib/{loader} --library-path {self.closure}/lib {self.closure}/bin/{PROGRAM}"
        self.expect(f"printf 'b\\nc\\na\\n' | {command}", "a\nb\nc")
        self.expect(f"{self.small}/hello", "Hello, World!")

    def test_a_whole_real_tree_is_equal(self):
        # Hashing is slow in an emulated guest: it reads everything, and the hashes are made here.
        archive = self.run(f"cd /{LISTED}/{self.include} && tar -cf - .", timeout_s=400)
        got, wanted = archive_manifest(archive), source_manifest(self.include_source)
        assert len(wanted) > 100
        differing = [(name, got.get(name), wanted.get(name)) for name in {**got, **wanted}
                     if got.get(name) != wanted.get(name)]
        assert not differing, (len(differing), differing[:5])

    def test_extended_attributes_of_the_whole_tree(self):
        shown = self.run(f"cd /{LISTED}/{self.include}; find . -type f | head -n 300 | "
                         "xargs getfattr -d -m user").decode(errors="surrogateescape")
        got = {}
        for record in shown.strip().split("\n\n"):
            name, value = record.split("\n")[:2]
            got[name.removeprefix("# file: ")] = value.split('"')[1]
        listing = castore("ls", "-R", "--json", self.include).splitlines()
        wanted = {entry["name"]: entry["digest"] for entry in map(json.loads, listing)
                  if entry["kind"] == "file" and entry["name"] in got}
        assert len(got) == len(wanted) >= 100, (len(got), len(wanted))
        assert got == wanted

    def test_reads_side_by_side_are_whole(self):
        # Cold: what the guest had read before is dropped.
        digest = self.value(f"md5sum <{self.small}/large")
        self.run("echo 3 >/proc/sys/vm/drop_caches")
        self.expect(f"cd {self.small}/many; cat 0* >/dev/null & cat 1* >/dev/null & "
                    f"cat {self.closure}/lib/* >/dev/null & md5sum <{self.small}/large; wait", digest)

    def test_what_is_imported_meanwhile_appears(self):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "late" / "file", b"late\n")
            path = castore("import", str(Path(folder) / "late"))
        self.expect(f"cat /{LISTED}/{Path(path).name}/file", "late")


@contextlib.contextmanager
def daemon(socket, log, *options):
    with open(log, "wb") as file:
        process = subprocess.Popen([CASTORE, "virtiofs", *options, "--queues", "2", socket], stderr=file)
    try:
        deadline = time.monotonic() + 30
        while not os.path.exists(socket):
            assert process.poll() is None and time.monotonic() < deadline, Path(log).read_text()
            time.sleep(0.02)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
        sys.stderr.write(Path(log).read_text())


def play(work):
    os.environ["CASTORE_STORE"] = str(work / "store")
    make_small_tree(work / "small")
    make_closure(work / "closure")
    small, closure = (Path(castore("import", str(work / name))).name for name in ("small", "closure"))
    include = Path(castore("import", str(REAL_TREE))).name

    sockets = [str(work / "listed.sock"), str(work / "hidden.sock")]
    with daemon(sockets[0], work / "listed.log", "--list-root", "--persistent") as persistent, \
            daemon(sockets[1], work / "hidden.log") as once:
        devices = [vm.Device(sockets[0], LISTED, 2), vm.Device(sockets[1], HIDDEN, 2)]
        with vm.Guest(devices, work, processors=2, programs=["getfattr", "ls"]) as guest:
            guest.run(f"mkdir /{LISTED} /{HIDDEN}")
            for place in (LISTED, HIDDEN):
                status, output = guest.run(f"mount -t virtiofs {place} /{place}")
                assert status == 0, output
            checks = Checks(guest, small, include, REAL_TREE, closure)
            failed = run_all(checks)
            guest.power_off()
        # The guest is gone: one daemon waits for the next, the other has done its work.
        assert once.wait(timeout=30) == 0, "the daemon of one guest did not end well"
        assert persistent.poll() is None, "the persistent daemon ended with its guest"
        persistent.send_signal(signal.SIGTERM)
        assert persistent.wait(timeout=30) == 0, "SIGTERM did not end it well"
    return failed


def run_all(checks):
    failed = []
    for name in (name for name in dir(checks) if name.startswith("test_")):
        begin = time.monotonic()
        try:
            getattr(checks, name)()
            outcome = "ok"
        except AssertionError as error:
            failed.append(name)
            outcome = f"FAILED: {error}"
        print(f"{outcome}  {name.removeprefix('test_')} ({time.monotonic() - begin:.1f} s)", flush=True)
    return failed


def main():
    try:
        vm.check()
    except vm.Missing as missing:
        print(f"SKIPPED: needs {missing}")
        return SKIPPED
    if not shutil.which("getfattr"):
        print("SKIPPED: needs getfattr (attr)")
        return SKIPPED
    # Whoever ends this early gets the guest and the daemons ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="castore-vm-") as folder:
        failed = play(Path(folder))
    print(f"{len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
