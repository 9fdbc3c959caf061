#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Few descriptors and little memory are enough, however deep the trees and however many at once.
source "$(dirname "$0")/lib.sh"

cd "$work"
step "make trees of 1,000 levels"
python3 - <<'EOF2'
import os
for i in range(4):
    top = os.getcwd()
    name = "deep-%d" % i
    for level in range(1001):
        os.mkdir(name)
        os.chdir(name)
        name = "d"
    with open("bottom", "w") as file:
        file.write(str(i))
    os.chdir(top)
EOF2

# with_descriptors N COMMAND...
with_descriptors() {
  (ulimit -n "$1" && shift && "$@")
}

step "256 descriptors are enough for four at once"
with_descriptors 256 "$CASTORE" import deep-0 deep-1 deep-2 deep-3 >paths
expect_equal "$(wc -l <paths)" 4
expect_equal "$(castore stat --json "$(grep deep-2 paths)" | json size)" 1001
with_descriptors 256 "$CASTORE" export "$(grep deep-2 paths)" exported
expect_code 0 with_descriptors 256 "$CASTORE" verify
tree compare deep-2 exported

step "too few are an error that says what to do"
expect_error 1 'ulimit -n' with_descriptors 8 "$CASTORE" import deep-0
[[ $(wc -c <"$work/err") -lt 2000 ]] || fail "a long message"

step "eight paths at once take less than 200 MiB"
if [[ ${CASTORE_E2E_SANITIZED:-0} == 1 ]]; then
  echo "   not under a sanitizer, which has its own use for memory"
else
  python3 - <<'EOF2'
import os, resource, subprocess
paths = []
for i in range(8):
    path = "files-%d" % i
    os.mkdir(path)
    paths.append(path)
    for j in range(50):
        with open("%s/%d" % (path, j), "wb") as file:
            file.write(b"%d %d" % (i, j))
            file.truncate(2**20)
    with open(path + "/large", "wb") as file:
        file.write(b"%d" % i)
        file.truncate(30 * 2**20)
subprocess.run([os.environ["CASTORE"], "import", *paths], stdout=subprocess.DEVNULL, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print("   peak: %d MiB" % (peak // 1024))
assert peak < 200 * 1024, peak
EOF2
fi
