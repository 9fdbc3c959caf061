#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A full disk is a clear error that loses nothing; with room again the import goes through.
source "$(dirname "$0")/lib.sh"
[[ $(id -u) -eq 0 ]] || skip "root, to mount a small file system"

cd "$work"
mkdir disk
mounts+=("$work/disk")
mount -t tmpfs -o size=24m none disk || skip "mount(2) of a tmpfs"
export CASTORE_STORE=$work/disk/store

mkdir kept
for i in $(seq 50); do head -c 20000 /dev/urandom >"kept/$i"; done
kept=$(castore import kept)

step "many small files do not fit"
mkdir small
for i in $(seq 800); do head -c 60000 /dev/urandom >"small/$i"; done
expect_error 1 'importing small.*(No space left|disk .*full)' castore import small
expect_equal "$(wc -l <"$work/err")" 1 "lines that say so"
expect_code 0 castore verify
expect_equal "$(castore list)" "$kept"
castore export "$kept" exported
tree compare kept exported

step "nor does a large one"
head -c 40000000 /dev/urandom >large
expect_error 1 'importing large.*(No space left|disk .*full)' castore import large
expect_code 0 castore verify
expect_equal "$(castore list)" "$kept"

step "with room again, both do"
mount -o remount,size=400m disk
for what in small large; do
  path=$(castore import "$what")
  rm -rf exported
  castore export "$path" exported
  cmp -s exported "$what" 2>/dev/null || tree compare "$what" exported
done
expect_code 0 castore verify
