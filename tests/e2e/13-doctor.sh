#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# doctor says what the machine and the store offer, and what to do about what is wrong.
source "$(dirname "$0")/lib.sh"
need_fuse

cd "$work"
echo content >file
mkdir folder
echo content >folder/file

ingested() { castore ingest --json "$1" | json digest; }

step "before there is a store"
expect_code 0 castore doctor
grep -q "none yet in $CASTORE_STORE" "$work/out"
grep -q 'castore import' "$work/out"

step "with one"
path=$(castore import file)
expect_code 0 castore doctor
grep -qF "$CASTORE_STORE: format 1, 1 paths" "$work/out"
grep -Eq 'fuse protocol: 7\.[0-9]+; a mount uses: .*readdirplus' "$work/out"
expect_code 0 castore doctor --json
python3 - "$work/out" <<'EOF'
import json, sys
checks = {}
for line in open(sys.argv[1]):
    check = json.loads(line)
    checks[check["topic"]] = check
assert checks["store"]["facts"]["format_version"] == 1, checks
assert checks["store"]["facts"]["paths"] == 1
assert checks["fuse protocol"]["facts"]["major"] == 7
assert "readdirplus" in checks["fuse protocol"]["facts"]["used"]
assert checks["descriptors"]["facts"]["limit"] > 0
EOF

step "it leaves no mount behind"
if grep -q castore-doctor /proc/self/mountinfo; then fail "the probe is still mounted"; fi

step "living and dead mounts"
mount_at "$work/alive"
mount_at "$work/dead"
pid=$(server_of "$work/dead")
kill -KILL "$pid"
until_true 10 gone "$pid"
expect_code 3 castore doctor
grep -q "^ok .*$work/alive" "$work/out" || fail "the living mount"
grep -q "^problem .*$work/dead.*server is gone" "$work/out" || fail "the dead mount"
grep -q "castore umount $work/dead" "$work/out" || fail "what to do about it"
expect_error 1 "server is gone" castore stats "$work/dead"
castore umount "$work/dead"
expect_code 0 castore doctor

step "doctor MOUNTPOINT says how a mount works, why not better, and what would change that"
mount_at "$work/dev" --root "$(ingested "$work/folder")" --transport=dev
expect_code 0 castore doctor "$work/dev"
grep -q "^ok .*$work/dev shows .*; io cached, transport dev" "$work/out" || fail "how it works"
grep -q "^note .*no passthrough: what is mounted is not mainly large files" "$work/out" || fail "why not better"
grep -q -- "-> --io=passthrough" "$work/out" || fail "what would change that"
if grep -Eq "^[a-z]+ +(fusermount3|store|processors):" "$work/out"; then fail "more than was asked for"; fi
if [[ $(cat /sys/module/fuse/parameters/enable_uring 2>/dev/null) == N ]]; then
  mount_at "$work/auto" --root "$(ingested "$work/folder")"
  expect_code 0 castore doctor "$work/auto"
  grep -q "^note .*no io_uring: it is switched off" "$work/out" || fail "why no io_uring"
  grep -q -- "-> .*enable_uring" "$work/out" || fail "how to switch it on"
  castore umount "$work/auto"
fi
expect_code 3 castore doctor /proc
grep -q "^problem .*no castore mount but one of type proc" "$work/out" || fail "/proc"
expect_code 3 castore doctor "$work/absent"

step "few large files are passed through, many small ones are not"
mkdir large
head -c 3000000 /dev/urandom >large/file
mount_at "$work/large-mnt" --root "$(ingested large)"
castore doctor "$work/large-mnt" >out
grep -q 'io passthrough' out || grep -q 'no passthrough: this kernel' out || fail "large files: $(cat out)"
cmp large/file "$work/large-mnt/file"
castore umount "$work/large-mnt"

step "files that the kernel does not take are not said to be passed through"
mkdir base overlay
mount -t tmpfs castore-e2e base && mounts+=("$work/overlay" "$work/base")
mkdir base/lower base/upper base/work
if mount -t overlay castore-e2e -o lowerdir=base/lower,upperdir=base/upper,workdir=base/work overlay; then
  stacked=(--store "$work/overlay/store")
  digest=$(castore "${stacked[@]}" ingest --json large | json digest)
  for io in auto passthrough; do
    mount_at "$work/stacked-mnt" "${stacked[@]}" --io=$io --root "$digest"
    expect_code 0 castore doctor "$work/stacked-mnt"
    grep -q "^ok .*; io cached" "$work/out" || fail "io $io: $(cat out)"
    grep -q "^note .*no passthrough: " "$work/out" || fail "why not passed through: $(cat out)"
    grep -q 'no passthrough: this kernel' out || grep -q -- "-> .*ext4" out || fail "what would help: $(cat out)"
    cmp large/file "$work/stacked-mnt/file"
    castore umount "$work/stacked-mnt"
  done
  grep -q 'no passthrough' mount.log || fail "nothing in the log"
  until_true 10 umount overlay
fi
umount base

step "stats counts what was asked"
ls -l "$work/dev" >/dev/null
cat "$work/dev/file" >/dev/null
expect_code 0 castore stats "$work/dev"
grep -q "^$work/dev shows castore:blake3-" "$work/out"
grep -q '^read path    cached' "$work/out"
grep -q '^READ  ' "$work/out"
expect_code 0 castore stats --json "$work/dev/"
python3 - "$work" <<'EOF2'
import json, sys
with open(sys.argv[1] + "/out") as file:
    stats = json.load(file)
assert stats["mountpoint"] == sys.argv[1] + "/dev", stats
assert stats["read_path"] == "cached" and stats["transport"] == "dev", stats
assert stats["nodes"] >= 1 and stats["rss_bytes"] > 1 << 20, stats
assert stats["pool"]["queued"] == 0 and stats["handles"] == 0, stats
operations = {operation["name"]: operation for operation in stats["operations"]}
assert operations["READ"]["bytes"] == len("content\n"), operations
assert operations["READ"]["p99_ns"] >= operations["READ"]["p50_ns"] > 0, operations
assert stats["caches"]["blobs"]["misses"] >= 1, stats
EOF2

step "a root that is listed can be asked without being listed"
castore stats --json "$work/alive" >out
castore umount "$work/alive"
mount_at "$work/alive" --list-root
castore stats --json "$work/alive" >out
if grep -q READDIR out; then fail "listed for the sake of stats"; fi

step "SIGUSR1 writes the same into the log"
: >mount.log
kill -USR1 "$(server_of "$work/dev")"
until_true 10 grep -q 'operation .*p99' mount.log
grep -q "how $work/dev does" mount.log
until_true 10 grep -q ' READ  ' mount.log
castore umount "$work/dev"

step "what is no castore mount is said to be none"
expect_error 1 "nothing is mounted there" castore stats "$work/folder"
expect_error 1 "no castore mount but one of type proc" castore stats /proc
expect_error 1 "No such file" castore stats "$work/absent"

step "a stopped server does not stop doctor"
pid=$(server_of "$work/alive")
kill -STOP "$pid"
# A thread that was at work may give an answer before it stops.
all_stopped() { ! grep -L '^State:.T' /proc/"$1"/task/*/status | grep -q .; }
until_true 10 all_stopped "$pid"
expect_code 3 timeout 60 "$CASTORE" doctor
cp out doctor.out
expect_error 1 "does not answer" timeout 60 "$CASTORE" stats "$work/alive"
kill -CONT "$pid"
grep -q "^problem .*$work/alive" doctor.out || fail "the stopped server"
expect_code 0 castore stats "$work/alive"
castore umount "$work/alive"
