#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes awkward trees and compares trees exactly, whatever their names and depth.

  tree.py make DIR ENTRIES      a tree with everything that is legal and unusual
  tree.py compare A B           equal names, kinds, contents, targets, owner execute bits
  tree.py compare --modes A B   and B's modes are exactly 0755 and 0644

Works with descriptors and names relative to them, so that no path grows too long.
"""
import hashlib
import os
import stat
import sys

LEVELS = 1000


def write(dir_fd, name, content=b"", mode=0o644):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=dir_fd)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)


def enter(dir_fd, name, close=False):
    os.mkdir(name, 0o755, dir_fd=dir_fd)
    below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=dir_fd)
    if close:
        os.close(dir_fd)
    return below


def make(path, entries):
    os.mkdir(path)
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    names = enter(root, b"names")
    odd = [b"\xff\xfe\x80", b"new\nline", b"tab\tbell\x07", b" ", b"-rf", b"...", b"..a", b"\\x41",
           b"\x1b[31mred", b"[a,b]", b"*?", b"'\"`$", "gr\u00fcn".encode(), "\u65e5\u672c".encode(),
           b"n" * 255, b"\xff" * 255, b"CON", b"a", b"A", b"a0", b"a.", b"a-", b"=", b"\x01"]
    for number, name in enumerate(odd):
        write(names, name, b"content %d" % number)
    enter(names, b"\xc3(folder")

    links = enter(root, b"links")
    for name, target in ((b"longest", b"t" * 4095), (b"bytes", b"\xff\x01\n"), (b"nowhere", b"/no"),
                         (b"loop", b"loop"), (b"folder", b"../names"), (b"up", b"../../.."),
                         (b"dots", b"./a//b/./c/"), (b"space", b" ")):
        os.symlink(target, name, dir_fd=links)

    files = enter(root, b"files")
    write(files, b"empty")
    write(files, b"empty-executable", mode=0o755)
    write(files, b"twin", b"same content\n")
    write(files, b"twin-executable", b"same content\n", 0o755)
    write(files, b"group-executable-only", b"same content\n", 0o654)
    write(files, b"unwritable", b"read only", 0o444)
    for size in (1, 4095, 4096, 4097, 262143, 262144, 262145, 1 << 20, (5 << 20) + 3):
        write(files, b"size-%d" % size, (hashlib.sha256(b"%d" % size).digest() * (size // 32 + 1))[:size])
    write(files, b"sparse")
    fd = os.open(b"sparse", os.O_WRONLY, dir_fd=files)
    os.pwrite(fd, b"middle", 3 << 20)
    os.ftruncate(fd, 8 << 20)
    os.close(fd)
    os.link(b"twin", b"hard-link", src_dir_fd=files, dst_dir_fd=files)

    enter(root, b"empty")
    enter(enter(root, b"empty-below"), b"empty")

    wide = enter(root, b"wide")
    for number in range(entries):
        write(wide, b"%06d" % number, b"%d\n" % (number % 1000))

    deep = enter(root, b"deep")
    for level in range(LEVELS):
        deep = enter(deep, b"d", close=True)
    write(deep, b"bottom", b"reached")


def entries_of(dir_fd):
    with os.scandir(dir_fd) as listing:
        return {os.fsencode(entry.name): entry.inode() for entry in listing}


def sha256_of(dir_fd, name):
    digest = hashlib.sha256()
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=dir_fd), "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def compare(a_path, b_path, modes):
    """Depth first over both at once, with one pair of descriptors a level."""
    count = 0
    problems = []

    def differ(where, what):
        problems.append("%r: %s" % (b"/".join(where), what))

    def check_entry(a_fd, b_fd, name, where):
        a = os.stat(name, dir_fd=a_fd, follow_symlinks=False)
        b = os.stat(name, dir_fd=b_fd, follow_symlinks=False)
        if stat.S_IFMT(a.st_mode) != stat.S_IFMT(b.st_mode):
            differ(where, "kind")
            return False
        if stat.S_ISLNK(a.st_mode):
            if os.readlink(name, dir_fd=a_fd) != os.readlink(name, dir_fd=b_fd):
                differ(where, "target")
        elif stat.S_ISREG(a.st_mode):
            if a.st_size != b.st_size or sha256_of(a_fd, name) != sha256_of(b_fd, name):
                differ(where, "content")
            if (a.st_mode & 0o100) != (b.st_mode & 0o100):
                differ(where, "execute bit")
            if modes and stat.S_IMODE(b.st_mode) != (0o755 if a.st_mode & 0o100 else 0o644):
                differ(where, "mode %o" % stat.S_IMODE(b.st_mode))
        elif stat.S_ISDIR(a.st_mode):
            if modes and stat.S_IMODE(b.st_mode) != 0o755:
                differ(where, "mode %o" % stat.S_IMODE(b.st_mode))
            return True
        return False

    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

    def level(a_fd, b_fd, where):
        a_names, b_names = entries_of(a_fd), entries_of(b_fd)
        if a_names.keys() != b_names.keys():
            differ(where, "names: only here %r, only there %r" %
                   (sorted(a_names.keys() - b_names.keys())[:5],
                    sorted(b_names.keys() - a_names.keys())[:5]))
        return a_fd, b_fd, where, sorted(a_names.keys() & b_names.keys(), reverse=True)

    stack = [level(os.open(a_path, flags), os.open(b_path, flags), ())]
    while stack:
        a_fd, b_fd, where, todo = stack[-1]
        if not todo:
            stack.pop()
            os.close(a_fd)
            os.close(b_fd)
            continue
        name = todo.pop()
        count += 1
        below = where + (name,)
        if check_entry(a_fd, b_fd, name, below):
            stack.append(level(os.open(name, flags, dir_fd=a_fd), os.open(name, flags, dir_fd=b_fd),
                               below))
    for problem in problems[:20]:
        print(problem, file=sys.stderr)
    print("%d entries compared, %d differences" % (count, len(problems)))
    return 1 if problems or count == 0 else 0


def main(arguments):
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if arguments[0] == "make":
        make(os.fsencode(arguments[1]), int(arguments[2]))
        return 0
    modes = arguments[1] == "--modes"
    a, b = arguments[1 + modes:]
    return compare(os.fsencode(a), os.fsencode(b), modes)


sys.exit(main(sys.argv[1:]))
