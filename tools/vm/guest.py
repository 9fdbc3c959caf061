# SPDX-License-Identifier: MIT OR Apache-2.0
"""A throwaway Linux guest under QEMU, for tests and benchmarks of virtiofs devices.

    with Guest([Device("/run/castore/vm1.sock", tag="tree", queues=2)], folder) as guest:
        guest.run("mount -t virtiofs tree /mnt")
        status, output = guest.run("ls /mnt")

It boots the installed kernel with an initial file system made here: busybox, the modules that
virtiofs needs, and what programs are asked for. Emulated (no KVM), it is up in some seconds.
Nothing stays: leaving the block ends the guest, and its memory is all the disk it has.
"""

import base64
import dataclasses
import lzma
import os
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

MODULES = ("virtio_pci", "virtio_console", "virtiofs")
QEMU = "qemu-system-x86_64"
# Nothing of the kernel's that takes time and is not what is looked at.
KERNEL_ARGUMENTS = ("console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check nowatchdog "
                    "rcupdate.rcu_cpu_stall_suppress=1 random.trust_cpu=on mitigations=off nokaslr")

# Answers each line on the port "control", a script in base64, with its exit code, the length of what
# it wrote, and that.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for module in /modules/*; do insmod "$module"; done
port=
while [ -z "$port" ]; do
  for candidate in /sys/class/virtio-ports/*; do
    [ "$(cat "$candidate/name" 2>/dev/null)" = control ] && port=/dev/${candidate##*/}
  done
done
exec 3<>"$port"
echo ready >&3
while IFS= read -r line <&3; do
  echo "$line" | base64 -d >/tmp/script
  sh /tmp/script </dev/null 3>&- >/tmp/output 2>&1
  echo "$? $(stat -c %s /tmp/output)" >&3
  cat /tmp/output >&3
