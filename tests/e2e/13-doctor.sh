#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# doctor says what the machine and the store offer, and what to do about what is wrong.
source "$(dirname "$0")/lib.sh"
need_fuse

cd "$work"
echo content >file

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
castore umount "$work/dead"
expect_code 0 castore doctor

step "a stopped server does not stop doctor"
pid=$(server_of "$work/alive")
kill -STOP "$pid"
expect_code 3 timeout 60 "$CASTORE" doctor
kill -CONT "$pid"
grep -q "^problem .*$work/alive" "$work/out" || fail "the stopped server"
castore umount "$work/alive"
