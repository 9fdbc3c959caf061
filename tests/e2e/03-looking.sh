#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# list, ls, cat, stat: as text and as JSON, by path, base name and digest.
source "$(dirname "$0")/lib.sh"

cd "$work"
mkdir -p t/sub
printf 'one\n' >t/one
printf 'run\n' >t/sub/run
chmod 755 t/sub/run
ln -s sub/run t/link
printf x >$'t/odd\xff'
path=$(castore import t)
base=${path##*/}
digest=$(castore stat --json "$path" | json digest)

step "list"
expect_equal "$(castore list)" "$path"
expect_equal "$(castore list --json | json path)" "$path"
expect_equal "$(castore list --json | json kind)" directory

step "ls by path, base name and digest gives the same"
printf 'link\nodd\xff\none\nsub\n' >expected
for reference in "$path" "$base" "$digest"; do
  castore ls "$reference" | cmp - expected
done
expect_equal "$(castore ls "$digest/sub")" run

step "ls -l has mode, size, digest, name, target"
castore ls -l "$path" >long
grep -Eq '^-r--r--r-- +4 blake3-[A-Za-z0-9+/=]{44} one$' long
grep -Eq '^dr-xr-xr-x +1 blake3-[A-Za-z0-9+/=]{44} sub$' long
grep -Eq '^lr--r--r-- +7 - +link -> sub/run$' long
castore ls -l "$path/sub" | grep -Eq '^-r-xr-xr-x +4 '

step "ls -R has everything with its path"
printf 'link\nodd\xff\none\nsub\nsub/run\n' >expected
castore ls -R "$path" | cmp - expected

step "ls of what is no folder names it"
expect_equal "$(castore ls "$path/one")" "$path/one"

step "JSON carries names that are not UTF-8 exactly"
castore ls --json "$path" | python3 -c '
import base64, json, sys
entries = {}
for line in sys.stdin:
    entry = json.loads(line)
    name = base64.b64decode(entry["name_base64"]) if "name_base64" in entry else entry["name"].encode()
    entries[name] = entry
assert set(entries) == {b"link", b"odd\xff", b"one", b"sub"}, entries
assert entries[b"link"]["target"] == "sub/run" and "digest" not in entries[b"link"]
assert entries[b"one"]["executable"] is False and entries[b"one"]["size"] == 4
'

step "cat"
expect_equal "$(castore cat "$path/one" "$path/sub/run")" $'one\nrun'
file_digest=$(castore stat --json "$path/one" | json digest)
expect_equal "$(castore cat "$file_digest")" one
expect_error 1 'is a folder' castore cat "$path"
expect_error 1 'is a symlink to sub/run' castore cat "$path/link"

step "stat as text"
castore stat "$path" >text
grep -qx "path        $path" text
grep -qx "kind        directory" text
grep -qx "digest      $digest" text
grep -qx "entries     4" text
grep -q '^nar-sha256  sha256-' text
castore stat "$path/sub/run" | grep -qx "executable  yes"

step "stat as JSON, several at once, one a line"
castore stat --json "$path" "$path/link" | python3 -c '
import json, sys
root, link = map(json.loads, sys.stdin)
assert root["kind"] == "directory" and root["entries"] == 4 and root["references"] == []
assert link["kind"] == "symlink" and link["target"] == "sub/run" and link["sub_path"] == "link"
assert "digest" not in link and "nar_size" not in link
'

step "what is not there is said to be so"
expect_error 1 'nothing' castore cat "$path/nothing"
expect_error 1 . castore stat 00bgd045z0d4icpbc2yyz4gx48ak44la-unknown
expect_error 1 . castore ls blake3-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
expect_error 1 . castore stat blake3-short
expect_error 1 . castore stat ''
