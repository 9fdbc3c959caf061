#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# An ordinary user imports into a store of their own and mounts it through fusermount3.
# Where only root may open /dev/fuse (a container's default), the story is played in a mount
# namespace of its own with a device node as distributions have it.
if [[ -c /dev/fuse && $(stat -c %a /dev/fuse) != *6 && -z ${CASTORE_E2E_NAMESPACE:-} ]]; then
  exec env CASTORE_E2E_NAMESPACE=1 unshare --mount bash "$0"
fi
source "$(dirname "$0")/lib.sh"
need_fuse
if [[ -n ${CASTORE_E2E_NAMESPACE:-} ]]; then
  mknod -m 666 "$work/fuse" c 10 229
  mount --bind "$work/fuse" /dev/fuse || skip "a device node that users can open"
fi
fusermount=$(command -v fusermount3) || skip "fusermount3"
[[ -u $fusermount ]] || skip "fusermount3 to be setuid root"
command -v setpriv >/dev/null || skip "setpriv"

cd "$work"
chmod 711 "$work"  # as /home often is: to be passed through, not to be listed
mkdir home home/mnt home/t
echo mine >home/t/file
chown -R 65534:65534 home
cp "$CASTORE" castore
as_user() {
  env -u CASTORE_STORE -u XDG_DATA_HOME HOME="$work/home" \
    setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}
cd home

step "the store is made under the user's home"
path=$(as_user ../castore import t)
[[ -d $work/home/.local/share/castore ]] || fail "no store in .local/share/castore"
expect_equal "$(env -u CASTORE_STORE HOME="$work/home" XDG_DATA_HOME="$work/home/.local/share" \
  setpriv --reuid 65534 --regid 65534 --clear-groups ../castore list)" "$path"

step "mount, read, unmount"
mounts+=("$work/home/mnt")
as_user ../castore mount --list-root --log-file "$work/home/mount.log" "$work/home/mnt"
is_mounted "$work/home/mnt" || fail "not mounted"
expect_equal "$(as_user cat "mnt/${path##*/}/file")" mine
expect_equal "$(as_user ls mnt)" "${path##*/}"

step "others, root included, are kept out"
if cat "mnt/${path##*/}/file" >/dev/null 2>&1; then fail "another user can read"; fi

step "the user ends it"
pid=$(server_of "$work/home/mnt")
as_user ../castore umount mnt
not_mounted "$work/home/mnt" || fail "still mounted"
until_true 10 gone "$pid"
as_user ../castore mount --log-file "$work/home/mount.log" "$work/home/mnt"
pid=$(server_of "$work/home/mnt")
as_user kill -TERM "$pid"
until_true 10 gone "$pid"
not_mounted "$work/home/mnt" || fail "still mounted after SIGTERM"

step "--allow-other is refused where the system does not allow it"
if ! grep -q '^user_allow_other' /etc/fuse.conf 2>/dev/null; then
  expect_error 1 'allow_other' as_user ../castore mount --allow-other mnt
fi
not_mounted "$work/home/mnt" || fail "mounted after an error"

step "doctor speaks to ordinary users"
expect_code 0 as_user ../castore doctor
