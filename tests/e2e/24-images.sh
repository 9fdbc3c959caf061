#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Two images, one mounted after the other at the same place, whose files have the same device, inode,
# size and times, and other content. The second is not taken for the first.
source "$(dirname "$0")/lib.sh"
[[ $(id -u) -eq 0 ]] || skip "root, to mount an image"
command -v mksquashfs >/dev/null || skip "mksquashfs"

cd "$work"
mkdir a b mnt
echo aaaa >a/file
echo bbbb >b/file
for tree in a b; do
  mksquashfs "$tree" "$tree.sqfs" -all-time 1700000000 -mkfs-time 1700000000 -quiet -no-progress >/dev/null
done
mounts+=("$work/mnt")

for tree in a b; do
  mount -o loop,ro "$tree.sqfs" mnt || skip "a loop device"
  step "$tree: $(stat -c '%d %i %s %Y %Z' mnt/file)"
  path=$(castore import --name tree mnt)
  castore cat "$path/file" | cmp - "$tree/file"
  umount mnt
done
