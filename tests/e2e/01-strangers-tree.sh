#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A tree with everything that is legal and unusual goes in, shows equal in a mount, and comes out of
# export equal.
source "$(dirname "$0")/lib.sh"

step "make the tree"
tree make "$work/tree" "${CASTORE_E2E_ENTRIES:-100000}"

step "import it"
path=$(castore import "$work/tree")
[[ $path == /nix/store/*-tree ]] || fail "printed $path"
expect_equal "$(castore list)" "$path"

step "a second import finds everything there"
again=$(castore import --json "$work/tree")
expect_equal "$(json path <<<"$again")" "$path"
expect_equal "$(json blobs_new <<<"$again")" 0

step "the whole store verifies"
expect_code 0 castore verify
[[ ! -s $work/out ]] || fail "verify printed findings"
expect_code 0 castore verify "$path"

step "export gives it back, modes and all"
castore export "$path" "$work/exported"
tree compare --modes "$work/tree" "$work/exported"

step "the exported tree has the same store path"
mkdir "$work/again"
mv "$work/exported" "$work/again/tree"
expect_equal "$(castore import "$work/again/tree")" "$path"

step "a part of it can be exported, and a single file"
castore export "$path/names" "$work/names"
tree compare --modes "$work/tree/names" "$work/names"
castore export "$path/files/size-262145" "$work/one"
cmp "$work/tree/files/size-262145" "$work/one"

step "ls sees every entry"
expect_equal "$(castore ls --json -R "$path" | wc -l)" \
  "$(castore stat --json "$path" | json size)" "entries below the root"

step "the mount shows it equal"
need_fuse
mount_at "$work/mnt"
tree compare "$work/tree" "$work/mnt/${path##*/}"
castore umount "$work/mnt"
not_mounted "$work/mnt" || fail "still mounted"
