#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Formats the C++ sources, or says which are not formatted.
#
#   tools/format.sh [check|fix]
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-check}" in
  check) arguments=(--dry-run --Werror) ;;
  fix) arguments=(-i) ;;
  *)
    echo "usage: tools/format.sh [check|fix]" >&2
    exit 2
    ;;
esac

# With git, what it tracks or would track; from an unpacked archive, everything.
sources() {
  git ls-files -z --cached --others --exclude-standard -- '*.cc' '*.h' 2>/dev/null ||
    find src tests fuzz bench \( -name '*.cc' -o -name '*.h' \) -print0
}

sources | xargs -0 -r -n 8 -P "$(nproc)" clang-format-19 "${arguments[@]}"
