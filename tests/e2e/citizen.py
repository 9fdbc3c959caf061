# SPDX-License-Identifier: MIT OR Apache-2.0
"""citizen.py SOURCE MOUNT: system calls that programs make on files, on those of a castore mount.

SOURCE is what was imported: it is the oracle. Ends with a trace at the first answer that is not as
docs/mounting.md has it.
"""
import ctypes
import errno
import fcntl
import mmap
import os
import struct
import subprocess
import sys
import time

source, mount = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)

# The same on every architecture.
SYS_OPEN_TREE, SYS_MOUNT_SETATTR = 428, 442
OPEN_TREE_CLONE, AT_EMPTY_PATH, MOUNT_ATTR_IDMAP = 1, 0x1000, 0x00100000
IN_ACCESS, IN_CLOSE_NOWRITE, IN_OPEN = 0x1, 0x10, 0x20


def content(name):
    with open(os.path.join(source, name), "rb") as file:
        return file.read()


def opened(name, flags=0):
    return os.open(os.path.join(mount, name), os.O_RDONLY | flags)


def errno_of(call, *arguments):
    """0, or why the call failed."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0


def direct_reads():
    large = content("large")
    file = opened("large", os.O_DIRECT)
    buffer = mmap.mmap(-1, 1 << 20)
    for offset in (0, 4096, 2 << 20):
        got = os.preadv(file, [buffer], offset)
        assert buffer[:got] == large[offset:offset + (1 << 20)], offset
    os.close(file)


def mappings():
    for name in ("large", "small"):
        file = opened(name)
        for flags in (mmap.MAP_SHARED, mmap.MAP_PRIVATE):
            with mmap.mmap(file, 0, flags=flags, prot=mmap.PROT_READ) as pages:
                assert pages[:] == content(name), (name, flags)
        # A private mapping may be written; nobody else sees it.
        with mmap.mmap(file, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as pages:
            pages[0:4] = b"mine"
        assert os.pread(file, 4, 0) == content(name)[:4]
        assert errno_of(lambda: mmap.mmap(file, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_WRITE)) == errno.EACCES
        os.close(file)


def seeking():
    file, size = opened("large"), len(content("large"))
    assert os.lseek(file, 5000, os.SEEK_DATA) == 5000
    assert os.lseek(file, 5000, os.SEEK_HOLE) == size
    assert errno_of(os.lseek, file, size, os.SEEK_DATA) == errno.ENXIO
    os.close(file)
    file = opened("nothing")
    assert errno_of(os.lseek, file, 0, os.SEEK_HOLE) == errno.ENXIO
    os.close(file)


def locks():
    one, other = opened("small"), opened("small")
    fcntl.flock(one, fcntl.LOCK_EX)
    assert errno_of(fcntl.flock, other, fcntl.LOCK_EX | fcntl.LOCK_NB) == errno.EWOULDBLOCK
    fcntl.flock(one, fcntl.LOCK_UN)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Record locks: a shared one needs no more than reading.
    fcntl.lockf(one, fcntl.LOCK_SH | fcntl.LOCK_NB, 10, 0)
    os.close(one)
    os.close(other)


def watches():
    inotify = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    assert inotify >= 0
    wanted = IN_ACCESS | IN_CLOSE_NOWRITE | IN_OPEN
    for name in ("small", "sub"):
        watch = libc.inotify_add_watch(inotify, os.path.join(mount, name).encode(), wanted)
        assert watch >= 0, os.strerror(ctypes.get_errno())
    file = opened("small")
    assert os.read(file, 10) == content("small")[:10]
    os.close(file)
    seen, events = 0, os.read(inotify, 4096)
    while events:
        _, mask, _, length = struct.unpack_from("iIII", events)
        seen |= mask
        events = events[struct.calcsize("iIII") + length:]
    assert seen & wanted == wanted, hex(seen)
    os.close(inotify)


def idmapped(folder):
    """The errno of making an idmapped mount of `folder`, and whose that is in there."""
    holder = subprocess.Popen(["unshare", "--user", "sh", "-c", "echo here; cat"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        for ids in ("uid_map", "gid_map"):
            with open(f"/proc/{holder.pid}/{ids}", "w", encoding="ascii") as file:
                file.write("0 100000 1000")
        namespace = os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY)
        tree = libc.syscall(SYS_OPEN_TREE, -100, folder.encode(), OPEN_TREE_CLONE | os.O_CLOEXEC)
        assert tree >= 0, os.strerror(ctypes.get_errno())
        attributes = struct.pack("QQQQ", MOUNT_ATTR_IDMAP, 0, 0, namespace)
        answer = libc.syscall(SYS_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, len(attributes))
        reason = ctypes.get_errno() if answer else 0
        owner = os.stat(f"/proc/self/fd/{tree}").st_uid
        os.close(tree)
        os.close(namespace)
        return reason, owner
    finally:
        holder.stdin.close()
        holder.wait()


def idmapped_mounts():
    if idmapped(source)[0] != 0:
        print("   idmapped mounts: not tried, the file system of the store's own folder has none either")
        return
    # The kernel has them for FUSE servers that ask for FUSE_ALLOW_IDMAP from Linux 6.12 on.
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert idmapped(mount) == ((0, 100000) if release >= (6, 12) else (errno.EINVAL, 0))


def totals():
    status = os.statvfs(mount)
    # Of the store: what was imported is there, and nothing can be added.
    deadline = time.monotonic() + 20
    while status.f_files == 0 and time.monotonic() < deadline:
        time.sleep(0.05)  # they are counted after the mount can be used
        status = os.statvfs(mount)
    assert status.f_files >= 5 and status.f_blocks * status.f_frsize >= len(content("large"))
    assert status.f_bfree == status.f_bavail == status.f_ffree == 0
    assert status.f_namemax == 255 and status.f_flag & os.ST_RDONLY
    assert status.f_flag & os.ST_NOSUID and status.f_flag & os.ST_NODEV


def no_writing():
    small = os.path.join(mount, "small")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
        assert errno_of(os.open, small, flags) == errno.EROFS
    for call in (lambda: os.unlink(small), lambda: os.mkdir(small + "2"), lambda: os.chmod(small, 0o777),
                 lambda: os.utime(small), lambda: os.rename(small, small + "2"),
                 lambda: os.link(small, small + "2"), lambda: os.setxattr(small, "user.x", b"")):
        assert errno_of(call) == errno.EROFS


for check in (direct_reads, mappings, seeking, locks, watches, idmapped_mounts, totals, no_writing):
    check()
    print(f"   {check.__name__.replace('_', ' ')}")
