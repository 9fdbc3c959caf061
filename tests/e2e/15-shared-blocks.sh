#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# On a file system that can share blocks, a large file and its blob take the room of one.
source "$(dirname "$0")/lib.sh"
[[ $(id -u) -eq 0 ]] || skip "root, to mount a file system"
type mkfs.xfs >/dev/null 2>&1 || skip "mkfs.xfs"

cd "$work"
truncate -s 500M disk.img
mkfs.xfs -q -m reflink=1 disk.img
mkdir disk
mounts+=("$work/disk")
mount -o loop disk.img disk || skip "a loop device"
export CASTORE_STORE=$work/disk/store

used_mib() { df --output=used -BM disk | tail -n 1 | tr -d ' M'; }

head -c 100000000 /dev/urandom >disk/large
sync -f disk
before=$(used_mib)
path=$(castore import disk/large)
sync -f disk
added=$(($(used_mib) - before))

step "the blob took $added MiB"
((added < 50)) || fail "importing 96 MiB took $added MiB: its blocks are not shared"
castore cat "$path" | cmp - disk/large
expect_code 0 castore verify

step "what is written to the source later does not reach the blob"
cp disk/large original
printf 'changed' | dd of=disk/large conv=notrunc status=none
castore cat "$path" | cmp - original
expect_code 0 castore verify
