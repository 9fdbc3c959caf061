#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Everything that has to hold before a change goes in: installs what it needs, checks the sources,
# builds as shipped and under each sanitizer, runs every test, fuzzes a little, builds the package.
#
#   tools/test.sh
#
# Each step prints its time and the command that repeats it alone; its output is in build/logs/.
# Steps go on after a failure where they can. The last line but for failures counts the tests of
# all runs, each step that is no test run counting as one: "N passed, N failed, N skipped".
set -uo pipefail
cd "$(dirname "$0")/.."

logs=build/logs
mkdir -p "$logs"
passed=0
failed=0
skipped=0
failures=()

# step NAME COMMAND...: one line on success; on failure the end of the output as well.
step() {
  local name=$1 start=$SECONDS log=$logs/${1// /-}.log
  local command=${*:2}
  printf '%-16s ' "$name"
  if bash -o pipefail -c "$command" >"$log" 2>&1 </dev/null; then
    ((passed += 1))
    printf 'ok      %4d s  %s\n' $((SECONDS - start)) "$command"
    return 0
  fi
  ((failed += 1))
  failures+=("$name: $command")
  printf 'FAILED  %4d s  %s\n' $((SECONDS - start)) "$command"
  tail -n 60 "$log" | sed 's/^/    /'
  return 1
}

# count_of ATTRIBUTE FILE: one number from the head of a JUnit report.
count_of() { grep -om 1 "[[:space:]]$1=\"[0-9]*\"" "$2" | grep -o '[0-9]*'; }

# tests NAME PRESET [CTEST OPTIONS...]: a ctest run, counted test by test. Reports of sanitizers go
# to files, since a daemon in the background has nobody who reads its standard error.
tests() {
  local name=$1 preset=$2 start=$SECONDS log=$logs/${1// /-}.log junit=$PWD/$logs/${1// /-}.xml
  local reports=$PWD/build/$preset/reports
  local command="ctest --preset $preset -j $(nproc)"
  ((${#@} > 2)) && command+=$(printf ' %q' "${@:3}")
  rm -rf "$reports" "$junit"
  mkdir -p "$reports"
  printf '%-16s ' "$name"
  ASAN_OPTIONS=log_path=$reports/asan:allow_addr2line=1 \
    UBSAN_OPTIONS=print_stacktrace=1:log_path=$reports/ubsan:allow_addr2line=1 \
    TSAN_OPTIONS=log_path=$reports/tsan:second_deadlock_stack=1 \
    "${run_under[@]}" bash -c "$command --output-junit $junit" >"$log" 2>&1 </dev/null
  local status=$? run=0 bad=0 left_out=0
  if [[ -s $junit ]]; then
    bad=$(count_of failures "$junit")
    left_out=$(($(count_of skipped "$junit") + $(count_of disabled "$junit")))
    run=$(($(count_of tests "$junit") - bad - left_out))
  fi
  if ((status != 0 && bad == 0)) || [[ -n $(ls -A "$reports") ]]; then ((bad += 1)); fi
  ((passed += run, failed += bad, skipped += left_out))
  if ((bad == 0)); then
    printf 'ok      %4d s  %s (%d passed, %d skipped)\n' $((SECONDS - start)) "$command" "$run" "$left_out"
    grep -F '(Skipped)' "$log" | sort -u | sed 's/^/    /'
    return 0
  fi
  failures+=("$name: $command"$'\n'"$(reasons_in "$log")")
  printf 'FAILED  %4d s  %s\n' $((SECONDS - start)) "$command"
  tail -n 150 "$log" | sed 's/^/    /'
  for report in "$reports"/*; do
    [[ -e $report ]] && head -n 80 "$report" | sed 's/^/    /'
  done
  return 1
}

# A step that cannot be tried because one before it failed.
skip() {
  ((skipped += 1))
  printf '%-16s skipped: %s\n' "$1" "$2"
}

# What the failed tests of a run said, and little else: for the end, where people look first.
reasons_in() {
  grep -hE -A 6 '(: Failure$|^FAILED:|Timeout|SUMMARY: )' "$1" | head -n 60 | sed 's/^/    /'
}

# The sanitizers of this compiler need address space that a high entropy setting takes from them.
run_under=()
if (($(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0) > 28)); then
  run_under=(setarch -R)
fi

mounts_before=$(grep -c 'fuse.castore' /proc/self/mounts)

step packages tools/install_deps.sh all
step format tools/format.sh check
step layers 'tools/check_layers_test.py && tools/check_layers.py'
step spelling codespell
step links tools/check_links.py

if step 'release build' 'cmake --preset release && cmake --build --preset release'; then
  tests 'release tests' release
  step benchmarks bench/import.py --quick
  step 'queues benchmark' bench/guest_queues.py --quick
  # 77: this machine does not let us mount.
  step 'mount benchmark' 'bench/mount.py --quick --json build/mount.json && bench/plot.py build/mount.json build/mount.svg || test $? -eq 77'
  [[ $(id -u) -ne 0 ]] || step 'mount memory benchmark' 'bench/mount_memory.py --quick'
  step package 'cmake --build build/release --target package'
else
  skip 'release tests' 'no build'
  skip benchmarks 'no build'
  skip 'queues benchmark' 'no build'
  skip 'mount benchmark' 'no build'
  skip package 'no build'
fi

if step 'asan build' 'cmake --preset asan && cmake --build --preset asan'; then
  # Not a guest of an emulated machine, which is slow enough without.
  tests 'asan tests' asan -LE vm
else
  skip 'asan tests' 'no build'
fi

if step 'tsan build' 'cmake --preset tsan && cmake --build --preset tsan'; then
  # ThreadSanitizer does not know the fences between a guest and its device; and programs that fork
  # and confine themselves are no longer the process that it watches.
  tests 'tsan tests' tsan -L 'unit|conformance|mount' -E 'cli_test|sandbox_test|virtiofs_test'
else
  skip 'tsan tests' 'no build'
fi

step fuzzing tools/fuzz.sh 15

step 'no mounts left' "test \$(grep -c fuse.castore /proc/self/mounts) -le $mounts_before"

echo
echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s"
for failure in "${failures[@]}"; do echo "FAILED: $failure"; done
echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
