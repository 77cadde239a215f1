import { TOP_DIRECTORY } from '../contents.js';

/** The manifest and the archive, which appears under its name when it is whole; see manifest.ts. */
export const PACK = `
# The manifest: checksum, size and name of each file, and a last line that says how many they are.
cd "$top" || exit 3
files() {
  find . -type f
}
sums() {
  find . -type f | xargs cksum
}
count() {
  echo $(grep -c '' "$1")
}
keep "$dir/files" files && keep "$dir/sums" sums && [ "$(count "$dir/files")" = "$(count "$dir/sums")" ] ||
  fail 'the captured files cannot be summed up: it takes find, xargs and cksum'
cd "$dir" || exit 3
last() {
  cat sums && echo "whole $(count sums)"
}
set -- ${TOP_DIRECTORY}/*
keep ${TOP_DIRECTORY}/manifest last
if [ "$out" = - ]; then exec 4>&1
else
  part=$out.$$.partial
  (exec 2>/dev/null; true > "$part") || fail "$out cannot be written"
  exec 4> "$part"
fi
status=$({ { tar -cf - "$@" ${TOP_DIRECTORY}/manifest 3>&- 4>&-; echo $? >&3; } | gzip 3>&- >&4 || echo gzip >&3; } 3>&1 2>/dev/null)
[ "$status" = 0 ] || fail "the archive cannot be written to $out"
# Out of the page cache with it, where dd can; it must lie on the disk for that.
[ "$out" = - ] || dd of="$part" oflag=nocache conv=notrunc,fdatasync count=0 2>/dev/null
[ "$out" = - ] || mv -f "$part" "$out" 2>/dev/null || fail "$out cannot be written"
part=
`;
