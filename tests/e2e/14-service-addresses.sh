#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# Each service can live in a place of its own, named by option or environment.
source "$(dirname "$0")/lib.sh"

cd "$work"
mkdir t
echo content >t/file
apart=(--blob-service-addr "local://$work/blobs" --directory-service-addr "local://$work/dirs"
  --path-info-service-addr "local://$work/infos")

step "three stores, none of them whole"
path=$(castore "${apart[@]}" import t)
[[ ! -e $CASTORE_STORE ]] || fail "the store folder was made"
expect_equal "$(castore "${apart[@]}" cat "$path/file")" content
expect_equal "$(castore --store infos list)" "$path"
expect_equal "$(castore --store blobs list)" ""
expect_code 0 castore "${apart[@]}" verify
expect_code 3 castore --store infos verify

step "the environment names them too, and options win"
export BLOB_SERVICE_ADDR=local://$work/blobs DIRECTORY_SERVICE_ADDR=local://$work/dirs
export PATH_INFO_SERVICE_ADDR=local://$work/infos
expect_equal "$(castore cat "$path/file")" content
expect_code 1 castore cat "$path/file" --path-info-service-addr "local://$work/blobs"
unset BLOB_SERVICE_ADDR DIRECTORY_SERVICE_ADDR PATH_INFO_SERVICE_ADDR

step "memory forgets, and still tells the store path"
memory=(--blob-service-addr memory:// --directory-service-addr memory://
  --path-info-service-addr memory://)
expect_equal "$(castore "${memory[@]}" import t)" "$path"
expect_equal "$(castore "${memory[@]}" list)" ""

step "what lasts does not refer to what is forgotten"
expect_error 2 'blobs would be forgotten' castore --blob-service-addr memory:// import t
expect_error 2 'blobs would be forgotten' castore --blob-service-addr memory:// ingest t
expect_error 2 'blobs would be forgotten' castore --blob-service-addr memory:// \
  --directory-service-addr memory:// import t
expect_error 2 'directories would be forgotten' castore --directory-service-addr memory:// import t
expect_code 0 castore --blob-service-addr memory:// --directory-service-addr memory:// ingest t

step "addresses that make no sense"
expect_error 2 'absolute' castore --blob-service-addr local://relative list
expect_error 2 'neither host nor path' castore --blob-service-addr memory://host list
expect_error 2 'no scheme' castore --blob-service-addr /plain list
# Addresses for other programs are nobody's business where no service is opened.
expect_error 1 'nothing is mounted there' env BLOB_SERVICE_ADDR=s3://bucket "$CASTORE" umount t
expect_error 1 'nothing is mounted there' env BLOB_SERVICE_ADDR=s3://bucket "$CASTORE" stats t
