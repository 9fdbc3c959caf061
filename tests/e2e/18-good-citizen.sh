#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# A mount takes part in what Linux offers around file systems; docs/mounting.md shows these commands.
if [[ $(id -u) -eq 0 && -z ${CASTORE_E2E_NAMESPACE:-} ]]; then
  exec env CASTORE_E2E_NAMESPACE=1 unshare --mount bash "$0"
fi
source "$(dirname "$0")/lib.sh"
need_fuse

cd "$work"
chmod 755 "$work"
mkdir -p t/sub/deep t/empty
cp /bin/true t/program
printf '#!/bin/sh\necho "script $1"\n' >t/script
chmod 755 t/program t/script
head -c 3000001 /dev/urandom >t/large
head -c 3000 /dev/urandom >t/small
: >t/nothing
ln -s sub/deep t/link
for i in $(seq 300); do echo "$i" >"t/sub/deep/$i"; done
path=$(castore import t)
mnt=$work/mnt

step "the log level is --log-level, else CASTORE_LOG"
# What a mount writes into its log from begin to end.
log_of_mount() {
  local pid
  : >mount.log
  mount_at "$mnt" --root "$path" "$@"
  pid=$(server_of "$mnt")
  castore umount "$mnt"
  until_true 10 gone "$pid"
  cat mount.log
}
grep -q "mounted on $mnt" <<<"$(log_of_mount)" || fail "no line at the default level"
expect_equal "$(log_of_mount --log-level=error)" ""
expect_equal "$(CASTORE_LOG=error log_of_mount)" ""
grep -q "mounted on $mnt" <<<"$(CASTORE_LOG=error log_of_mount --log-level=info)" || fail "no line at level info"
expect_error 2 'unknown log level .loud. .known: trace' castore --log-level=loud list
expect_error 2 'unknown log level .loud. .known: trace' env CASTORE_LOG=loud "$CASTORE" list

mount_at "$mnt" --root "$path" --allow-other

step "system calls"
python3 "$here/citizen.py" "$work/t" "$mnt"

step "programs and scripts run out of it"
"$mnt/program"
expect_equal "$("$mnt/script" runs)" "script runs"

step "flock(1) excludes"
exec 8<"$mnt/small"
flock --exclusive --nonblock 8
if flock --exclusive --nonblock "$mnt/small" true; then fail "locked twice"; fi
exec 8<&-
flock --exclusive --nonblock "$mnt/small" true

step "bind mounts, of a folder and of a file, also noexec"
mkdir bound
: >bound-file
mounts+=("$work/bound" "$work/bound-file")
mount --bind "$mnt/sub" bound
mount --bind "$mnt/small" bound-file
cmp t/sub/deep/7 bound/deep/7
cmp t/small bound-file
umount bound bound-file
mount --bind "$mnt" bound
mount -o remount,bind,ro,noexec bound
expect_code 126 "$BASH" -c '"$1"' bash bound/program
umount bound

step "a writable view: overlayfs with the mount below"
mkdir upper overlay-work view
mounts+=("$work/view")
mount -t overlay overlay -o "lowerdir=$mnt,upperdir=$work/upper,workdir=$work/overlay-work" view
diff -r --no-dereference t view
echo more >>view/large
echo new >view/sub/new
rm view/small
rm -r view/sub/deep
mv view/program view/moved
cp t/large expected
echo more >>expected
cmp expected view/large
view/moved
expect_equal "$(ls view/sub)" new
[[ ! -e view/small ]] || fail "removed, and still there"
cmp t/large "$mnt/large"
cmp t/small "$mnt/small"
expect_equal "$(ls upper/sub)" $'deep\nnew'
umount view
diff -r --no-dereference t "$mnt"

step "several mounts, one above the other, as layers"
mkdir layer
echo above >layer/small
above=$(castore import layer)
mount_at "$work/mnt2" --root "$above" --allow-other
mount -t overlay overlay -o "lowerdir=$work/mnt2:$mnt" view
expect_equal "$(cat view/small)" above
cmp t/large view/large
umount view
castore umount "$work/mnt2"

step "inode numbers are the same after a remount, so that tar, rsync and git are not surprised"
numbers() { (cd "$1" && find . -printf '%i %p\n' | sort -k 2); }
numbers "$mnt" >numbers.1
tar --create --file first.tar --directory "$mnt" --listed-incremental=snapshot .
if command -v git >/dev/null; then
  git=(git -c user.name=e2e -c user.email=e2e@localhost -c safe.directory='*' --git-dir="$work/repository"
    --work-tree="$mnt")
  git init --quiet --bare repository
  git -C repository config core.bare false
  "${git[@]}" add --all
  "${git[@]}" commit --quiet -m all
fi
if command -v rsync >/dev/null; then rsync --archive "$mnt/" copy/; fi
castore umount "$mnt"
mount_at "$mnt" --root "$path" --allow-other
# Asked in another order.
cat "$mnt/sub/deep/300" >/dev/null
numbers "$mnt" >numbers.2
cmp numbers.1 numbers.2 || fail "other inode numbers after a remount"
tar --create --file second.tar --directory "$mnt" --no-check-device --listed-incremental=snapshot .
expect_equal "$(tar --list --file second.tar | grep -v '/$' || true)" "" "files tar takes for new"
if command -v git >/dev/null; then
  expect_equal "$("${git[@]}" status --porcelain)" "" "what git takes for changed"
  # Nothing but the index was read: git knows the files by their inode numbers and times.
  expect_equal "$("${git[@]}" diff-files --name-only)" "" "files whose status git takes for changed"
fi
if command -v rsync >/dev/null; then
  # Elsewhere Linux shows symlinks with mode 0777, which nobody can change.
  rsync --archive --itemize-changes --dry-run "$mnt/" copy/ >out
  expect_equal "$(grep -v '^\.L\.\.\.p\.\.\.\.\. ' out || true)" "" "what rsync would copy"
fi
castore umount "$mnt"

step "in user and mount namespaces of an ordinary user"
command -v setpriv >/dev/null || skip "setpriv, for the last step"
[[ $(cat /proc/sys/user/max_user_namespaces) -gt 0 ]] || skip "user namespaces, for the last step"
mknod -m 666 fuse c 10 229
mount --bind fuse /dev/fuse || skip "a device node that users can open, for the last step"
cp "$CASTORE" program
chown -R 65534:65534 store
mkdir user-mnt
chown 65534:65534 user-mnt
as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
as_user unshare --user --map-root-user true 2>err || skip "user namespaces for ordinary users: $(cat err)"
# Without fusermount3: in its own namespace the user may mount.
as_user unshare --user --map-root-user --mount env PATH=/bin:/usr/bin bash -euc '
  "$1" --store "$2" mount --root "$3" --log-file /dev/null "$4"
  diff -r --no-dereference "$5" "$4"
  grep -qF " $4 " /proc/self/mountinfo
  "$1" umount "$4"
  ! grep -qF " $4 " /proc/self/mountinfo
  "$1" --store "$2" mount --root "$3" --log-file /dev/null "$4"
' bash "$work/program" "$CASTORE_STORE" "$path" "$work/user-mnt" "$work/t"
not_mounted "$work/user-mnt" || fail "seen outside of the namespace"
