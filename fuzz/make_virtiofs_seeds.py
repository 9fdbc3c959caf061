#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the seeds of the vhost_user and virtqueue fuzz targets: <target>_fuzz.cc says how they are read.

    fuzz/make_virtiofs_seeds.py [FOLDER]        (default: corpus beside this file)
"""

import struct
import sys
from pathlib import Path

NEXT, WRITE, INDIRECT = 1, 2, 4

# Kinds of descriptors.
MEMORY, KICKED, EVENT, COUNTER, PIPE_END, PIPE_BEGIN, NULL, SEALED = range(8)

NEEDS_REPLY, OTHER_VERSION, REPLY, CLAIMS_MORE, CLAIMS_MUCH = 1, 2, 4, 8, 16

(GET_FEATURES, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE) = range(1, 6)
(SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
 SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM,
 SET_VRING_ENABLE) = range(8, 19)
GET_CONFIG, RESET_DEVICE, GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG = 24, 34, 36, 37, 38

FEATURES = 1 << 28 | 1 << 29 | 1 << 30 | 1 << 32
PROTOCOL_FEATURES = 1 << 0 | 1 << 3 | 1 << 9 | 1 << 13 | 1 << 15

USER = 0x7F0000000000
GUEST = 0x100000000
MEMORY_BYTES = 0x10000


def fuse(opcode, argument=b"", node=1, unique=2):
    return struct.pack("<IIQQIIIHH", 40 + len(argument), opcode, unique, node, 0, 0, 0, 0, 0) + argument


FUSE_INIT = fuse(26, struct.pack("<IIIII", 7, 38, 131072, 0xFFFFFFFF, 0) + bytes(44), 0)
FUSE_LOOKUP = fuse(1, b"hello\0")
FUSE_READ = fuse(15, struct.pack("<QQIIQII", 0, 0, 4096, 0, 0, 0, 0), 2)
FUSE_FORGET = fuse(2, struct.pack("<Q", 1), 2)


def descriptor(address, length, flags=0, after=0):
    return struct.pack("<QIHH", address, length, flags, after)


class Messages:
    def __init__(self):
        self.bytes = b""

    def send(self, kind, payload=b"", flags=0, fds=0, fd=0):
        self.bytes += bytes([kind, flags, len(payload), fds | fd << 4]) + payload
        return self

    def poke(self, address, content):
        return self.send(255, struct.pack("<H", address) + content)

    def await_answer(self):
        return self.send(254)

    def region(self, kind=ADD_MEM_REG, guest=GUEST, size=MEMORY_BYTES, user=USER, offset=0, **how):
        how = {"fds": 1, "fd": MEMORY} | how
        return self.send(kind, struct.pack("<QQQQQ", 0, guest, size, user, offset), NEEDS_REPLY, **how)

    def state(self, kind, index, number, **how):
        return self.send(kind, struct.pack("<II", index, number), **how)

    def event(self, kind, index, fd, **how):
        return self.send(kind, struct.pack("<Q", index), fds=1, fd=fd, **how)

    def greet(self, features=FEATURES):
        return (self.send(GET_FEATURES).send(GET_PROTOCOL_FEATURES)
                .send(SET_PROTOCOL_FEATURES, struct.pack("<Q", PROTOCOL_FEATURES)).send(GET_QUEUE_NUM)
                .send(SET_OWNER).send(SET_FEATURES, struct.pack("<Q", features), NEEDS_REPLY))

    def queue(self, index=1, size=8, descriptors=USER, available=USER + 0x400, used=USER + 0x800, kick=KICKED):
        return (self.event(SET_VRING_CALL, index, EVENT).event(SET_VRING_ERR, index, EVENT)
                .state(SET_VRING_NUM, index, size).state(SET_VRING_BASE, index, 0)
                .send(SET_VRING_ADDR, struct.pack("<IIQQQQ", index, 0, descriptors, used, available, 0))
                .event(SET_VRING_KICK, index, kick).state(SET_VRING_ENABLE, index, 1, flags=NEEDS_REPLY))

    # One request in the ring.
    def request(self, request, flags=WRITE, address=GUEST + 0x1000):
        return (self.poke(0, descriptor(address, len(request), NEXT, 1) + descriptor(GUEST + 0x2000, 4096, flags))
                .poke(0x400, struct.pack("<HHH", 0, 1, 0)).poke(0x1000, request))


def message_seeds():
    yield "started", Messages().request(FUSE_INIT).greet().region().queue()
    yield "answered", Messages().request(FUSE_INIT).greet().region().queue().await_answer()
    yield "answered_and_stopped", (Messages().request(FUSE_INIT).greet().region().queue().await_answer()
                                   .state(GET_VRING_BASE, 1, 0))
    yield "answered_no_event_index", (Messages().request(FUSE_INIT).greet(FEATURES & ~(1 << 29)).region()
                                      .queue().await_answer())
    yield "broken", Messages().request(FUSE_INIT, address=0).greet().region().queue().await_answer()
    yield "stopped", Messages().request(FUSE_INIT).greet().region().queue().state(GET_VRING_BASE, 1, 0)
    yield "stopped_broken", (Messages().request(FUSE_INIT, address=0).greet().region().queue()
                             .state(GET_VRING_BASE, 1, 0))
    yield "started_twice", (Messages().request(FUSE_INIT).greet().region().queue().state(GET_VRING_BASE, 1, 0)
                            .event(SET_VRING_KICK, 1, EVENT).state(GET_VRING_BASE, 1, 0))
    yield "all_queues", (Messages().request(FUSE_INIT).greet().region().queue(0).queue(1).queue(2).queue(3))
    yield "memory_table", (Messages().greet().send(
        SET_MEM_TABLE, struct.pack("<II", 2, 0) + struct.pack("<QQQQ", 0, 4096, USER, 0)
        + struct.pack("<QQQQ", 4096, 8192, USER + 4096, 8192), NEEDS_REPLY, 2, MEMORY))
    yield "memory_moves", (Messages().request(FUSE_INIT).greet().region().queue().region(REM_MEM_REG, fds=0)
                           .region().region(REM_MEM_REG))
    yield "memory_overlaps", Messages().greet().region().region(guest=GUEST + 4096, user=0)
    yield "memory_wraps", Messages().greet().region(guest=2**64 - 4096)
    yield "memory_too_long", Messages().greet().region(size=2**44)
    yield "memory_unaligned", (Messages().greet().region(size=0x8000, offset=0x123).queue())
    for name, fd in (("sealed", SEALED), ("pipe", PIPE_END), ("event", EVENT), ("null", NULL)):
        yield f"memory_is_{name}", Messages().greet().region(fd=fd)
    for name, fd in (("memory", MEMORY), ("pipe", PIPE_BEGIN), ("counter", COUNTER)):
        yield f"kick_is_{name}", Messages().request(FUSE_INIT).greet().region().queue(kick=fd)
    yield "kick_is_none", Messages().greet().send(SET_VRING_KICK, struct.pack("<Q", 0x101))
    yield "rings_overlap", (Messages().request(FUSE_INIT).greet(FEATURES & ~(1 << 29)).region()
                            .queue(available=USER + 0x400, used=USER + 0x400))
    yield "many_descriptors", Messages().send(SET_OWNER, fds=15, fd=MEMORY)
    yield "configuration", Messages().send(GET_CONFIG, struct.pack("<III", 0, 40, 0) + bytes(40))
    yield "configuration_beyond", Messages().send(GET_CONFIG, struct.pack("<III", 2**32 - 1, 64, 0) + bytes(64))
    yield "reset", (Messages().request(FUSE_INIT).greet().region().queue().send(RESET_DEVICE, flags=NEEDS_REPLY)
                    .queue().send(RESET_OWNER))
    yield "slots", Messages().send(GET_MAX_MEM_SLOTS)
    yield "other_version", Messages().send(GET_FEATURES, flags=OTHER_VERSION)
    yield "reply", Messages().send(GET_FEATURES, flags=REPLY)
    yield "cut_short", Messages().send(SET_FEATURES, bytes(4), CLAIMS_MORE)
    yield "too_long", Messages().send(SET_FEATURES, bytes(8), CLAIMS_MUCH)
    every = Messages().greet()
    for kind in range(45):
        every.send(kind, bytes(8), NEEDS_REPLY)
    yield "every_type", every


EVENT_INDEX, WITH_INDIRECT, FILESYSTEM, ENDS_EARLY = 1, 2, 4, 8
LOW = 0x10000  # the guest's addresses; 0xC000 bytes
REQUEST, ANSWER, TABLE = 0x2000, 0x3000, 0x4000


class Memory:
    def __init__(self, flags=0, size_log2=3, base=0, descriptors=0, available=0x400, used=0x800):
        self.bytes = struct.pack("<BBHHHH", flags, size_log2, base, descriptors, available, used)
        self.descriptors, self.available, self.base = descriptors, available, base
        self.size = 1 << size_log2

    def write(self, at, content):
        self.bytes += struct.pack("<HH", at, len(content)) + content
        return self

    def chain(self, *descriptors):
        return self.write(self.descriptors, b"".join(descriptors))

    def put(self, *heads):
        for head in heads:
            self.write(self.available + 4 + 2 * (self.base % self.size), struct.pack("<H", head))
            self.base += 1
        return self.write(self.available + 2, struct.pack("<H", self.base % 2**16))

    def kick(self):
        self.bytes += struct.pack("<HH", 0xFFFF, 0)
        return self

    # One request with room for an answer, of which the first byte says what is done with it.
    def request(self, request, room=4096):
        return (self.write(REQUEST, request)
                .chain(descriptor(LOW + REQUEST, len(request), NEXT, 1),
                       descriptor(LOW + ANSWER, room, WRITE)).put(0))


def memory_seeds():
    for name, way in (("answered", b"\0"), ("kept", b"\1"), ("not_answered", b"\2")):
        yield name, Memory().request(way)
        yield f"{name}_event_index", Memory(EVENT_INDEX).request(way).kick().request(way)
        yield f"{name}_early_end", Memory(ENDS_EARLY).request(way)
    yield "filesystem", (Memory(FILESYSTEM).request(FUSE_INIT).kick().request(FUSE_LOOKUP).kick()
                         .request(FUSE_READ).kick().request(FUSE_FORGET, 0))
    yield "no_room", Memory(FILESYSTEM).request(FUSE_INIT, 15)
    yield "greets_twice", Memory(FILESYSTEM).request(FUSE_INIT).kick().request(FUSE_INIT)
    yield "index_wraps", Memory(base=65535).request(b"\0").put(0).put(0)
    yield "one_place", Memory(size_log2=0).write(REQUEST, b"\0").chain(descriptor(LOW + REQUEST, 8)).put(0)
    yield "table", (Memory(WITH_INDIRECT).write(TABLE, descriptor(LOW + REQUEST, 8, NEXT, 1)
                                                + descriptor(LOW + ANSWER, 100, WRITE | NEXT, 2)
                                                + descriptor(LOW + ANSWER + 200, 100, WRITE))
                    .chain(descriptor(LOW + TABLE, 48, INDIRECT)).put(0))
    yield "table_not_agreed", Memory().chain(descriptor(LOW + TABLE, 48, INDIRECT)).put(0)
    yield "table_in_table", (Memory(WITH_INDIRECT).write(TABLE, descriptor(LOW + TABLE, 16, INDIRECT))
                             .chain(descriptor(LOW + TABLE, 16, INDIRECT)).put(0))
    yield "two_regions", Memory().chain(descriptor(LOW + 0x7FF0, 32, NEXT, 1),
                                        descriptor(LOW + 0x7F00, 4096, WRITE)).put(0)
    yield "beyond_memory", Memory().chain(descriptor(LOW + 0xBFF0, 32, WRITE)).put(0)
    yield "address_wraps", Memory().chain(descriptor(2**64 - 8, 2**32 - 1, WRITE)).put(0)
    yield "loop", Memory().chain(descriptor(LOW + REQUEST, 8, NEXT, 0)).put(0)
    yield "writable_loop", Memory().chain(descriptor(LOW + ANSWER, 8, WRITE | NEXT, 0)).put(0)
    yield "link_beyond", Memory().chain(descriptor(LOW + REQUEST, 8, NEXT, 8)).put(0)
    yield "readable_after_writable", Memory().chain(descriptor(LOW + ANSWER, 8, WRITE | NEXT, 1),
                                                    descriptor(LOW + REQUEST, 8)).put(0)
    yield "head_beyond", Memory().put(8)
    yield "too_many_available", Memory().write(0x402, struct.pack("<H", 9))
    yield "place_in_use", Memory(size_log2=0).write(REQUEST, b"\1").chain(descriptor(LOW + REQUEST, 8)).put(0, 0)
    yield "answer_over_ring", (Memory().write(REQUEST, b"\0").chain(
        descriptor(LOW + REQUEST, 8, NEXT, 1), descriptor(LOW, 0x1000, WRITE)).put(0))
    yield "rings_overlap", Memory(available=0x400, used=0x400).request(b"\0")
    yield "ring_in_high_region", Memory(descriptors=0x8000, available=0x8400, used=0x8800).request(b"\0")
    yield "ring_over_regions", Memory(descriptors=0x7FF0).request(b"\0")
    yield "ring_unaligned", Memory(descriptors=8, available=0x401).request(b"\0")


def main():
    default = Path(__file__).resolve().parent / "corpus"
    corpus = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    for target, seeds in (("vhost_user", message_seeds()), ("virtqueue", memory_seeds())):
        folder = corpus / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, seed in seeds:
            (folder / name).write_bytes(seed.bytes)


if __name__ == "__main__":
    main()
