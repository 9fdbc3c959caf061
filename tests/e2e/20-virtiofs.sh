#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# castore virtiofs as a process: its command line, its sockets, who may connect, how it ends, and
# what the sandbox leaves of it. No virtual machine; tests/vm/ has those.
source "$(dirname "$0")/lib.sh"

cd "$work"
mkdir t
echo content >t/file
path=$(castore import t)
castore_user=$(id -u)

# The search for leaks at the end of a sanitized program traces it, which the sandbox does not allow.
[[ ${CASTORE_E2E_SANITIZED:-0} == 0 ]] || export LSAN_OPTIONS=detect_leaks=0

# Whether this machine lets a process have namespaces of its own.
sandboxes=(none)
if unshare --mount --pid --fork true 2>/dev/null || unshare --user --mount true 2>/dev/null; then
  sandboxes+=(namespace)
else
  echo "-- without --sandbox namespace: no namespaces here"
fi

# start OPTIONS...: in the background; its number is $pid, its log is in $work/log.
start() {
  rm -f log
  # A shell's background jobs ignore SIGINT, and castore leaves ignored signals as they are.
  python3 -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$CASTORE" virtiofs "$@" >out 2>log &
  pid=$!
  pids+=("$pid")
  until_true 20 ready_or_gone
}
ready_or_gone() { grep -qs "request queues" log || ended "$pid"; }
# Also when nobody has waited for it yet.
ended() { ! grep -qs '^State:.[^Z]' "/proc/$1/status"; }

# ends_with CODE: the daemon, by itself.
ends_with() {
  local code=0
  wait "$pid" || code=$?
  [[ $code -eq $1 ]] || { cat log >&2; fail "exit code $code instead of $1"; }
}

# client SOCKET WHAT: connects, and "ask" gets an answer to a vhost-user message (GET_FEATURES), "spoil"
# sends bytes that are none and waits for the end, "leave" goes at once.
client() {
  python3 - "$1" "$2" <<'EOF'
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(20)
s.connect(sys.argv[1])
if sys.argv[2] == "ask":
    s.sendall(struct.pack("<III", 1, 1, 0))
    request, flags, size = struct.unpack("<III", s.recv(12, socket.MSG_WAITALL))
    features = struct.unpack("<Q", s.recv(8, socket.MSG_WAITALL))[0]
    assert request == 1 and flags == 5 and size == 8, (request, flags, size)
    assert features >> 32 & 1, hex(features)  # VIRTIO_F_VERSION_1
elif sys.argv[2] == "spoil":
    s.sendall(b"\xff" * 4096)
    try:
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
EOF
}

step "command lines that mean nothing"
expect_error 1 'Name a SOCKET' castore virtiofs
expect_error 2 'queues' castore virtiofs --queues 0 s
expect_error 2 'queues' castore virtiofs --queues 65 s
expect_error 2 'sandbox' castore virtiofs --sandbox strong s
expect_error 2 'tag .* longer than 36' castore virtiofs --tag "$(printf 'x%.0s' {1..37})" s
expect_error 1 'descriptor 77 is no Unix stream socket' castore virtiofs --fd 77
expect_error 1 'there is no group no-such-group' castore virtiofs --socket-group no-such-group s
expect_error 1 'listening at nowhere/s: .*No such file' castore virtiofs nowhere/s
expect_error 1 'longer than the 107 bytes' castore virtiofs "$(printf 'x%.0s' {1..108})"
[[ ! -e s ]] || fail "a refused command line left a socket"

step "--print-capabilities says what it is, without a store"
expect_code 0 env CASTORE_STORE=/nowhere "$CASTORE" virtiofs --print-capabilities
expect_equal "$(python3 -c 'import json; print(json.load(open("out"))["type"])')" fs

