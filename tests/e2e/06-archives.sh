#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# An archive is stored as the tree it holds: plain or compressed, from a file or a pipe.
source "$(dirname "$0")/lib.sh"

cd "$work"
mkdir -p t/sub/empty
echo content >t/file
ln t/file t/sub/hard-link
ln -s ../file t/sub/link
printf run >t/run
chmod 755 t/run
printf x >$'t/odd\xff\nname'
touch "t/$(printf 'n%.0s' $(seq 250))"
ln -s "$(printf 't%.0s' $(seq 3000))" t/long-link
truncate -s 1M t/sparse
expected=$(castore ingest t)

step "plain and compressed archives give the digest of the tree"
tar -cf t.tar t
tar --format=pax -cf pax.tar t
tar -czf t.tar.gz t
tar -cJf t.tar.xz t
tar --zstd -cf t.tar.zst t
tar -cjf t.tar.bz2 t
for archive in t.tar pax.tar t.tar.gz t.tar.xz t.tar.zst t.tar.bz2; do
  [[ -s $archive ]] || continue
  expect_equal "$(castore ingest "$archive")" "$expected" "$archive"
  expect_equal "$(castore ingest - <"$archive")" "$expected" "$archive from standard input"
done
expect_equal "$(tar -c t | castore ingest -)" "$expected" "a pipe"
expect_equal "$(castore ingest <(tar -cz t))" "$expected" "a named pipe"

step "several top-level entries need --tar-root=whole"
(cd t && tar -cf ../flat.tar .)
(cd t && tar -cf ../several.tar -- *)
expect_error 1 . castore ingest several.tar
expect_equal "$(castore ingest --tar-root=whole several.tar)" "$expected"
expect_equal "$(castore ingest --tar-root=whole flat.tar)" "$expected"

step "--as decides for what could be either"
expect_equal "$(castore ingest --as=tree --json t.tar | json kind)" file
ln -s t to-folder
expect_equal "$(castore ingest to-folder)" "symlink -> t"
ln -s t.tar to-archive
expect_equal "$(castore ingest to-archive)" "$expected"
expect_code 1 castore ingest --as=archive t

step "what is no archive is refused, and so is half of one"
echo nonsense >nonsense
expect_error 1 'nonsense' castore ingest nonsense
head -c 20000 t.tar >half.tar
expect_error 1 'half.tar' castore ingest half.tar
head -c 1000 t.tar.gz >half.tar.gz
expect_error 1 'half.tar.gz' castore ingest half.tar.gz

step "paths that climb out are refused"
python3 - <<'EOF'
import io, tarfile
for name, path in (("climb", "a/../../x"), ("absolute", "/x")):
    with tarfile.open(name + ".tar", "w") as archive:
        member = tarfile.TarInfo(path)
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
with tarfile.open("fifo.tar", "w") as archive:
    folder = tarfile.TarInfo("d"); folder.type = tarfile.DIRTYPE; archive.addfile(folder)
    member = tarfile.TarInfo("d/f"); member.type = tarfile.FIFOTYPE; archive.addfile(member)
EOF
for archive in climb absolute fifo; do
  expect_error 1 "$archive.tar" castore ingest --tar-root=whole "$archive.tar"
done
expect_code 0 castore verify
