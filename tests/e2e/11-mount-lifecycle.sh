#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A mount is there when the command returns, and ends by umount, castore umount, or a signal.
source "$(dirname "$0")/lib.sh"
need_fuse

cd "$work"
mkdir -p t/sub
echo content >t/sub/file
head -c 3000000 /dev/urandom >t/large
path=$(castore import t)
base=${path##*/}
digest=$(castore stat --json "$path" | json digest)
mnt=$work/mnt

step "castore umount ends the mount and its server"
mount_at "$mnt"
pid=$(server_of "$mnt")
expect_equal "$(cat "$mnt/$base/sub/file")" content
castore umount "$mnt"
not_mounted "$mnt" || fail "still mounted"
until_true 10 gone "$pid"

step "plain umount and fusermount3 do too"
for way in "umount" "fusermount3 -u"; do
  command -v "${way%% *}" >/dev/null || continue
  mount_at "$mnt"
  pid=$(server_of "$mnt")
  ls "$mnt/$base" >/dev/null
  $way "$mnt"
  until_true 10 gone "$pid"
done

step "signals unmount cleanly, background or foreground, with exit code 0"
for signal in INT TERM HUP; do
  mount_at "$mnt"
  pid=$(server_of "$mnt")
  cat "$mnt/$base/sub/file" >/dev/null
  kill -"$signal" "$pid"
  until_true 10 gone "$pid"
  not_mounted "$mnt" || fail "mounted after SIG$signal"

  env --default-signal="$signal" "$CASTORE" mount --foreground "$mnt" 2>foreground.log &
  pid=$!
  pids+=("$pid")
  until_true 10 is_mounted "$mnt"
  cat "$mnt/$base/sub/file" >/dev/null
  kill -"$signal" "$pid"
  code=0
  wait "$pid" || code=$?
  expect_equal "$code" 0 "exit code after SIG$signal"
  not_mounted "$mnt" || fail "mounted after SIG$signal in the foreground"
done

step "an unmount from outside ends the foreground with 0"
"$CASTORE" mount --foreground "$mnt" 2>foreground.log &
pid=$!
pids+=("$pid")
until_true 10 is_mounted "$mnt"
umount "$mnt"
code=0
wait "$pid" || code=$?
expect_equal "$code" 0

step "an unmount while it is being read neither hangs nor leaves the server behind"
mount_at "$mnt"
pid=$(server_of "$mnt")
(while cat "$mnt/$base/large" >/dev/null 2>&1; do :; done) &
reader=$!
kill -TERM "$pid"
until_true 20 gone "$pid"
wait "$reader" || true
until_true 10 not_mounted "$mnt"

step "busy: castore umount refuses, --lazy does not wait"
mount_at "$mnt"
exec 8<"$mnt/$base/sub/file"
expect_code 1 castore umount "$mnt"
is_mounted "$mnt" || fail "unmounted though busy"
castore umount --lazy "$mnt"
not_mounted "$mnt" || fail "still mounted after --lazy"
expect_equal "$(cat <&8)" content
exec 8<&-

step "the mount table says what is shown"
mount_at "$mnt"
grep -F " $mnt " /proc/self/mountinfo | grep -qF "castore:$CASTORE_STORE" || fail "source of the mount"
grep -F " $mnt " /proc/self/mountinfo | grep -Eq ' - fuse[^ ]* ' || fail "type of the mount"
grep -F " $mnt " /proc/mounts | grep -qE '[ ,]ro,' || fail "not read-only"

step "without --list-root names resolve but are not listed"
expect_equal "$(cat "$mnt/$base/sub/file")" content
if ls "$mnt" >/dev/null 2>&1; then fail "the root was listed"; fi
expect_error 1 'already' castore mount "$mnt"
castore umount "$mnt"

step "--list-root lists"
mount_at "$mnt" --list-root
expect_equal "$(ls "$mnt")" "$base"
castore umount "$mnt"

step "--root shows one directory, by digest or path"
for root in "$digest" "$path" "$base"; do
  mount_at "$mnt" --root "$root"
  expect_equal "$(ls "$mnt")" $'large\nsub'
  cmp t/large "$mnt/large"
  castore umount "$mnt"
done
mount_at "$mnt" --root "$path/sub"
expect_equal "$(cat "$mnt/file")" content
castore umount "$mnt"
expect_error 1 'not a (folder|directory)|is no (folder|directory)' castore mount --root "$path/large" "$mnt"
expect_error 1 . castore mount --root blake3-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= "$mnt"
not_mounted "$mnt" || fail "mounted after an error"

step "--show-xattr"
if command -v getfattr >/dev/null; then
  mount_at "$mnt" --root "$path"
  getfattr -d -m - "$mnt/large" 2>/dev/null | grep -q 'castore' || fail "no attribute"
  castore umount "$mnt"
  mount_at "$mnt" --root "$path" --show-xattr=false
  expect_equal "$(getfattr -d -m - "$mnt/large" 2>/dev/null)" ""
  castore umount "$mnt"
fi

step "--threads"
mount_at "$mnt" --root "$path" --threads 1
cmp t/large "$mnt/large"
castore umount "$mnt"

step "the server of a background mount holds no terminal, pipe or working folder"
output=$(castore mount --log-file "$work/mount.log" "$mnt" 2>&1)
mounts+=("$mnt")
expect_equal "$output" ""
pid=$(server_of "$mnt")
expect_equal "$(readlink "/proc/$pid/cwd")" /
for fd in 0 1 2; do expect_equal "$(readlink "/proc/$pid/fd/$fd")" /dev/null; done

step "a server that was killed leaves a dead mount, which castore umount cleans up"
kill -KILL "$pid"
until_true 10 gone "$pid"
if ls "$mnt" >/dev/null 2>&1; then fail "a dead mount answered"; fi
castore umount "$mnt"
not_mounted "$mnt" || fail "the dead mount is still there"

# dead_mount: at $mnt, with a file of it that another process holds open, and attributes that the
# kernel remembers.
dead_mount() {
  local pid
  mount_at "$mnt" --root "$path"
  stat "$mnt" "$mnt/sub/file" >/dev/null
  sleep 600 <"$mnt/sub/file" &
  holder=$!
  pids+=("$holder")
  until_true 10 holds_file
  pid=$(server_of "$mnt")
  kill -KILL "$pid"
  until_true 10 gone "$pid"
  until_true 10 is_dead
}
holds_file() { [[ $(readlink "/proc/$holder/fd/0") == */sub/file ]]; }
is_dead() { ! stat --file-system "$mnt" >/dev/null 2>&1; }

step "a dead mount is mounted over, also while a process has a file of it open"
dead_mount
: >mount.log
mount_at "$mnt" --root "$path"
expect_equal "$(cat "$mnt/sub/file")" content
expect_equal "$(grep -cF " $mnt " /proc/self/mountinfo)" 1 "mounts"
grep -q "$mnt had a mount whose server is gone" mount.log || fail "nothing said of the dead mount"
kill "$holder"
castore umount "$mnt"
not_mounted "$mnt" || fail "still mounted"

step "castore umount cleans a dead mount up, also while a process has a file of it open"
dead_mount
castore umount "$mnt"
not_mounted "$mnt" || fail "the dead mount is still there"
kill "$holder"
expect_error 1 'nothing is mounted there' castore umount "$mnt"

step "a mount whose server lives is not mounted over, also when it does not answer"
mount_at "$mnt" --root "$path"
pid=$(server_of "$mnt")
kill -STOP "$pid"
expect_error 1 'already' timeout 60 "$CASTORE" mount "$mnt"
kill -CONT "$pid"
expect_equal "$(cat "$mnt/sub/file")" content
castore umount "$mnt"

step "a relative mount point, and one with a space"
mkdir 'a folder'
mounts+=("$work/a folder")
castore mount --log-file mount.log --root "$path" 'a folder'
expect_equal "$(ls 'a folder')" $'large\nsub'
castore umount 'a folder'
