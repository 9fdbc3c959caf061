#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Sends a command a signal in mid-work and checks how it ends.

    stopped.py SIGNAL WHEN COMMAND...

WHEN is `thread:NAME`, `file:GLOB` or `output`: the signal goes out once the command has a thread of that name, once a
file matches, or once it has printed something. Its standard input is a pipe that says nothing. It has to end by itself
with 128 + N, and say so; a shell cannot tell that from death by the signal, which is why this is no shell script.
"""

import glob
import signal
import subprocess
import sys
import time

WAIT_SECONDS = 60
ATTEMPTS = 5


def threads_of(pid):
    names = []
    for path in glob.glob(f"/proc/{pid}/task/*/comm"):
        try:
            with open(path) as file:
                names.append(file.read().strip())
        except OSError:
            pass  # it ended meanwhile
    return names


def is_time(when, process):
    kind, _, what = when.partition(":")
    if kind == "thread":
        return what in threads_of(process.pid)
    if kind == "file":
        return bool(glob.glob(what))
    if kind == "output":
        return bool(process.stdout.read(1))  # waits
    sys.exit(f"what is '{when}'?")


def run(number, when, command):
    def as_from_a_terminal():
        signal.signal(number, signal.SIG_DFL)

    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=as_from_a_terminal)
    deadline = time.monotonic() + WAIT_SECONDS
    while process.poll() is None and not is_time(when, process):
        if time.monotonic() > deadline:
            process.kill()
            sys.exit(f"'{when}' did not come")
    process.send_signal(number)
    # Not `communicate`, which would close standard input at once and so end what waits for it.
    process.stdout.read()
    errors = process.stderr.read().decode(errors="replace")
    return process.wait(WAIT_SECONDS), errors


def main():
    number = signal.Signals["SIG" + sys.argv[1]]
    when, command = sys.argv[2], sys.argv[3:]
    for _ in range(ATTEMPTS):
        code, errors = run(number, when, command)
        if code != 0:  # else it was quicker than the signal
            break
    if code != 128 + number:
        sys.exit(f"{command}: ended with {code} instead of {128 + number}, and said: {errors!r}")
    if not errors.startswith("castore: ") or "interrupted" not in errors:
        sys.exit(f"{command}: stopped, and said: {errors!r}")


main()
