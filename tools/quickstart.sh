#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# From a checkout to a mounted tree: installs what is needed, builds a release, imports DIR into a
# store, mounts the store, compares the tree with its source byte by byte, and unmounts.
#
#   tools/quickstart.sh [DIR]     DIR: /usr/include unless given
#
# Needs Debian 12 and /dev/fuse. As an ordinary user it needs sudo only for packages that are
# missing. The store goes to build/quickstart/store, or to $CASTORE_STORE where that is set.
set -euo pipefail

if (($# > 1)) || [[ ${1:-} == -* ]]; then
  sed -n '4,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
source_dir=$(realpath -e -- "${1:-/usr/include}")
cd "$(dirname "$0")/.."
repository=$PWD

build=$repository/build/quickstart/release
castore=$build/src/cli/castore

# What is imported must not change meanwhile, so store and mount point have to be outside of it.
scratch=$repository/build/quickstart
if [[ $scratch/ == "${source_dir%/}"/* ]]; then
  scratch=$(mktemp -d --tmpdir castore-quickstart.XXXXXX)
fi
CASTORE_STORE=$(realpath -m -- "${CASTORE_STORE:-$scratch/store}")
export CASTORE_STORE
mount_point=$scratch/mnt
if [[ $CASTORE_STORE/ == "${source_dir%/}"/* || $mount_point == "${source_dir%/}"/* ]]; then
  echo "quickstart.sh: $source_dir holds the store itself; choose another folder" >&2
  exit 2
fi

say() { printf '\n== %s\n' "$*"; }

unmount() {
  mountpoint -q "$mount_point" || return 0
  "$castore" umount "$mount_point" || fusermount3 -u -z "$mount_point"
}

on_exit() {
  local status=$?
  trap - EXIT
  unmount || true
  if ((status != 0)); then
    printf '\nquickstart.sh: failed; nothing is left mounted. The store is %s\n' "$CASTORE_STORE" >&2
  fi
  exit "$status"
}
trap on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "Packages"
tools/install_deps.sh build

say "Release build"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCASTORE_TESTS=OFF >/dev/null
cmake --build "$build" --target castore

if [[ ! -c /dev/fuse ]]; then
  echo "quickstart.sh: /dev/fuse is missing; in a container, pass it in (docker: --device /dev/fuse" \
    "--cap-add SYS_ADMIN)" >&2
  exit 1
fi
mkdir -p "$mount_point"
unmount

say "Importing $source_dir"
store_path=$("$castore" import "$source_dir")
echo "$store_path"

say "Mounting the store at $mount_point"
"$castore" mount --list-root "$mount_point"
ls -l "$mount_point"

mounted_tree=$mount_point/${store_path##*/}
say "Comparing $source_dir with $mounted_tree"
diff -r --no-dereference "$source_dir" "$mounted_tree"
echo "no difference in $(find "$mounted_tree" | wc -l) entries"

say "Unmounting"
unmount
rmdir "$mount_point"
trap - EXIT

cat <<END

Everything above worked. Where things are:

  program   $castore
  store     $CASTORE_STORE
  path      $store_path

What to try next:

  export CASTORE_STORE=$CASTORE_STORE
  alias castore=$castore
  castore list                                  # what the store has
  castore ls ${store_path##*/}
  castore import --json $source_dir             # again: nothing is new, and it is quick
  castore verify                                # re-read and re-hash all of it
  castore export ${store_path##*/} /tmp/copy
  mkdir -p /tmp/mnt && castore mount --list-root /tmp/mnt && ls /tmp/mnt; castore umount /tmp/mnt
  castore --help                                # everything else
END
