#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Several processes work on one store at once, also while it is mounted.
source "$(dirname "$0")/lib.sh"

cd "$work"
python3 - <<'EOF'
import os
for tree in range(4):
    for i in range(800):
        folder = "t%d/%02d" % (tree, i % 40)
        os.makedirs(folder, exist_ok=True)
        with open("%s/%d" % (folder, i), "wb") as file:
            # Half of all content is shared between the trees.
            file.write(b"%d " % (i if i % 2 else tree * 1000 + i) * (i + 1))
    with open("t%d/large" % tree, "wb") as file:
        file.write(b"shared by all " * 100000)
EOF

step "four imports at once, into a store that none of them finds"
for i in 0 1 2 3; do
  castore import "t$i" >"path$i" 2>"err$i" &
  importers[i]=$!
done
for i in 0 1 2 3; do wait "${importers[i]}" || { cat "err$i" >&2; fail "import of t$i"; }; done
expect_equal "$(castore list | sort)" "$(cat path0 path1 path2 path3 | sort)"
expect_code 0 castore verify
for i in 0 1 2 3; do
  castore export "$(cat "path$i")" "e$i"
  tree compare "t$i" "e$i"
done

step "several paths in one import"
mkdir many
for i in $(seq 60); do echo "$i" >"many/file-$i"; done
castore import --json many/* >many.json
expect_equal "$(json path <many.json | sort -u | wc -l)" 60
expect_equal "$(castore list | wc -l)" 64

step "the first failure ends an import of several; what was printed is stored"
mkfifo fifo
code=0
castore import many fifo >printed 2>err || code=$?
expect_equal "$code" 1
grep -q fifo err || fail "the failing path is not named"
while read -r path; do
  castore list | grep -qxF "$path" || fail "$path was printed, and is not there"
done <printed

step "imports show in a mount at once"
need_fuse
mount_at "$work/mnt" --list-root
for i in 1 2 3 4 5; do
  echo "later $i" >"later-$i"
  path=$(castore import "later-$i")
  expect_equal "$(cat "mnt/${path##*/}")" "later $i"
  [[ -e mnt/${path##*/} ]] || fail "$path is not in the mount"
done
expect_equal "$(ls mnt | sort)" "$(castore list | sed 's,.*/,,' | sort)"

step "an import of the mount itself gives the same path"
first=$(cat path0)
expect_equal "$(castore import --name t0 "mnt/${first##*/}")" "$first"
castore umount mnt
