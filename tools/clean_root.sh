#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Makes a minimal Debian root in FOLDER, of the release and from the mirror that apt uses here.
#
#   tools/clean_root.sh FOLDER        as root
#
# For the other checks of this folder, which run in such a root.
set -euo pipefail

if (($# != 1)); then
  sed -n '4,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
root=$1
if ((EUID != 0)); then
  echo "clean_root.sh: debootstrap needs root" >&2
  exit 1
fi
if ! command -v debootstrap >/dev/null; then
  "$(dirname "$0")/install_deps.sh" build
  env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends debootstrap
fi

release=$(. /etc/os-release && echo "$VERSION_CODENAME")
sources=$(apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
  'Created-By: Packages' 'Component: main' | sort -u | grep -E " $release(-updates|-security)? main\$")
mirror=$(awk -v release="$release" '$3 == release { print $2; exit }' <<<"$sources")
if [[ -z $mirror ]]; then
  echo "clean_root.sh: apt names no mirror of $release here" >&2
  exit 1
fi

eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
[[ -z ${http_proxy:-} ]] || export http_proxy

debootstrap --variant=minbase "$release" "$root" "$mirror" >"$root.log" 2>&1 || {
  tail -n 30 "$root.log" >&2
  exit 1
}
rm -f "$root.log"
echo "$sources" >"$root/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::(Check-Valid-Until|Retries|https?::)' \
  >"$root/etc/apt/apt.conf.d/99host" || true
chroot "$root" apt-get -q update >/dev/null
