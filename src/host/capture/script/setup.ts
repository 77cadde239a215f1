import { SCRIPT_PARTS, TOP_DIRECTORY } from '../contents.js';

/**
 * Options, the directory that is filled, and the words that the other parts are made of. `keep` writes
 * whatever is written through a cat of its own, so that a write that fails (a full disk, a limit) is
 * told from a process that has ended.
 */
export const SETUP = String.raw`#!/bin/sh
# A snapshot of this host, for: kdump-mem --from FILE.tar.gz, skcheck --from FILE.tar.gz
# Usage: sh snapshot.sh [--with PART,...] [--tmpfs] FILE.tar.gz [SECONDS]
#   (as root, for all processes and namespaces; with - as the file the archive goes to stdout)
# Parts: ${SCRIPT_PARTS.join(' ')}
# TMPDIR names a directory for what is collected; without it that is the file's own.
set -u
umask 077
# Elements of PATH that are empty or relative name the current folder, which may be anybody's.
folders= IFS=:
set -f
for part in ${'$'}{PATH-}; do
  case $part in /*) folders=$folders$part: ;; esac
done
set +f
unset IFS
export LC_ALL=C PATH="$folders/usr/sbin:/sbin:/usr/bin:/bin"
fail() {
  echo "snapshot: $1" >&2
  exit 3
}
usage() {
  echo "snapshot: $1" >&2
  exit 2
}
USAGE='usage: sh snapshot.sh [--with PART,...] [--tmpfs] FILE.tar.gz [SECONDS]'
parts= memory_too=
while [ $# -gt 0 ]; do
  case $1 in
    --with)
      [ $# -gt 1 ] || usage "$USAGE"
      parts=$(echo "$2" | tr , ' ')
      shift 2 ;;
    --tmpfs) memory_too=yes; shift ;;
    --*) usage "$USAGE" ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] && [ $# -lt 3 ] || usage "$USAGE"
for each in $parts; do
  case $each in
    ${SCRIPT_PARTS.join(' | ')}) ;;
    *) usage "it has no part $each. Parts: ${SCRIPT_PARTS.join(' ')}" ;;
  esac
done
asked() {
  case " $parts " in *" $1 "*) ;; *) return 1 ;; esac
}
out=$1 wait=2
[ $# = 1 ] || wait=$2
case $out in - | /*) ;; *) out=$PWD/$out ;; esac
[ ! -d "$out" ] || fail "$out is a directory"
# Under memory pressure whatever is written to a tmpfs makes things worse.
tmpfs() {
  [ -z "$memory_too" ] && [ "$(stat -f -c %T "$1" 2>/dev/null)" = tmpfs ]
}
place=/var/tmp
if [ "$out" != - ]; then
  place=$(dirname "$out")
  ! tmpfs "$place" || fail "$place lies in memory (tmpfs): name a file on a disk, or say --tmpfs"
fi
place=${'$'}{TMPDIR:-$place}
full() {
  fail "$place cannot be written: the disk may be full. Set TMPDIR to a directory with room"
}
# It shall not be in the way of others. Where these are missing it goes on without.
renice -n 10 -p $$ >/dev/null 2>&1
ionice -c3 -p $$ >/dev/null 2>&1
dir=$(mktemp -d "$place/.snapshot.XXXXXX" 2>/dev/null) || full
part=
trap 'rm -rf "$dir"; [ -z "$part" ] || rm -f "$part"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# A limit on file sizes is to be an error of the write.
trap '' XFSZ
top=$dir/${TOP_DIRECTORY}
mkdir "$top" 2>/dev/null || full
complaints=$dir/complaints
true > "$complaints"
# Writes what a command prints into a file. Returns the command's own status; without room all ends.
keep() {
  file=$1
  shift
  status=$({ { "$@" 2>/dev/null 3>&-; echo $? >&3; } | cat > "$file" 3>&- || echo full >&3; } 3>&1 2>/dev/null)
  case $status in
    *full*) full ;;
    '') fail 'a process could not be started' ;;
  esac
  return "$status"
}
# One line of the file "errors": path, code, words.
note() {
  { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >> "$top/errors"; } 2>/dev/null || full
}
take() {
  if [ ! -e "$1" ]; then note "$1" absent 'this host has no such file'; return; fi
  if [ ! -r "$1" ]; then note "$1" denied 'it may not be read'; return; fi
  mkdir -p "$top$(dirname "$1")" 2>/dev/null || full
  keep "$top$1" cat "$1" || note "$1" unreadable 'cat failed'
}
# No more than so many bytes of a file: the rest is said to be cut.
bounded() {
  [ "$(wc -c < "$top/$1")" -lt "$2" ] || note "$1" cut "only its first $2 bytes"
}
`;
