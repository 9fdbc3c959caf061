#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Results on standard output, all else on standard error, silence in pipes, documented exit codes.
source "$(dirname "$0")/lib.sh"

cd "$work"
mkdir t
echo content >t/file

step "help and version"
expect_code 0 castore --help
for word in import ingest mount umount list ls cat stat export verify doctor CASTORE_STORE 'Exit codes'; do
  grep -q -- "$word" "$work/out" || fail "no $word in the help"
done
expect_code 0 castore --version
grep -Eqx 'castore [0-9]+\.[0-9]+\.[0-9]+' "$work/out" || fail "version line"
for command in "" import ingest mount umount list ls cat stat export verify doctor; do
  # shellcheck disable=SC2086
  expect_code 0 castore $command --help
  [[ -s $work/out && ! -s $work/err ]] || fail "help of $command"
  # The manual has every long option that the help has.
  grep -Eo -- '--[a-z][a-z-]+' "$work/out" | sort -u >options
  while read -r option; do
    grep -qF -- "$option" "$here/../../docs/man/castore.1.scd" ||
      fail "$option of $command is not in the manual"
  done <options
done

step "usage errors are 2"
for arguments in "" "nonsense" "import" "import --nonsense t" "export one" "mount" \
  "mount --threads none m" "import --directory-size odd t" "--progress perhaps list"; do
  # shellcheck disable=SC2086
  expect_code 2 castore $arguments
  [[ ! -s $work/out && -s $work/err ]] || fail "usage error of '$arguments' on standard output"
done
expect_error 2 "unknown log level 'loud'" castore --log-level loud list

step "in a pipe there is only the result"
castore import t 2>err | cat >out
expect_equal "$(wc -l <out)" 1
[[ ! -s err ]] || fail "import wrote to standard error"
castore export "$(cat out)" e 2>err | cat >out2
[[ ! -s err && ! -s out2 ]] || fail "export wrote something"
castore verify 2>err | cat >out2
[[ ! -s err && ! -s out2 ]] || fail "verify wrote something"

step "on a terminal, control bytes are made harmless"
printf x >$'t/\x1b[31mred'
castore import --name u t >out
script -qec "'$CASTORE' ls '$(cat out)'" /dev/null >terminal </dev/null
if grep -q $'\x1b\\[31mred' terminal; then fail "an escape sequence reached the terminal"; fi
grep -qF '\x1b[31mred' terminal

step "a terminal gets a progress line, and a clean one afterwards"
head -c 300000000 /dev/zero >zeros
script -qec "'$CASTORE' --progress always import zeros" /dev/null >terminal </dev/null
grep -q 'importing' terminal || fail "no progress"

step "standard output that takes nothing is an error"
expect_code 1 bash -c "'$CASTORE' list >/dev/full"
expect_code 1 bash -c "'$CASTORE' cat '$(cat out)/file' >/dev/full"

step "options come before or after the command"
expect_equal "$(castore --store "$CASTORE_STORE" list)" "$(castore list --store="$CASTORE_STORE")"
expect_equal "$(CASTORE_STORE=/nowhere castore list --store "$CASTORE_STORE")" "$(castore list)"
(cd / && expect_equal "$(castore list --store "${CASTORE_STORE#/}")" "$(castore list)")

stopped() { python3 "$here/stopped.py" "$@" || fail "not stopped as it should be"; }

step "a signal ends a command with 128 and its number, and a line that says so"
# In each of these the store's own threads run already. They must not take the signal.
for signal in INT TERM HUP; do
  stopped "$signal" thread:store-writer "$CASTORE" ingest -
done
head -c 800000000 /dev/zero >zeros
zeros=$(castore ingest --json --as tree zeros | json digest)
stopped TERM thread:store-writer "$CASTORE" --store other import zeros
stopped INT thread:store-writer "$CASTORE" verify
stopped INT output "$CASTORE" cat "$zeros"

step "a stopped export leaves nothing behind"
mkdir exports
for signal in INT TERM HUP; do
  stopped "$signal" 'file:exports/*' "$CASTORE" export "$zeros" exports/zeros
  expect_equal "$(ls -A exports)" "" "left by an export after SIG$signal"
done

step "a killed one leaves a folder that the next names, and is not in its way"
for ((try = 0; try < 10; try++)); do
  "$CASTORE" export "$zeros" exports/zeros &
  pid=$!
  pids+=("$pid")
  until_true 10 compgen -G 'exports/*' >/dev/null
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null && rm exports/zeros || break  # it was quicker
done
left=$(ls exports)
[[ $left == zeros.partial-* ]] || fail "a killed export left '$left'"
expect_code 0 castore export "$zeros" exports/zeros
grep -qF "$left" "$work/err" || fail "the next export says nothing about $left"
cmp -n 1000000 zeros exports/zeros

step "standard descriptors that are closed are nobody else's"
expect_error 1 'it is empty' timeout 20 "$CASTORE" ingest - <&-
mkdir -p closed
echo closed >closed/file
code=0
timeout 20 "$CASTORE" import closed >&- 2>"$work/err" || code=$?
expect_equal "$code" 1
grep -q 'Bad file descriptor' "$work/err" || fail "no reason: $(cat "$work/err")"
for command in "import no-such-file" "verify no-such-path" "list --no-such-option"; do
  code=0
  timeout 20 "$CASTORE" $command <&- >&- 2>&- || code=$?
  ((code == 1 || code == 2)) || fail "exit code $code without standard descriptors: $command"
done

step "and the store is sound"
expect_code 0 castore verify