done
poweroff -f
"""


class Missing(Exception):
    """What this machine lacks to run a guest."""


class Died(Exception):
    """The guest ended on its own, or said nothing in time."""


@dataclasses.dataclass
class Device:
    socket: str  # of a vhost-user-fs daemon that listens
    tag: str
    queues: int = 1


def find_kernel():
    """The newest installed kernel and the folder of its modules."""
    for image in sorted(Path("/boot").glob("vmlinuz-*"), reverse=True):
        modules = Path("/lib/modules") / image.name.removeprefix("vmlinuz-")
        if (modules / "modules.dep").exists():
            return image, modules
    raise Missing("a kernel with modules (linux-image-cloud-amd64)")


def check():
    """Raises Missing."""
    for program, package in ((QEMU, "qemu-system-x86"), ("busybox", "busybox-static")):
        if not shutil.which(program):
            raise Missing(f"{program} ({package})")
    find_kernel()


def module_files(modules):
    """What has to be loaded, in order; a module built into the kernel has no file."""
    lines = (line.split(":") for line in (modules / "modules.dep").read_text().splitlines())
    files = {file: needed.split() for file, needed in lines}
    by_name = {Path(file).name.split(".")[0].replace("-", "_"): file for file in files}
    ordered = []

    def add(file):
        for needed in files[file]:
            add(needed)
        if file not in ordered:
            ordered.append(file)

    for name in MODULES:
        if name in by_name:
            add(by_name[name])
    return [modules / file for file in ordered]


def libraries_of(program):
    """Absolute paths of the shared libraries that a program loads, the loader among them."""
    lines = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return [word for line in lines.splitlines() for word in line.split() if word.startswith("/")]


class Archive:
    """A cpio archive as the kernel unpacks it ("newc")."""

    def __init__(self):
        self.bytes = bytearray()
        self.folders = set()
        self.count = 0

    def folder(self, path):
        if path not in self.folders and path not in ("", "."):
            self.folder(os.path.dirname(path))
            self.folders.add(path)
            self.entry(path, stat.S_IFDIR | 0o755, b"")

    def file(self, path, content, mode=0o755):
        self.folder(os.path.dirname(path))
        self.entry(path, stat.S_IFREG | mode, content)

    def entry(self, path, mode, content):
        self.count += 1
        name = path.encode() + b"\0"
        numbers = (self.count, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        self.bytes += b"070701" + b"".join(b"%08x" % number for number in numbers) + name
        self.pad()
        self.bytes += content
        self.pad()

    def pad(self):
        self.bytes += b"\0" * (-len(self.bytes) % 4)

    def finish(self):
        self.entry("TRAILER!!!", 0, b"")
        return bytes(self.bytes)


def make_initial_file_system(modules, programs):
    archive = Archive()
    for folder in ("proc", "sys", "dev", "tmp", "mnt", "bin", "modules", "etc"):
        archive.folder(folder)
    archive.file("init", INIT.encode())
    archive.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", 0o644)
    archive.file("bin/busybox", Path(shutil.which("busybox")).read_bytes())
    for number, module in enumerate(module_files(modules)):
        content = module.read_bytes()
        if module.suffix == ".xz":
            content = lzma.decompress(content)
        archive.file(f"modules/{number:02}-{module.name.removesuffix('.xz')}", content)
    copied = set()
    for program in programs:
        path = shutil.which(program)
        archive.file(f"bin/{program}", Path(path).read_bytes())
        for library in libraries_of(path):
            if library not in copied:
                copied.add(library)
                archive.file(library.lstrip("/"), Path(library).read_bytes())
    return archive.finish()


class Guest:
    """Runs while the `with` block does. `folder` keeps what it needs, and its console's output."""

    def __init__(self, devices, folder, processors=1, memory="512M", programs=(), limit_s=120):
        check()
        self.devices = devices
        self.folder = Path(folder)
        self.processors = processors
        self.memory = memory
        self.programs = programs
        self.limit_s = limit_s
        self.process = None
        self.control = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        image, modules = find_kernel()
        initial = self.folder / "initial.cpio"
        initial.write_bytes(make_initial_file_system(modules, self.programs))
        control = self.folder / "control"
        command = [
            QEMU, "-M", "q35,accel=tcg,memory-backend=memory", "-cpu", "max",
            "-smp", str(self.processors), "-m", self.memory,
            # The daemon maps the guest's memory, so it has to be shared.
            "-object", f"memory-backend-memfd,id=memory,size={self.memory},share=on",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-monitor", "none",
            "-kernel", str(image), "-initrd", str(initial), "-append", KERNEL_ARGUMENTS,
            "-chardev", f"file,id=console,path={self.folder / 'console'}", "-serial", "chardev:console",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=control,path={control},server=on,wait=off",
            "-device", "virtserialport,chardev=control,name=control",
        ]
        for number, device in enumerate(self.devices):
            command += ["-chardev", f"socket,id=fs{number},path={device.socket}",
                        "-device", f"vhost-user-fs-pci,chardev=fs{number},tag={device.tag},"
                                   f"queue-size=1024,num-request-queues={device.queues}"]
        with open(self.folder / "qemu", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        self.connect(control)
        if self.control.readline() != b"ready\n":
            raise Died(self.last_words())

    def connect(self, path):
        deadline = time.monotonic() + self.limit_s
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(self.limit_s)
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Died(self.last_words())
            try:
                self.socket.connect(str(path))
                break
            except OSError:
                time.sleep(0.02)
        self.control = self.socket.makefile("rb")

    def run(self, script, timeout_s=60):
        """Runs a shell script in the guest: its exit code, and what it wrote, as bytes."""
        self.socket.settimeout(timeout_s)
        try:
            self.socket.sendall(base64.b64encode(script.encode()) + b"\n")
            words = self.control.readline().split()
            if len(words) != 2:
                raise Died(self.last_words())
            return int(words[0]), self.control.read(int(words[1]))
        except OSError as error:
            raise Died(f"{error}: {script}\n{self.last_words()}") from error

    def power_off(self):
        """Ends the guest from inside, as an administrator would."""
        self.socket.sendall(base64.b64encode(b"poweroff -f") + b"\n")
        self.process.wait(timeout=30)

    def last_words(self):
        texts = [path.read_text(errors="replace")[-2000:]
                 for path in (self.folder / "qemu", self.folder / "console") if path.exists()]
        return "the guest died:\n" + "\n".join(texts)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
