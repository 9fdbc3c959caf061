#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the seeds of the fuse_request fuzz target: fuse_request_fuzz.cc says how they are read.

    fuzz/make_fuse_request_seeds.py [FOLDER]        (default: corpus/fuse_request beside this file)
"""

import struct
import sys
from pathlib import Path

KEEP_LENGTH = 1
LOSE_REPLY = 2

LOOKUP, FORGET, GETATTR, READLINK, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 5, 14, 15, 17, 18
GETXATTR, LISTXATTR, INIT, OPENDIR, READDIR, RELEASEDIR = 22, 23, 26, 27, 28, 29
INTERRUPT, DESTROY, BATCH_FORGET, READDIRPLUS, LSEEK = 36, 38, 42, 44, 46

ROOT = 1
# Nodes and handles are counted up in the order they are asked for.
FOLDER, HELLO = 2, 3


class Seed:
    def __init__(self):
        self.bytes = b""
        self.unique = 2

    def frame(self, opcode, node=ROOT, argument=b"", flags=0, room=0, claimed=None):
        length = 40 + len(argument)
        header = struct.pack("<IIQQIIIHH", length if claimed is None else claimed, opcode,
                             self.unique, node, 0, 0, 0, 0, 0)
        self.unique += 2
        self.bytes += struct.pack("<HBB", length, flags, room) + header + argument
        return self

    def init(self, major=7, minor=45):
        offer = struct.pack("<IIII", major, minor, 131072, 0xFFFFFFFF)
        return self.frame(INIT, 0, offer + struct.pack("<I", 0xFFFFFFFF) + bytes(44))

    def lookup(self, node, name, **how):
        return self.frame(LOOKUP, node, name + b"\0", **how)

    def open(self, node, opcode=OPEN, flags=0):
        return self.frame(opcode, node, struct.pack("<II", flags, 0))

    def read(self, node, handle, offset, size, opcode=READ, **how):
        argument = struct.pack("<QQIIQII", handle, offset, size, 0, 0, 0, 0)
        return self.frame(opcode, node, argument, **how)

    def release(self, node, handle, opcode=RELEASE):
        return self.frame(opcode, node, struct.pack("<QIIQ", handle, 0, 0, 0))

    def getxattr(self, node, name, size):
        return self.frame(GETXATTR, node, struct.pack("<II", size, 0) + name + b"\0")


def seeds():
    yield "before_init", Seed().lookup(ROOT, b"folder").frame(GETATTR, ROOT, bytes(16))
    yield "init_twice", Seed().init().init().frame(DESTROY).init()
    yield "init_versions", Seed().init(8, 0).init(7, 30).init(7, 31)

    yield "read_file", (Seed().init().lookup(ROOT, b"folder").lookup(FOLDER, b"hello")
                        .open(HELLO).read(HELLO, 1, 0, 4096).read(HELLO, 1, 6, 5)
                        .frame(LSEEK, HELLO, struct.pack("<QQII", 1, 3, 4, 0))
                        .release(HELLO, 1))
    yield "read_bounds", (Seed().init().lookup(ROOT, b"folder").lookup(FOLDER, b"hello")
                          .open(HELLO).read(HELLO, 1, 2**64 - 1, 4096)
                          .read(HELLO, 1, 0, 2**32 - 1).read(HELLO, 9, 0, 16)
                          .read(HELLO, 1, 0, 16, room=1))
    yield "open_for_writing", (Seed().init().lookup(ROOT, b"folder").lookup(FOLDER, b"hello")
                               .open(HELLO, flags=2).open(FOLDER))
    yield "readlink", (Seed().init().lookup(ROOT, b"folder").lookup(FOLDER, b"link")
                       .frame(READLINK, HELLO).frame(READLINK, FOLDER))

    for name, opcode in (("readdir", READDIR), ("readdirplus", READDIRPLUS)):
        yield name, (Seed().init().open(ROOT, OPENDIR).read(ROOT, 1, 0, 4096, opcode)
                     .lookup(ROOT, b"folder").open(FOLDER, OPENDIR)
                     .read(FOLDER, 2, 0, 200, opcode).read(FOLDER, 2, 1, 4096, opcode)
                     .read(FOLDER, 2, 0, 8, opcode).read(FOLDER, 2, 0, 4096, opcode, room=6)
                     .read(FOLDER, 2, 0, 4096, opcode, flags=LOSE_REPLY)
                     .release(FOLDER, 2, RELEASEDIR).release(ROOT, 1, RELEASEDIR))

    yield "xattr", (Seed().init().lookup(ROOT, b"folder")
                    .getxattr(FOLDER, b"user.snix.castore.directory.digest", 0)
                    .getxattr(FOLDER, b"user.snix.castore.directory.digest", 64)
                    .getxattr(FOLDER, b"user.snix.castore.directory.digest", 5)
                    .getxattr(FOLDER, b"user.other", 64)
                    .frame(LISTXATTR, FOLDER, struct.pack("<II", 0, 0))
                    .frame(LISTXATTR, FOLDER, struct.pack("<II", 100, 0)))
    yield "forget", (Seed().init().lookup(ROOT, b"folder").lookup(ROOT, b"folder")
                     .frame(FORGET, FOLDER, struct.pack("<Q", 2**64 - 1))
                     .frame(GETATTR, FOLDER, bytes(16))
                     .frame(BATCH_FORGET, 0, struct.pack("<IIQQQQ", 2, 0, ROOT, 9, 77, 1))
                     .frame(BATCH_FORGET, 0, struct.pack("<IIQQ", 2**28, 0, ROOT, 9)))
    yield "interrupts", (Seed().init().frame(INTERRUPT, 0, struct.pack("<Q", 8))
                         .lookup(ROOT, b"folder").lookup(ROOT, b"folder"))
    yield "lost_replies", (Seed().init().lookup(ROOT, b"folder", flags=LOSE_REPLY)
                           .lookup(ROOT, b"folder", room=1).frame(STATFS))
    yield "wrong_lengths", (Seed().init().frame(GETATTR, ROOT, bytes(16), KEEP_LENGTH, claimed=40)
                            .frame(GETATTR, ROOT, bytes(16), KEEP_LENGTH, claimed=2**32 - 1)
                            .frame(GETATTR, ROOT, bytes(15)).frame(LOOKUP, ROOT, b"no end")
                            .frame(LOOKUP, ROOT, b"two\0ends\0"))
    every = Seed().init()
    for opcode in range(56):
        if opcode not in (INIT, DESTROY):
            every.frame(opcode, ROOT, bytes(40))
    yield "every_opcode", every


def main():
    default = Path(__file__).resolve().parent / "corpus" / "fuse_request"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds():
        (folder / name).write_bytes(seed.bytes)


if __name__ == "__main__":
    main()
