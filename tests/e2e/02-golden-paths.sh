#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Store paths, digests and NAR hashes are those that Nix and the deployed castore servers compute.
source "$(dirname "$0")/lib.sh"

cd "$work"
printf 'Hello World!' >file-hw
printf 'Hello World!' >file-hw-exec
chmod 755 file-hw-exec
mkdir empty-dir
ln -s /nix/store/somewhereelse symlink
mkdir -p complicated/keep
touch complicated/.keep complicated/keep/.keep
ln -s /nix/store/somewhereelse complicated/aa
mkdir EXEC_TWINS
printf same >EXEC_TWINS/x
printf same >EXEC_TWINS/y
chmod 755 EXEC_TWINS/x
mkdir THOUSAND
for i in $(seq 0 999); do
  file=THOUSAND/$(printf %03d "$i")
  printf %d "$i" >"$file"
  ((i % 10 == 0)) && chmod 755 "$file"
done

step "store paths"
paths=(file-hw file-hw-exec empty-dir symlink complicated EXEC_TWINS THOUSAND)
castore import "${paths[@]}" | sort >paths
sort >expected <<'EOF'
/nix/store/7md3dnsc538ipyd9gyk5v539yqrbs880-file-hw
/nix/store/cjpl33jn3hp6b89fwbaazpaipk74j0wx-file-hw-exec
/nix/store/gygiwca87yqrsr9rgm137lwlyjnz1mg1-empty-dir
/nix/store/11i0w7x0adl6iyydsilpl0nc8v1zc2m4-symlink
/nix/store/pngqdzggfqs4q7fg6iywqnlzcgsp85qr-complicated
/nix/store/nakidj3bbzhrbzdx74q7qnhh3k7fdifg-EXEC_TWINS
/nix/store/wn20sg6pp063b77f7460mrk7y0mn0w0q-THOUSAND
EOF
diff expected paths

step "a name can be given"
expect_equal "$(castore import --name helloworld.file file-hw)" \
  /nix/store/7r41n3810kvrgic6lzrrxb6fy3af6653-helloworld.file

step "digest, size and NAR hash of a file"
object=$(castore import --json file-hw)
expect_equal "$(json kind <<<"$object")" file
expect_equal "$(json digest <<<"$object")" blake3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww=
expect_equal "$(json size <<<"$object")" 12
expect_equal "$(json executable <<<"$object")" False
expect_equal "$(json nar_size <<<"$object")" 128
expect_equal "$(json nar_sha256 <<<"$object")" sha256-A+f2O+MLBl14vPYV9Uc1Rf2062mqQW9DSVtOBc37gEA=

step "directory digests in both size conventions"
expect_equal "$(castore ingest complicated)" \
  "directory blake3-P5UaFa/VhvsxIe9NE9WC6BHODlp/IcBJf9h0kOniNVo= 4"
expect_equal "$(castore ingest --directory-size doubled complicated)" \
  "directory blake3-Qkp/bOCNgF0VtCgGL6rpYpmhZ11wjDo5Jhr+OM3QT+s= 8"
expect_equal "$(castore ingest THOUSAND)" \
  "directory blake3-pF7uCIPGfugxotQ+8yKRjrhT3AqldW1Vm3xRTMoOehk= 1000"
expect_equal "$(castore ingest empty-dir)" \
  "directory blake3-rxNJufX5oaagQE3qNtzJSZvLJcmtwRK3zJqTyuQfMmI= 0"
expect_code 0 castore verify
