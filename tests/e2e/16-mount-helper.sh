#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# mount -t castore and lines of /etc/fstab work, as root and as a user. In a mount namespace of its
# own, in which /sbin and /etc/fstab are the story's.
if [[ $(id -u) -eq 0 && -z ${CASTORE_E2E_NAMESPACE:-} ]]; then
  exec env CASTORE_E2E_NAMESPACE=1 unshare --mount bash "$0"
fi
source "$(dirname "$0")/lib.sh"
need_fuse
command -v cmake >/dev/null || skip "cmake, to install"
[[ -f ${CASTORE_BUILD:-}/cmake_install.cmake ]] || skip "CASTORE_BUILD, the folder of a build"

cd "$work"
chmod 755 "$work"
mkdir -p t/sub mnt
mnt=$work/mnt
mounts+=("$mnt")
cp /bin/true t/program
echo content >t/sub/file
path=$(castore import t)
digest=$(castore stat --json "$path" | json digest)
store=$CASTORE_STORE
unset CASTORE_STORE

step "it is installed where mount(8) looks"
cmake --install "$CASTORE_BUILD" --prefix "$work/prefix" >install.log 2>&1 || {
  cat install.log >&2
  fail "cmake --install"
}
[[ -L prefix/sbin/mount.castore && -x prefix/sbin/mount.castore ]] || fail "no prefix/sbin/mount.castore"
expect_equal "$(realpath prefix/sbin/mount.castore)" "$(realpath prefix/bin/castore)"
mkdir sbin
for helper in prefix/sbin/*; do ln -s "$work/$helper" sbin/; done
mount --bind sbin /sbin
: >fstab
mount --bind fstab /etc/fstab

# The process that serves $mnt: the helper, gone to the background.
server() {
  local process arguments
  for process in /proc/[0-9]*; do
    { mapfile -d '' -t arguments <"$process/cmdline"; } 2>/dev/null || continue
    if [[ ${arguments[0]:-} == */mount.castore && ${arguments[2]:-} == "$mnt" ]]; then
      echo "${process#/proc/}"
      return
    fi
  done
  return 1
}
# unmounted: with everything that served it.
unmounted() {
  local pid
  pid=$(server) || fail "nobody serves $mnt"
  umount "$mnt"
  until_true 10 gone "$pid"
  not_mounted "$mnt" || fail "still mounted"
}
in_table() { grep -F " $mnt " /proc/self/mountinfo; }

step "mount -t castore"
expect_code 0 mount -t castore -o "ro,root=$digest,store=$store,allow_other" none "$mnt"
expect_equal "$(cat out err)" ""
expect_equal "$(cat "$mnt/sub/file")" content
in_table | grep -qF " - fuse.castore castore:$digest ro" || fail "the mount table: $(in_table)"
in_table | grep -q 'allow_other' || fail "others are not let in"
pid=$(server)
for fd in 0 1 2; do expect_equal "$(readlink "/proc/$pid/fd/$fd")" /dev/null; done
unmounted

step "what the mount table shows can be mounted again"
mount -t castore -o "ro,store=$store" "castore:$digest" "$mnt"
unmounted
mount -t castore -o ro,list_root "castore:$store" "$mnt"
expect_equal "$(ls "$mnt")" "${path##*/}"
unmounted

step "without ro it is read-only all the same, with a warning"
expect_code 0 mount -t castore -o "root=$path,store=$store" none "$mnt"
grep -q "warning: castore is read-only" err || fail "no warning"
if touch "$mnt/new" 2>/dev/null; then fail "written to"; fi
"$mnt/program"
unmounted

step "noexec and nosymfollow hold"
mount -t castore -o "ro,noexec,nosymfollow,root=$path,store=$store" none "$mnt"
expect_code 126 "$BASH" -c '"$1"' bash "$mnt/program"
in_table | grep -q ' ro,nosuid,nodev,noexec,noatime,nosymfollow ' || fail "the mount table: $(in_table)"
unmounted

