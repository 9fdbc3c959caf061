#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# 64 threads read two mounts of one store at random and compare with the source (tests/stress), while
# caches are dropped and readers killed; then mounts end under load in every way there is.
source "$(dirname "$0")/lib.sh"
need_fuse
seconds=${CASTORE_E2E_STRESS_SECONDS:-6}
seed=${CASTORE_E2E_STRESS_SEED:-$RANDOM}

cd "$work"
mkdir -p t/many t/large t/deep
cp -a /usr/include/linux t/headers
python3 - <<'EOF'
import os
for i in range(3000):
    with open(f"t/many/{i:05}-name-of-some-length", "w") as file:
        file.write(str(i) * (i % 50))
for i in range(3):
    with open(f"t/large/{i}", "wb") as file:
        file.write(os.urandom(12_345_678))
folder = "t/deep"
for i in range(40):
    folder += f"/{i}"
    os.mkdir(folder)
    with open(f"{folder}/file", "w") as file:
        file.write(folder)
    os.symlink("../" * i + "file", f"{folder}/link")
EOF
path=$(castore import t)
digest=$(castore stat --json "$path" | json digest)

uring=/sys/module/fuse/parameters/enable_uring
ways=("cached dev" "passthrough dev")
# Not by io_uring under sanitizers: the memory that the kernel writes there is not theirs to follow.
if [[ -w $uring && ${CASTORE_E2E_SANITIZED:-0} == 0 ]]; then
  ways+=("cached uring" "passthrough uring")
  was=$(cat "$uring")
  echo Y >"$uring"
  trap 'echo "$was" >"$uring"; clean_up' EXIT
fi

for way in "${ways[@]}"; do
  read -r io transport <<<"$way"
  step "$way, seed $seed"
  mount_at "$work/one" --root "$digest" --io "$io" --transport "$transport"
  mount_at "$work/two" --root "$digest" --io "$io" --transport "$transport"
  timeout $((seconds * 3 + 60)) "$CASTORE_TREE_STRESS" "$seconds" 64 "$seed" "$work/t" "$work/one" "$work/two"
  castore umount "$work/one"
  castore umount "$work/two"
  ((seconds = seconds > 20 ? 20 : seconds))  # the first way has most in common with the others
done

# Readers get errors when the mount goes: what they say is not looked at.
begin_load() {
  # A file that is mapped and goes away is a SIGBUS; nobody needs a sanitizer's report of that.
  env -u ASAN_OPTIONS -u UBSAN_OPTIONS -u TSAN_OPTIONS \
    timeout 60 "$CASTORE_TREE_STRESS" 30 16 "$seed" "$work/t" "$work/one" >/dev/null 2>&1 &
  load=$!
  pids+=("$load")
  sleep 0.5
}
end_load() {
  kill -KILL "$load" 2>/dev/null || true
  wait "$load" 2>/dev/null || true
  pkill -KILL -f "^$CASTORE_TREE_STRESS 30 16 $seed $work/t " 2>/dev/null || true
}

for way in "${ways[@]}"; do
  read -r io transport <<<"$way"
  step "$way: it ends under load"
  for end in "umount --lazy" "kill -TERM" "kill -INT"; do
    mount_at "$work/one" --root "$digest" --io "$io" --transport "$transport"
    server=$(server_of "$work/one")
    begin_load
    case $end in
      umount*) umount --lazy "$work/one" ;;
      *) $end "$server" ;;
    esac
    until_true 20 not_mounted "$work/one"
    end_load
    until_true 20 gone "$server"
  done
  step "$way: killed under load, it is cleaned up and mounted again"
  mount_at "$work/one" --root "$digest" --io "$io" --transport "$transport"
  server=$(server_of "$work/one")
  begin_load
  kill -KILL "$server"
  end_load
  castore umount --lazy "$work/one"
  mount_at "$work/one" --root "$digest" --io "$io" --transport "$transport"
  expect_equal "$(cat "$work/one/deep/0/file")" t/deep/0
  castore umount "$work/one"
done
castore verify
