#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# The README's two commands, as somebody meets them who has just installed Debian: in a fresh
# minimal root, in a fresh clone of the commit that is checked out here.
#
#   tools/check_clean_root.sh [quickstart] [test] [user]     as root; the first two unless given
#
# `user` runs the quickstart as an ordinary user, with the packages in place.
set -euo pipefail

# Everything is mounted in a mount namespace of its own and goes with it.
if [[ -z ${CASTORE_OWN_MOUNTS:-} ]]; then
  exec env CASTORE_OWN_MOUNTS=1 unshare --mount --propagation private -- "$0" "$@"
fi
cd "$(dirname "$0")/.."
(($# > 0)) || set -- quickstart test

scratch=$(mktemp -d --tmpdir castore-clean-root.XXXXXX)
root=$scratch/root
clean_up() {
  umount -q -R "$root/proc" "$root/sys" "$root/dev/fuse" || true
  rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

in_root() { chroot "$root" env -i HOME=/root TERM=dumb LANG=C.UTF-8 PATH="$PATH" "$@"; }
timed() {
  local start=$SECONDS
  "${@:2}"
  printf '== %s took %d min %d s\n' "$1" $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60))
}

timed "a fresh root" tools/clean_root.sh "$root"
mkdir -p "$root/root/.cache"; cp -a /root/.cache/ccache "$root/root/.cache/"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
touch "$root/dev/fuse"
mount --bind /dev/fuse "$root/dev/fuse"

git clone -q --no-hardlinks . "$root/castore"
git -C "$root/castore" remote remove origin

for part in "$@"; do
  case "$part" in
    quickstart | test) timed "$part" in_root "/castore/tools/$part.sh" ;;
    user)
      in_root /castore/tools/install_deps.sh build
      in_root useradd --create-home tester
      cp -r "$root/castore" "$root/home/tester/castore"
      rm -rf "$root/home/tester/castore/build"
      in_root chown -R tester: /home/tester
      timed "$part" in_root setpriv --reuid=tester --regid=tester --init-groups \
        env HOME=/home/tester /home/tester/castore/tools/quickstart.sh
      ;;
    *)
      sed -n '4,9s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
done
