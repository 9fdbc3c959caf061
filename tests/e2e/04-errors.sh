#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# What cannot be done is refused, with a line that says what was attempted on what and why.
source "$(dirname "$0")/lib.sh"

cd "$work"
mkdir t
echo content >t/file

step "looking needs a store, and says how to make one"
expect_error 1 "$CASTORE_STORE.*castore import" castore list
[[ ! -e $CASTORE_STORE ]] || fail "looking made a store"

step "names are checked before anything is imported"
expect_error 1 'importing nowhere: No such file' castore import t nowhere
expect_error 1 'name of its own' castore import t .
expect_error 1 'name of its own' castore import t /
expect_error 1 'name of its own' castore import t/..
touch $'bad\xff' 'two words'
expect_error 1 'UTF-8' castore import t $'bad\xff'
expect_error 1 'two words' castore import t 'two words'
expect_error 2 'two words' castore import --name 'two words' t
expect_error 2 'one PATH' castore import --name n t t
[[ ! -e $CASTORE_STORE ]] || fail "a refused import made a store"
expect_code 0 castore import --name fine 'two words'

step "names that look like options, lists and commands are names"
mkdir -- list '[a,b]' names
echo x >'[a,b]/x'
expect_code 0 castore import list
expect_equal "$(castore ingest --json '[a,b]' | json size)" 1
expect_error 1 'importing \[x,y\]: No such file' castore import '[x,y]'
mkdir names/-v
expect_code 0 castore import -- names/-v

step "special files and unreadable ones fail by name, and register nothing"
before=$(castore list)
mkfifo t/fifo
expect_error 1 't/fifo' castore import t
rm t/fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("t/socket")'
expect_error 1 't/socket' castore import t
rm t/socket
if [[ $(id -u) -eq 0 ]]; then
  mkdir private
  echo secret >private/secret
  chmod 700 private
  mkdir -m 777 user
  mkdir user/t
  echo secret >user/t/unreadable
  chmod 600 user/t/unreadable
  chmod 755 "$work"
  for what in private user/t; do
    expect_error 1 'Permission denied' setpriv --reuid 65534 --regid 65534 --clear-groups \
      "$CASTORE" --store "$work/user/store" import "$what"
  done
  grep -q unreadable "$work/err" || fail "the unreadable file is not named"
fi
expect_equal "$(castore list)" "$before"

step "export overwrites nothing"
path=$(castore import t)
echo mine >taken
mkdir taken-folder
for taken in taken taken-folder t/file/below nowhere/below; do
  expect_code 1 castore export "$path" "$taken"
done
expect_equal "$(cat taken)" mine
rmdir taken-folder

step "an unknown scheme lists the known ones"
expect_error 2 "unknown scheme 's3'.*memory://, local:///DIR" \
  castore --blob-service-addr s3://bucket list

step "a newer store format is refused, and nothing is changed"
castore import t >/dev/null
cp -r "$CASTORE_STORE" newer
sed -i 's/[0-9]\+/987/' newer/format
expect_error 1 'format 987' castore --store newer list
expect_error 1 'format 987' castore --store newer import t
cp newer/format before
expect_code 3 castore --store newer doctor
cmp before newer/format

step "a folder that is no store is not taken for one"
mkdir foreign
echo x >foreign/precious
expect_code 1 castore --store foreign import t
expect_equal "$(ls foreign)" precious

expect_error 2 'store folder is empty' castore --store '' list

step "a store that may not be written is said to be so"
if [[ $(id -u) -eq 0 ]]; then
  expect_error 1 'Permission denied' setpriv --reuid 65534 --regid 65534 --clear-groups \
    "$CASTORE" --store /root/castore-e2e-no import t
fi

step "mounting on what is no folder"
expect_error 1 'nowhere' castore mount nowhere
expect_error 1 'taken' castore mount taken
expect_error 1 . castore umount t
expect_error 1 . castore umount nowhere