step "a store whose name has a comma and a space"
ln -s store 'a, b'
mount -t castore -o "ro,root=$path,store=\"$work/a, b\"" none "$mnt"
expect_equal "$(cat "$mnt/sub/file")" content
unmounted

step "lines of /etc/fstab"
echo "castore:$digest $mnt castore" \
  "ro,store=$store,allow_other,nofail,_netdev,x-systemd.automount,comment=sources 0 0" >fstab
expect_code 0 mount -a -t castore
expect_equal "$(cat err)" ""
expect_equal "$(cat "$mnt/sub/file")" content
expect_code 0 mount -a -t castore
expect_equal "$(grep -cF " $mnt " /proc/self/mountinfo)" 1 "mounts after a second mount -a"
unmounted
sed "s/nofail/noauto/" fstab >table
expect_code 0 mount --fstab table -a -t castore
not_mounted "$mnt" || fail "mounted in spite of noauto"
expect_code 0 mount --fstab table "$mnt"
unmounted

step "errors are mount(8)'s"
expect_error 1 "unknown option 'rooot' .known: .*root=, list_root.*threads=.*store=" \
  mount -t castore -o ro,rooot=x none "$mnt"
expect_error 1 '257|not in range' mount -t castore -o "ro,threads=257,store=$store" none "$mnt"
expect_error 1 'contradict' mount -t castore -o ro,root=x castore:y "$mnt"
expect_error 1 'SOURCE TARGET' /sbin/mount.castore none
expect_error 32 'blake3-AAAA' mount -t castore \
  -o "ro,store=$store,root=blake3-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=" none "$mnt"
expect_error 32 'no castore store' mount -t castore -o "ro,root=$path,store=$work/absent" none "$mnt"
expect_error 1 'cannot be changed' mount -t castore -o remount,ro none "$mnt"
expect_error 2 'namespace' /sbin/mount.castore none "$mnt" -N /proc/self/ns/uts -o "ro,store=$store"
not_mounted "$mnt" || fail "mounted after an error"

step "sloppy, fake, verbose"
expect_code 0 mount -s -t castore -o "ro,vers=4,root=$path,store=$store" none "$mnt"
unmounted
expect_error 0 'castore mount --root=.* -- ' \
  mount --fake --verbose -t castore -o "ro,root=$path,store=$store" none "$mnt"
not_mounted "$mnt" || fail "mounted by --fake"
expect_code 1 mount --fake -t castore -o "ro,threads=none" none "$mnt"

step "into another mount namespace"
unshare --mount sleep 600 &
other=$!
pids+=("$other")
until_true 10 test "$(readlink /proc/$$/ns/mnt)" != "$(readlink "/proc/$other/ns/mnt")"
until_true 10 grep -q sleep "/proc/$other/comm"
mount --namespace "$other" -t castore -o "ro,root=$path,store=$store" none "$mnt"
not_mounted "$mnt" || fail "mounted here"
expect_equal "$(nsenter --mount="/proc/$other/ns/mnt" cat "$mnt/sub/file")" content
pid=$(server)
nsenter --mount="/proc/$other/ns/mnt" umount "$mnt"
until_true 10 gone "$pid"

step "a user mounts what /etc/fstab lets users mount"
fusermount=$(command -v fusermount3) || skip "fusermount3, for the last step"
[[ -u $fusermount && -u $(command -v mount) ]] || skip "mount and fusermount3 to be setuid root, for the last step"
mknod -m 666 fuse c 10 229
mount --bind fuse /dev/fuse || skip "a device node that users can open, for the last step"
chown -R 65534:65534 store mnt
as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
echo "none $mnt castore ro,noauto,user,root=$path,store=$store 0 0" >fstab
# `user` includes noexec, which only root can set on a mount that is there.
expect_error 32 'ask for .exec' as_user mount "$mnt"
not_mounted "$mnt" || fail "mounted without noexec"
echo "none $mnt castore ro,noauto,user,exec,root=$path,store=$store 0 0" >fstab
as_user mount "$mnt"
expect_equal "$(as_user cat "$mnt/sub/file")" content
pid=$(server)
as_user umount "$mnt"
until_true 10 gone "$pid"
