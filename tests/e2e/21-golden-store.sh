#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A store of format 1, made once and kept, is read, sound, and can be gone on with. When this fails,
# the format has changed without a new number: users' stores would not open any more.
source "$(dirname "$0")/lib.sh"

tar -xJf "$here/../golden/local-store-1.tar.xz" -C "$work"
export CASTORE_STORE=$work/local-store-1
tree_path=/nix/store/c4jhrgncpv1b3966vg0hlav7mmqj8nql-tree

# What was imported into it.
cd "$work"
mkdir -p tree/empty tree/dir/deeper
printf 'Hello World!' >tree/hello
printf '#!/bin/sh\necho run\n' >tree/run
chmod +x tree/run
ln -s ../hello tree/dir/link
: >tree/dir/empty-file
printf x >"tree/dir/$(printf 'n\xffot-utf8')"
python3 -c 'print(end=("a large blob has a file of its own\n" * 10000)[:300000])' >tree/dir/deeper/large
cp tree/hello tree/dir/deeper/again
printf 'lone file' >lone

step "it is sound and lists its paths"
castore verify
castore list | sort >paths
sort >expected <<EOF
$tree_path
/nix/store/kj7aaf4b6inf8nssm5fjkpgaf9gfsqlp-lonelink
/nix/store/wc2n580vdxyak3rb4mzvccp96dar4v9i-lone
EOF
diff expected paths

step "everything comes out as it went in"
castore export "$tree_path" exported
tree compare tree exported
expect_equal "$(castore cat /nix/store/wc2n580vdxyak3rb4mzvccp96dar4v9i-lone)" 'lone file'
expect_equal "$(castore stat --json kj7aaf4b6inf8nssm5fjkpgaf9gfsqlp-lonelink | json target)" target

step "what is in it is not stored again"
object=$(castore import --json tree)
expect_equal "$(json path <<<"$object")" "$tree_path"
expect_equal "$(json blobs_new <<<"$object")" 0

step "it can be gone on with"
printf 'something else' >other
castore import other >/dev/null
castore verify
