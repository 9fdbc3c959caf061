# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the benchmarks share: inputs, running and timing programs, tables, and facts about the run."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASE = ROOT / "build/release"
CASTORE = RELEASE / "src/cli/castore"
KERNEL_ARCHIVE = Path("/usr/src/linux-source-6.1.tar.xz")
MIB = 1 << 20


def progress(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def stop(text):
    """Ends the program because something it needs is missing."""
    raise SystemExit(f"{Path(sys.argv[0]).name}: {text}")


# --- programs --------------------------------------------------------------------------------------


def program(path):
    """The absolute path of a program of the release build."""
    if not path.is_file():
        stop(f"{path} is missing: cmake --preset release && cmake --build --preset release")
    return path.resolve()


def run(*pipeline, codes=(0,), env=None):
    """Runs commands, each reading what the one before it writes, and waits for all of them.

    What the last one writes is dropped. All have to end with one of the exit codes; an exception
    leaves none of them behind.
    """
    processes = []
    try:
        for position, command in enumerate(pipeline):
            last = position == len(pipeline) - 1
            # Its own session: a Ctrl-C reaches this program alone, which then ends the others.
            processes.append(subprocess.Popen(
                [str(word) for word in command], env=env, start_new_session=True,
                stdin=processes[-1].stdout if processes else None,
                stdout=subprocess.DEVNULL if last else subprocess.PIPE))
            if len(processes) > 1:
                processes[-2].stdout.close()
        ends = [process.wait() for process in processes]
    except BaseException:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        raise
    for command, end in zip(pipeline, ends):
        if end not in codes:
            raise subprocess.CalledProcessError(end, [str(word) for word in command])


def timed(*commands):
    """Seconds that the commands take one after the other."""
    start = time.monotonic()
    for command in commands:
        run(command)
    return time.monotonic() - start


# --- inputs ----------------------------------------------------------------------------------------


def remove(path):
    """Removes a file or a folder, also one with folders that nobody may write in."""
    if path.is_dir() and not path.is_symlink():
        for parent, folders, _ in os.walk(path):
            for name in folders:
                folder = os.path.join(parent, name)
                if not os.path.islink(folder):
                    os.chmod(folder, 0o755)
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()


def kernel_tree(scratch):
    folder = scratch / "linux-source-6.1"
    if not folder.is_dir():
        if not KERNEL_ARCHIVE.is_file():
            stop(f"{KERNEL_ARCHIVE} is missing: install Debian's linux-source-6.1, or name another "
                 "tree with --tree")
        progress(f"unpacking {KERNEL_ARCHIVE}")
        partial = scratch / "unpacking"
        remove(partial)
        partial.mkdir()
        run(["tar", "-xJf", KERNEL_ARCHIVE, "-C", partial])
        (partial / folder.name).rename(folder)
        partial.rmdir()
    return folder


# --- results ---------------------------------------------------------------------------------------


def print_table(head, lines):
    widths = [max(len(line[i]) for line in [head] + lines) for i in range(len(head))]
    for line in [head] + [["-" * width for width in widths]] + lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |")


def output_of(*command):
    """What a command prints, or '' when it cannot be run."""
    try:
        result = subprocess.run([str(word) for word in command], check=True, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return result.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def facts(castore, scratch):
    """Where and with what a result was made."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "castore": output_of(castore, "--version"),
        "commit": output_of("git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=12"),
        "kernel": os.uname().release,
        "processors": os.cpu_count(),
        "memory_mib": pages // MIB,
        "filesystem": output_of("findmnt", "-no", "FSTYPE", "-T", scratch),
    }
