#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Under a service manager: castore mount --foreground says when it is ready and when it stops, and
# the unit that is installed is one that systemd takes.
source "$(dirname "$0")/lib.sh"
need_fuse

cd "$work"
mkdir t
echo content >t/file
path=$(castore import t)
mnt=$work/mnt
mkdir "$mnt"
mounts+=("$mnt")

# listen ADDRESS FILE: writes each datagram that comes as a Python literal on a line.
listen() {
  rm -f listening
  python3 - "$1" "$2" <<'EOF' &
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1].replace("@", "\0"))
open("listening", "w").close()
with open(sys.argv[2], "w") as heard:
    while True:
        print(repr(manager.recv(4096)), file=heard, flush=True)
EOF
  pids+=($!)
  until_true 10 test -e listening
}

for address in "$work/notify" "@castore-e2e-$$"; do
  step "READY=1 comes when the mount can be used, STOPPING=1 when it goes: $address"
  listen "$address" heard
  NOTIFY_SOCKET=$address "$CASTORE" mount --foreground --root "$path" "$mnt" 2>log &
  pid=$!
  pids+=("$pid")
  until_true 10 grep -q 'READY=1\\n' heard
  is_mounted "$mnt" || fail "ready, but not mounted"
  expect_equal "$(cat "$mnt/file")" content
  grep -qF "STATUS=Serving $mnt" heard || fail "no status: $(cat heard)"
  if grep -q STOPPING heard; then fail "stopping too early"; fi
  kill -TERM "$pid"
  code=0
  wait "$pid" || code=$?
  expect_equal "$code" 0
  until_true 10 grep -q 'STOPPING=1' heard
  expect_equal "$(wc -l <heard)" 2 "messages"
done

step "a mount in the background says nothing in the name of the service that asks for it"
listen "$work/notify2" heard2
NOTIFY_SOCKET=$work/notify2 mount_at "$mnt" --root "$path"
NOTIFY_SOCKET=$work/notify2 castore umount "$mnt"
expect_equal "$(cat heard2)" ""

step "a service manager that cannot be reached is an error"
expect_error 1 "service manager at $work/absent" \
  env NOTIFY_SOCKET="$work/absent" timeout 60 "$CASTORE" mount --foreground --root "$path" "$mnt"
not_mounted "$mnt" || fail "mounted after an error"

step "systemd takes the unit"
command -v cmake >/dev/null || skip "cmake, to install, for the last step"
command -v systemd-analyze >/dev/null || skip "systemd-analyze, for the last step"
[[ -f ${CASTORE_BUILD:-}/cmake_install.cmake ]] || skip "CASTORE_BUILD, the folder of a build, for the last step"
cmake --install "$CASTORE_BUILD" --prefix "$work/prefix" >install.log 2>&1 || {
  cat install.log >&2
  fail "cmake --install"
}
unit=prefix/lib/systemd/system/castore-mount@.service
instance=$(systemd-escape --path --template=castore-mount@.service "$mnt")
mkdir verify
# Manuals, and programs on systemd's own search path, need not be there.
sed "s|=castore |=$work/prefix/bin/castore |" "$unit" >"verify/$instance"
expect_code 0 systemd-analyze verify --man=no "verify/$instance"
if grep -F "$instance" err; then fail "systemd finds fault with the unit"; fi
for kind in service socket; do
  sed "s|=castore |=$work/prefix/bin/castore |" \
    "prefix/lib/systemd/system/castore-virtiofs@.$kind" >"verify/castore-virtiofs@vm1.$kind"
done
expect_code 0 systemd-analyze verify --man=no verify/castore-virtiofs@vm1.{service,socket}
if grep -F castore-virtiofs err; then fail "systemd finds fault with the units"; fi

step "nothing in the unit gives it a mount namespace of its own"
if grep -E '^(Private|Protect(System|Home|Proc|Kernel|Control|Host|Clock)|ReadOnly|ReadWrite|Inaccessible|Bind|Temporary|Root|Mount|Dynamic|(State|Cache|Runtime|Logs)Directory|ProcSubset)' "$unit"; then
  fail "the machine would not see the mount"
fi
