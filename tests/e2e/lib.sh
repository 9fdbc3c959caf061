# SPDX-License-Identifier: MIT OR Apache-2.0
# Sourced by every story: a folder and a store of its own, verbs for the steps, and an end that
# leaves no mount, process or file behind.
set -euo pipefail

: "${CASTORE:?the castore program to test}"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/castore-e2e-XXXXXX")
mounts=()
pids=()

unset BLOB_SERVICE_ADDR DIRECTORY_SERVICE_ADDR PATH_INFO_SERVICE_ADDR CASTORE_LOG
export CASTORE_STORE=$work/store
export LC_ALL=C

castore() { "$CASTORE" "$@"; }
tree() { python3 "$here/tree.py" "$@"; }

step() { echo "-- $*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
skip() {
  echo "SKIPPED: needs $*"
  exit 77
}

clean_up() {
  local code=$? mount pid
  trap '' TERM INT HUP  # a second one must not cut this short
  for mount in "${mounts[@]}"; do umount --lazy "$mount" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  # Not across a file system that would not unmount.
  chmod -R u+rwX "$work" 2>/dev/null || true
  rm -rf --one-file-system "$work"
  exit "$code"
}
trap clean_up EXIT
trap 'exit 143' TERM INT HUP

# expect_code CODE COMMAND...: output goes to $work/out and $work/err.
expect_code() {
  local wanted=$1 code=0
  shift
  "$@" >"$work/out" 2>"$work/err" || code=$?
  if [[ $code -ne $wanted ]]; then
    cat "$work/out" "$work/err" >&2
    fail "exit code $code instead of $wanted: $*"
  fi
}

# expect_error CODE PATTERN COMMAND...: PATTERN is an extended regular expression for stderr.
expect_error() {
  local code=$1 pattern=$2
  shift 2
  expect_code "$code" "$@"
  grep -Eq -- "$pattern" "$work/err" || {
    cat "$work/err" >&2
    fail "no '$pattern' in the error of: $*"
  }
}

expect_equal() { [[ $1 == "$2" ]] || fail "${3:-values differ}: '$1' is not '$2'"; }

# until_true SECONDS COMMAND...
until_true() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || fail "not in time: $*"
    sleep 0.05
  done
}

is_mounted() { grep -qF " $1 " /proc/self/mountinfo; }
not_mounted() { ! is_mounted "$1"; }
gone() { ! kill -0 "$1" 2>/dev/null; }

need_fuse() {
  [[ -c /dev/fuse ]] || skip "/dev/fuse"
  [[ $(id -u) -eq 0 ]] || skip "root, to mount"
}

# mount_at FOLDER [OPTIONS...]: in the background; ended at the latest with the story.
mount_at() {
  local folder=$1
  shift
  mkdir -p "$folder"
  mounts+=("$folder")
  castore mount --log-file "$work/mount.log" "$@" "$folder"
  is_mounted "$folder" || fail "$folder is not mounted after castore mount"
}

# The process that serves FOLDER: the one whose command line ends with it.
server_of() {
  local process arguments
  for process in /proc/[0-9]*; do
    { mapfile -d '' -t arguments <"$process/cmdline"; } 2>/dev/null || continue
    if ((${#arguments[@]} > 1)) && [[ ${arguments[-1]} == "$1" ]]; then
      echo "${process#/proc/}"
      return
    fi
  done
  return 1
}

# json FIELD: from the one-line objects on standard input, that field of each.
json() {
  python3 -c 'import json, sys
for line in sys.stdin: print(json.loads(line)[sys.argv[1]])' "$1"
}
