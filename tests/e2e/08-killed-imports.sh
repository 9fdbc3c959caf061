#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# An import that is killed at any moment leaves a store that verifies, keeps what was reported as
# stored, and takes the import the next time.
source "$(dirname "$0")/lib.sh"

cd "$work"
rounds=${CASTORE_E2E_ROUNDS:-50}
# fill_tree ROUND: contents that no round before had, so that each import has all the work to do.
fill_tree() {
  python3 - "$1" <<'EOF'
import os, sys
for i in range(1500):
    folder = "t/%02d" % (i % 50)
    os.makedirs(folder, exist_ok=True)
    with open("%s/%d" % (folder, i), "wb") as file:
        file.write(b"%s %d " % (sys.argv[1].encode(), i) * (i % 80 + 1))
for i in range(2):
    with open("t/large-%d" % i, "wb") as file:
        file.write(os.urandom(400000))
EOF
}
echo kept >kept
kept=$(castore import kept)

# How long a whole import takes decides when to kill.
fill_tree none
start=$(date +%s%N)
castore --store "$work/timing" import t >/dev/null
whole_ms=$((($(date +%s%N) - start) / 1000000))
seed=${CASTORE_E2E_SEED:-$RANDOM}
RANDOM=$seed
step "$rounds kills, a whole import takes $whole_ms ms, seed $seed"

killed=0
round=0
while ((killed < rounds)); do
  round=$((round + 1))
  ((round <= rounds * 5)) || fail "only $killed imports of $round were killed while they ran"
  fill_tree "$round"
  delay_ms=$((whole_ms * RANDOM / 32768))
  "$CASTORE" import t >reported 2>/dev/null &
  pid=$!
  sleep "$((delay_ms / 1000)).$(printf %03d $((delay_ms % 1000)))"
  kill -KILL "$pid" 2>/dev/null || true
  code=0
  wait "$pid" 2>/dev/null || code=$?
  if ((code == 137)); then
    killed=$((killed + 1))
  else
    # It was quicker than the first.
    expect_equal "$code" 0 "exit code of an import in round $round"
    whole_ms=$((delay_ms > 20 ? delay_ms : 20))
  fi
  expect_code 0 castore verify
  [[ ! -s $work/out ]] || fail "findings in round $round"
  castore list >listed
  grep -qxF "$kept" listed || fail "an earlier path is gone in round $round"
  if [[ -s reported ]] && ! grep -qxF "$(head -n 1 reported)" listed; then
    fail "reported in round $round, and not there"
  fi
done

step "$killed of $round killed; now the import completes"
path=$(castore import t)
castore export "$path" exported
tree compare t exported
expect_equal "$(castore cat "$kept")" kept
expect_code 0 castore verify

step "no half-written files stay behind"
left=$(find "$CASTORE_STORE" -type f -name '*tmp*' | wc -l)
expect_equal "$left" 0 "temporary files after the last import"
