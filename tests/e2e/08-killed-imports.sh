#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# An import that is killed at any moment leaves a store that verifies, keeps what was reported as
# stored, and takes the import the next time.
source "$(dirname "$0")/lib.sh"

cd "$work"
rounds=${CASTORE_E2E_ROUNDS:-50}
mkdir t
python3 - <<'EOF'
import os
for i in range(3000):
    folder = "t/%02d" % (i % 50)
    os.makedirs(folder, exist_ok=True)
    with open("%s/%d" % (folder, i), "wb") as file:
        file.write(b"%d " % i * (i % 700 + 1))
for i in range(6):
    with open("t/large-%d" % i, "wb") as file:
        file.write(os.urandom(1 << 20))
EOF
echo kept >kept
kept=$(castore import kept)

# How long a whole import takes decides when to kill.
start=$(date +%s%N)
castore --store "$work/timing" import t >/dev/null
whole_us=$((($(date +%s%N) - start) / 1000))
seed=${CASTORE_E2E_SEED:-$RANDOM}
RANDOM=$seed
step "$rounds rounds, a whole import takes $((whole_us / 1000)) ms, seed $seed"

killed=0
for round in $(seq "$rounds"); do
  # What no import has seen yet, so that no round is the same work again.
  echo "$round" >t/changing
  head -c $((RANDOM * 20)) /dev/urandom >t/large-changing
  "$CASTORE" import t >reported 2>/dev/null &
  pid=$!
  sleep "$(python3 -c "print($whole_us * ($RANDOM / 32767) * 1.1 / 1e6)")"
  kill -KILL $pid 2>/dev/null && killed=$((killed + 1))
  wait $pid 2>/dev/null || true
  expect_code 0 castore verify
  [[ ! -s $work/out ]] || fail "findings in round $round"
  castore list >listed
  grep -qxF "$kept" listed || fail "an earlier path is gone in round $round"
  if [[ -s reported ]] && ! grep -qxF "$(head -n 1 reported)" listed; then
    fail "reported in round $round, and not there"
  fi
done
((killed > rounds / 4)) || fail "only $killed of $rounds imports were killed while they ran"

step "$killed killed; now the import completes"
path=$(castore import t)
castore export "$path" exported
tree compare t exported
expect_equal "$(castore cat "$kept")" kept
expect_code 0 castore verify

step "no half-written files stay behind"
left=$(find "$CASTORE_STORE" -type f -name '*tmp*' | wc -l)
expect_equal "$left" 0 "temporary files after the last import"
