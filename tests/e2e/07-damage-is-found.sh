#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# One flipped bit in any kind of stored object is found by verify, which names the object. After
# `verify --repair`, importing the same source again makes the store whole.
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
  grep -Eq '^(corrupt|missing|misnamed|unreadable) ' "$work/out" || fail "no kind of damage"
  expect_code 3 castore verify --json
  python3 -c 'import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert any(sys.argv[2] in line["object"] for line in lines), lines
assert all(line["finding"] in ("corrupt", "missing", "misnamed", "unreadable") for line in lines), lines' \
    "$work/out" "$1"
  expect_code 3 castore verify "$path"
}

# mended: a repair and another import leave a store in which nothing is found, and all is there.
mended() {
  expect_code 3 castore verify --repair
  expect_equal "$(castore import t)" "$path" "the path after a repair"
  expect_code 0 castore verify
  rm -rf exported
  castore export "$path" exported
  tree compare t exported
}

step "a large blob"
flip 'large blob that can be found' 5
found "$large"
expect_code 3 castore cat "$path/large"
expect_code 3 castore export "$path" exported
mended
restore

step "a small blob"
flip 'small blob that can be found' 5
found "$small"
expect_code 3 castore cat "$path/small"
mended
restore

step "a directory"
flip 'unmistakable-entry-name' 3
found "$folder"
expect_code 3 castore ls "$path/folder-with-a-telling-name"
expect_code 3 castore verify "$path/folder-with-a-telling-name"
mended
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
mended
restore

step "a missing blob file"
large_file=$(find "$CASTORE_STORE" -type f -size "$(stat -c %s t/large)c" | head -n 1)
[[ -n $large_file ]] || fail "the large blob has no file of its own"
rm -f "$large_file"
expect_code 3 castore verify
grep -qF -- "$large" "$work/out" || fail "verify does not name the missing blob"
mended
restore

step "a missing blob file comes back with the next import by itself"
rm -f "$large_file"
expect_equal "$(castore import t)" "$path"
expect_code 0 castore verify
restore

step "a missing database"
rm -f "$CASTORE_STORE/database"
for command in verify list "import t"; do
  # shellcheck disable=SC2086
  expect_error 3 'database is gone' castore $command
done
restore

step "the record of a pack"
flip_record() {
  python3 - "$CASTORE_STORE/database" <<'EOP'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
at, found = -1, 0
while (at := data.find(struct.pack(">Q", 1), at + 1)) >= 0:
    # The key, the end, and its checksum, in a node of that size.
    if data[at - 8:at] == struct.pack("<IHH", 16, 0, 8):
        data[at + 8] ^= 1
        found += 1
open(sys.argv[1], "wb").write(data)
sys.exit(0 if found else 1)
EOP
}
flip_record
expect_code 3 castore verify
grep -q '^corrupt .*pack 1: ' "$work/out" || fail "verify does not name the pack"
echo more >more
castore import more >/dev/null
castore export "$path" exported-beside
tree compare t exported-beside
mended
restore

step "any page of the database"
# One bit in each kind of field of each page: number, kind, bounds, offsets. Whatever comes of it, no
# command may be ended by a signal, and verify finds it.
pages=$(($(stat -c %s "$CASTORE_STORE/database") / 4096))
for ((page = 0; page < pages; page++)); do
  for byte in 0 10 12 14 17 23 45 47; do
    python3 - "$CASTORE_STORE/database" "$page" "$byte" <<'EOP'
import sys
path, page, byte = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "r+b") as file:
    file.seek(page * 4096 + byte)
    old = file.read(1)
    file.seek(page * 4096 + byte)
    file.write(bytes([old[0] ^ 2]))
EOP
    code=0
    castore verify >"$work/out" 2>"$work/err" || code=$?
    case $code in
      0) ;;  # a page that is not in use, or what nobody reads
      3) grep -qF "$CASTORE_STORE" "$work/out" "$work/err" || grep -q ' blob \| directory \| path ' "$work/out" ||
        fail "verify names nothing: page $page, byte $byte" ;;
      *) fail "verify ended with $code: page $page, byte $byte" ;;
    esac
    [[ $code -eq 0 ]] || found_pages=$((${found_pages:-0} + 1))
    cp sound/database "$CASTORE_STORE/database"
  done
done
((${found_pages:-0} > pages)) || fail "only ${found_pages:-0} flips were found in $pages pages"

step "the restored store is sound"
expect_code 0 castore verify
