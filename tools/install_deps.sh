#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Installs what castore needs from the Debian 12 archive.
#
#   tools/install_deps.sh [build|test|all]...
#
#   build  to build and run castore (the default)
#   test   to run the tests: formatting, sanitizers, fuzzing, packaging included
#   all    both
#
# Does nothing, and needs no privilege and no network, when everything is there already.
set -euo pipefail

build_packages=(
  build-essential ca-certificates ccache cmake file git ninja-build pkgconf
  fuse3 libarchive-dev libcli11-dev libfmt-dev liblmdb-dev librust-blake3-dev libseccomp-dev libspdlog-dev
  libssl-dev liburing-dev nlohmann-json3-dev scdoc
)
test_packages=(
  attr busybox-static bzip2 clang-19 clang-format-19 codespell cpio kmod libclang-rt-19-dev libgmock-dev
  libgtest-dev linux-image-cloud-amd64 python3 qemu-system-x86 squashfs-tools time util-linux xfsprogs xz-utils zstd
)

wanted=()
for set_name in "${@:-build}"; do
  case "$set_name" in
    build) wanted+=("${build_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    all) wanted+=("${build_packages[@]}" "${test_packages[@]}") ;;
    *)
      sed -n '4,13s/^# \{0,1\}//p' "$0" >&2
      exit 2
      ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install_deps.sh: this is not a Debian system. castore needs the counterparts of:" >&2
  printf '  %s\n' "${wanted[@]}" >&2
  exit 1
fi

missing=()
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null || true)
for package in "${wanted[@]}"; do
  grep -qxF "installed $package" <<<"$installed" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "install_deps.sh: all ${#wanted[@]} packages are installed"
  exit 0
fi

as_root=()
if ((EUID != 0)); then
  if ! command -v sudo >/dev/null; then
    echo "install_deps.sh: as root, install: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "install_deps.sh: installing ${missing[*]}"
# Another program (unattended upgrades, on a fresh machine) may hold the lock for a while.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q)
install=("${apt[@]}" install -y --no-install-recommends "${missing[@]}")
# Lists that are there and current save the update, so it is made only where it is needed.
if ! "${install[@]}" >/dev/null 2>&1; then
  "${apt[@]}" update
  "${install[@]}"
fi
