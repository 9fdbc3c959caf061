#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Installs the Debian package in a fresh minimal root and uses it there: version, an import of
# /usr/share, a check of everything stored.
#
#   tools/check_package.sh [PACKAGE.deb]     as root; builds the package unless one is given
set -euo pipefail
cd "$(dirname "$0")/.."

if (($# == 0)); then
  cmake --preset release
  rm -rf build/release/package
  cmake --build build/release --target package
  set -- build/release/package/castore_*.deb
fi
package=$(realpath -e -- "$1")

scratch=$(mktemp -d --tmpdir castore-package.XXXXXX)
root=$scratch/root
clean_up() {
  umount -q "$root/proc" || true
  rm -rf --one-file-system "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

echo "== a fresh root"
tools/clean_root.sh "$root"
mount -t proc proc "$root/proc"

echo "== installing ${package##*/}"
dpkg-deb --field "$package" Depends Recommends
cp "$package" "$root/castore.deb"
chroot "$root" env DEBIAN_FRONTEND=noninteractive \
  apt-get -q -y --no-install-recommends install /castore.deb >/dev/null
chroot "$root" dpkg -L castore | grep -v '/$'

echo "== using it"
chroot "$root" castore --version
chroot "$root" castore import --json /usr/share
chroot "$root" castore list
chroot "$root" castore verify
chroot "$root" /usr/libexec/castore-virtiofs --print-capabilities
grep -q '"/usr/libexec/castore-virtiofs"' "$root/usr/share/qemu/vhost-user/90-castore.json"
chroot "$root" /sbin/mount.castore -f -o ro,list_root none /mnt

echo "== removing it"
chroot "$root" dpkg --purge castore
if chroot "$root" sh -c 'command -v castore'; then
  echo "check_package.sh: the program is still there" >&2
  exit 1
fi
echo "check_package.sh: ${package##*/} installs, runs and goes"
