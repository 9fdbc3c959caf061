#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# One flipped bit in any kind of stored object is found by verify, which names the object.
source "$(dirname "$0")/lib.sh"

cd "$work"
mkdir -p t/folder-with-a-telling-name
printf 'small blob that can be found among others' >t/small
python3 -c 'import sys; sys.stdout.buffer.write(b"large blob that can be found in its file" * 20000)' >t/large
echo deep >t/folder-with-a-telling-name/unmistakable-entry-name
path=$(castore import t)
small=$(castore stat --json "$path/small" | json digest)
large=$(castore stat --json "$path/large" | json digest)
folder=$(castore stat --json "$path/folder-with-a-telling-name" | json digest)
expect_code 0 castore verify
cp -r "$CASTORE_STORE" sound

# flip NEEDLE [OFFSET]: changes one bit of the first occurrence of NEEDLE in each of the store's
# files that has it, and fails if none has.
flip() {
  chmod -R u+w "$CASTORE_STORE"
  python3 - "$CASTORE_STORE" "$1" "${2:-0}" <<'EOF'
import os, sys
store, needle, offset = sys.argv[1], os.fsencode(sys.argv[2]), int(sys.argv[3])
flipped = 0
for folder, _, names in os.walk(store):
    for name in names:
        path = os.path.join(folder, name)
        with open(path, "r+b") as file:
            content = file.read()
            at = -1
            while (at := content.find(needle, at + 1)) >= 0:
                file.seek(at + offset)
                file.write(bytes([content[at + offset] ^ 1]))
                flipped += 1
print(flipped, "flipped")
sys.exit(0 if flipped else 1)
EOF
}

restore() {
  chmod -R u+w "$CASTORE_STORE"
  rm -rf "$CASTORE_STORE"
  cp -r sound "$CASTORE_STORE"
}

# found OBJECT: verify says so, in both forms, for the store and for the path.
found() {
  expect_code 3 castore verify
  grep -qF -- "$1" "$work/out" || { cat "$work/out" >&2; fail "verify does not name $1"; }
  grep -Eq '^(corrupt|missing|misnamed) ' "$work/out" || fail "no kind of damage"
  expect_code 3 castore verify --json
  python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert any(sys.argv[2] in line["object"] for line in lines), lines
assert all(line["finding"] in ("corrupt", "missing", "misnamed") for line in lines), lines' \
    "$work/out" "$1"
  expect_code 3 castore verify "$path"
}

step "a large blob"
flip 'large blob that can be found' 5
found "$large"
expect_code 3 castore cat "$path/large"
expect_code 3 castore export "$path" exported
restore

step "a small blob"
flip 'small blob that can be found' 5
found "$small"
expect_code 3 castore cat "$path/small"
restore

step "a directory"
flip 'unmistakable-entry-name' 3
found "$folder"
expect_code 3 castore ls "$path/folder-with-a-telling-name"
expect_code 3 castore verify "$path/folder-with-a-telling-name"
restore

step "a path info"
# Its NAR hash, as the record holds it.
nar_bytes=$(castore stat --json "$path" | json nar_sha256)
needle=$(python3 -c 'import base64, os, sys
raw = base64.b64decode(sys.argv[1].split("-", 1)[1])
# A run without NUL, which a shell cannot hold.
runs = sorted(raw.split(b"\0"), key=len)
sys.stdout.buffer.write(runs[-1].rstrip(b"\n"))' "$nar_bytes")
flip "$needle" 1
expect_code 3 castore verify
grep -qF -- "${path##*/}" "$work/out" || grep -qF -- "${path:11:32}" "$work/out" ||
  fail "verify does not name the path"
expect_code 3 castore verify "$path"

step "a damaged path info hides no other path"
other=$(castore import --name other t/small)
expect_code 3 castore list
expect_equal "$(cat "$work/out")" "$other"
grep -qF -- "${path:11:32}" "$work/err" || fail "list does not name the damaged path"
if [[ -c /dev/fuse && $(id -u) -eq 0 ]]; then
  mount_at "$work/mnt" --list-root
  expect_equal "$(ls "$work/mnt")" "${other##*/}" "names in the mount"
  expect_equal "$(cat "$work/mnt/${other##*/}")" "$(cat t/small)"
  expect_error 1 'Input/output error' cat "$work/mnt/${path##*/}/small"
  grep -qF -- "${path:11:32}" "$work/mount.log" || fail "the log does not name the damaged path"
  castore umount "$work/mnt"
fi
restore

step "a missing blob file"
large_file=$(find "$CASTORE_STORE" -type f -size "$(stat -c %s t/large)c" | head -n 1)
[[ -n $large_file ]] || fail "the large blob has no file of its own"
rm -f "$large_file"
expect_code 3 castore verify
grep -qF -- "$large" "$work/out" || fail "verify does not name the missing blob"
restore

step "the restored store is sound"
expect_code 0 castore verify