step "it is installed as a vhost-user program, and its description says where"
if command -v cmake >/dev/null && [[ -f ${CASTORE_BUILD:-}/cmake_install.cmake ]]; then
  cmake --install "$CASTORE_BUILD" --prefix "$work/prefix" >install.log 2>&1 || {
    cat install.log >&2
    fail "cmake --install"
  }
  # As the schema has it: these are there, and nothing else may be but tags.
  program=$(python3 -c 'import json, sys
description = json.load(open(sys.argv[1]))
assert set(description) == {"tags", "description", "type", "binary"}, description
assert description["type"] == "fs", description
assert all(isinstance(tag, str) for tag in description["tags"]), description
print(description["binary"])' prefix/share/qemu/vhost-user/90-castore.json)
  expect_equal "$program" "$work/prefix/libexec/castore-virtiofs"
  expect_equal "$(realpath "$program")" "$(realpath prefix/bin/castore)"
  expect_equal "$("$program" --print-capabilities)" '{"type": "fs"}'
  expect_error 1 'descriptor 77 is no Unix stream socket' "$program" --fd=77
else
  echo "-- not installed: no cmake, or CASTORE_BUILD is no build"
fi

for sandbox in "${sandboxes[@]}"; do
  step "--sandbox $sandbox: an error in it comes out whole, and leaves no socket"
  expect_error 1 'castore import' \
    env CASTORE_STORE="$work/absent" "$CASTORE" virtiofs --sandbox "$sandbox" s
  expect_error 1 'showing .*: it is no folder but a file' \
    castore virtiofs --sandbox "$sandbox" --root "$path/file" s
  [[ ! -e s ]] || fail "the socket is left"

  step "--sandbox $sandbox: SIGTERM and SIGINT end it with 0, and the socket goes"
  for signal in TERM INT; do
    start --sandbox "$sandbox" --persistent s
    expect_equal "$(stat -c %a s)" 600 "mode of the socket"
    client s ask
    kill "-$signal" "$pid"
    ends_with 0
    [[ ! -e s ]] || fail "the socket is left"
  done

  step "--sandbox $sandbox: it ends with its guest, unless it is persistent"
  start --sandbox "$sandbox" --root "$path" s
  client s ask
  ends_with 0
  start --sandbox "$sandbox" --persistent --queues 2 s
  for _ in 1 2 3; do client s ask; done
  if ended "$pid"; then fail "ended though persistent"; fi
  kill -TERM "$pid"
  ends_with 0

  step "--sandbox $sandbox: who misbehaves loses its own connection"
  start --sandbox "$sandbox" --persistent one two
  client two spoil
  client one ask
  client two ask
  grep -q 'error.*two' log || { cat log >&2; fail "nothing in the log"; }
  kill -TERM "$pid"
  ends_with 0
  start --sandbox "$sandbox" s
  client s spoil
  ends_with 1

  step "--sandbox $sandbox: a stale socket is replaced, a live one and a file are not"
  start --sandbox "$sandbox" s
  expect_error 1 'another process listens there' castore virtiofs --sandbox "$sandbox" s
  client s ask
  ends_with 0
  start --sandbox "$sandbox" --persistent s
  kill -KILL "$pid"
  ends_with 137 2>/dev/null
  [[ -S s ]] || fail "no stale socket"
  start --sandbox "$sandbox" s
  client s ask
  ends_with 0
  touch precious
  expect_error 1 'something else than a socket' castore virtiofs --sandbox "$sandbox" precious
  [[ -f precious ]] || fail "a file was removed"

  step "--sandbox $sandbox: sockets by --fd and from a service manager"
  for how in --fd manager; do
    rm -f log
    python3 - "$CASTORE" "$sandbox" "$how" >out 2>log <<'EOF' &
import os, socket, sys
program, sandbox, how = sys.argv[1:]
s = socket.socket(socket.AF_UNIX)
if os.path.exists("given"):
    os.unlink("given")
s.bind("given")
s.listen()
os.dup2(s.fileno(), 3)
os.set_inheritable(3, True)
arguments = ["--fd", "3"] if how == "--fd" else []
if how != "--fd":
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(program, [program, "virtiofs", "--sandbox", sandbox, *arguments])
EOF
    pid=$!
    pids+=("$pid")
    until_true 20 ready_or_gone
    client given ask
    ends_with 0
  done
done

step "none warns, and has to be asked for by name"
start --sandbox none --persistent s
grep -q 'without a sandbox' log || fail "no warning"
kill -TERM "$pid"
ends_with 0

step "a group may be let in"
start --sandbox none --socket-group "$(id -gn)" s
expect_equal "$(stat -c %a s)" 660 "mode of the socket"
kill -TERM "$pid"
ends_with 0

[[ " ${sandboxes[*]} " == *" namespace "* ]] || exit 0

# The process that serves is the child of the one that waits whose number inside is that one's too.
server_in_sandbox() {
  local child
  for child in $(cat "/proc/$pid/task/$pid/children"); do
    if [[ $(sed -n 's/^NSpid:.*\t//p' "/proc/$child/status") == "$pid" ]]; then echo "$child"; fi
  done
}

step "in the sandbox: no capabilities, no new ones, a filter, and nothing but the store"
start --persistent s
server=$(server_in_sandbox)
[[ -n $server ]] || fail "no process in a pid namespace"
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$server/status"; }
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
  [[ $castore_user -ne 0 && $set == CapBnd ]] || expect_equal "$(status $set)" 0000000000000000 "$set"
done
expect_equal "$(status NoNewPrivs)" 1
expect_equal "$(status Seccomp)" 2
for namespace in mnt pid net ipc; do
  [[ $(readlink "/proc/$server/ns/$namespace") != "$(readlink "/proc/self/ns/$namespace")" ]] ||
    fail "shares the $namespace namespace"
done
expect_equal "$(awk '{print $5}' "/proc/$server/mountinfo" | sort -u | tr '\n' ' ')" \
  "/ $CASTORE_STORE $CASTORE_STORE/database-lock " "what is mounted"
grep " $CASTORE_STORE " "/proc/$server/mountinfo" | grep -q ' ro,' || fail "the store is not read-only"

step "in the sandbox: what is imported meanwhile is found"
mkdir u
head -c 300000 /dev/urandom >u/large
castore import u >/dev/null
client s ask

step "the process that serves dies with the one that waits, and a crash of it is an error"
kill -KILL "$pid"
until_true 10 gone "$server"
ends_with 137 2>/dev/null
start --persistent s
server=$(server_in_sandbox)
kill -ABRT "$server"  # a signal that no sanitizer handles
ends_with 1
grep -q 'the confined process died' log || { cat log >&2; fail "no reason"; }
[[ ! -e s ]] || fail "the socket is left"

if [[ $castore_user -eq 0 ]]; then
  step "another root: one folder, no privileges, a filter"
  start --sandbox chroot --persistent s
  server=$(cat "/proc/$pid/task/$pid/children" | tr -d ' ')
  expect_equal "$(readlink "/proc/$server/root")" "$CASTORE_STORE"
  expect_equal "$(status CapEff)" 0000000000000000
  expect_equal "$(status Seccomp)" 2
  client s ask
  kill -TERM "$pid"
  ends_with 0

  step "an ordinary user: the same in a user namespace, or an error that says what to allow"
  chmod 755 "$work"
  mkdir home
  chown 65534:65534 home
  as_user=(env CASTORE_STORE="$work/home/store" setpriv --reuid 65534 --regid 65534 --clear-groups)
  cp "$CASTORE" castore
  "${as_user[@]}" ./castore import t >/dev/null
  rm -f log
  "${as_user[@]}" ./castore virtiofs --persistent home/s >out 2>log &
  pid=$!
  pids+=("$pid")
  until_true 20 ready_or_gone
  if ended "$pid"; then
    ends_with 1
    grep -q 'user namespace.*sandbox none' log || grep -q 'sandbox none.*user namespace' log ||
      { cat log >&2; fail "no advice"; }
  else
    server=$(server_in_sandbox)
    expect_equal "$(status CapEff)" 0000000000000000
    client home/s ask
    kill -TERM "$pid"
    ends_with 0
  fi

  step "root serves the store of a user as that user"
  CASTORE_STORE=$work/home/store start --persistent s
  server=$(server_in_sandbox)
  expect_equal "$(status Uid)" "$(printf '65534\t65534\t65534\t65534')"
  kill -TERM "$pid"
  ends_with 0
fi
