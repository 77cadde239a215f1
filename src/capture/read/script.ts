import { COMMAND_LINE_SED } from './command-line.js';
import {
  CGROUP_FILES,
  CGROUP_ROOT,
  HOST_FILES,
  HOST_PATTERNS,
  LAYOUT_VERSION,
  MAX_BYTES,
  MAX_CGROUPS,
  MAX_ERRORS,
  NEVER_TAKEN,
  SAMPLED_FILES,
  SCRIPT_PARTS,
  SECRET_PARTS,
  SLAB_ATTRIBUTES,
  TOP_DIRECTORY,
  WITH_ARGUMENTS,
} from './contents.js';
import { FILES_IN_MEMORY, SAMPLES, SOCKETS } from './script/samples.js';

/**
 * Options, the output directory, and the functions used by the other parts. `keep` writes through a cat
 * of its own, so that a failed write (full disk, limit) is distinguished from an exited process.
 */
const SETUP = String.raw`#!/bin/sh
# A snapshot of this host, for: kdump-mem --from FILE.tar.gz, skcheck --from FILE.tar.gz
# Usage: sh snapshot.sh [--with PART,...] [--pss all] [--tmpfs] FILE.tar.gz [SECONDS]
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
USAGE='usage: sh snapshot.sh [--with PART,...] [--pss all] [--tmpfs] FILE.tar.gz [SECONDS]'
parts= memory_too= all_pss=
while [ $# -gt 0 ]; do
  case $1 in
    --with)
      [ $# -gt 1 ] || usage "$USAGE"
      parts=$(echo "$2" | tr , ' ')
      shift 2 ;;
    --pss)
      case ${'$'}{2-} in all) all_pss=yes ;; small) ;; *) usage "$USAGE" ;; esac
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
# Without a number there would be no interval between the samples.
case $wait in '' | . | *[!0-9.]* | *.*.* | ???????*) usage "SECONDS is a number, not $wait" ;; esac
case $out in - | /*) ;; *) out=$PWD/$out ;; esac
[ ! -d "$out" ] || fail "$out is a directory"
# Under memory pressure whatever is written to a tmpfs makes things worse.
tmpfs() {
  [ -z "$memory_too" ] && [ "$(stat -f -c %T "$1" 2>/dev/null)" = tmpfs ]
}
place=/var/tmp
if [ "$out" != - ]; then
  place=$(dirname "$out")
  ! tmpfs "$place" || fail "$place is in memory (tmpfs). Name a file on disk, or add --tmpfs"
fi
place=${'$'}{TMPDIR:-$place}
full() {
  fail "$place cannot be written: the disk may be full. Set TMPDIR to a directory with enough space"
}
# It shall not be in the way of others. Where these are missing it goes on without. Who may not go back stays: a reader
# that waits for a CPU while it has the mmap_lock of a process makes that wait too.
sh -c 'renice -n 10 -p $$ && renice 0 -p $$' >/dev/null 2>&1 && renice -n 10 -p $$ >/dev/null 2>&1
ionice -c3 -p $$ >/dev/null 2>&1
dir=$(mktemp -d "$place/.snapshot.XXXXXX" 2>/dev/null) || full
part=
trap 'rm -rf "$dir"; [ -z "$part" ] || rm -f "$part"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
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

/** Formats a list for `for`, one item per line. */
const list = (paths: readonly string[]): string => paths.join(' \\\n  ');

/**
 * The host's files, log and cgroups. /proc's files report a size of 0, so tar cannot archive them directly:
 * each is read by cat, and the many small ones by one grep that prefixes each line with the path.
 */
export const HOST = String.raw`
host_files() {
  for file in ${list(HOST_FILES)}; do
    take "$file"
  done
  for file in ${list(HOST_PATTERNS)}; do
    [ ! -e "$file" ] || take "$file"
  done
  ! asked arguments || take ${WITH_ARGUMENTS.join(' ')}
}
moving_files() {
  mkdir -p "$at/proc/pressure" 2>/dev/null || full
  for file in ${SAMPLED_FILES.join(' ')}; do
    [ -r "$file" ] && keep "$at$file" cat "$file"
  done
}
# xargs says 123 where a file or directory has gone meanwhile, which is no failure.
over() {
  command=$1
  shift
  printf '%s\0' "$@" | xargs -0 $command 2>> "$complaints" || [ $? = 123 ]
}
# What grep complained of, as lines of the file "errors". A kernel thread has no memory, which is no error.
tell_complaints() {
  sed -n -e '/smaps[_a-z]*: No such process$/d' -e '/^grep: \/proc\/.*\*/d' -e '/^grep: \/sys\/.*: No such file or directory$/d' \
    -e 's/\\/\\134/g' -e 's/	/\\011/g' \
    -e 's/^grep: \(\/.*\): \(No such .*\)$/\1	gone	\2/p;t' \
    -e 's/^grep: \(\/.*\): \(Permission denied\|Operation not permitted\)$/\1	denied	\2/p;t' \
    -e 's/^grep: \(\/.*\): \(.*\)$/\1	unreadable	\2/p;t' \
    -e 's/^ls: .*\(\/proc\/[0-9]*\/[a-z]*\).*: \(Permission denied\|Operation not permitted\)$/\1	denied	\2/p;t' \
    -e '/^ls: .*: No such [a-z ]*$/d' -e 's/^/sample	unreadable	/p' "$complaints" | sort -u > "$dir/told"
  head -n ${MAX_ERRORS} "$dir/told" >> "$top/errors" || full
  more=$(($(grep -c '' "$dir/told") - ${MAX_ERRORS}))
  [ "$more" -le 0 ] || note errors cut "$more more"
}
attributes() {
  over 'grep -H ^' ${SLAB_ATTRIBUTES.map((name) => `/sys/kernel/slab/*/${name}`).join(' ')}
}
cgroups() {
  find ${CGROUP_ROOT} -name memory.stat 2>> "$complaints" | head -n ${MAX_CGROUPS} > "$dir/cgroups"
  sed -n 's/memory.stat$//
h
${CGROUP_FILES.map((name) => `g;s/$/${name}/p`).join('\n')}' "$dir/cgroups" | tr '\n' '\0' |
    xargs -0 grep -H ^ 2>> "$complaints" | sed 's/\\/\\134/g'
}
take_cgroups() {
  keep "$top/cgroups" cgroups
  [ "$(grep -c '' "$dir/cgroups")" -lt ${MAX_CGROUPS} ] || note cgroups cut 'after ${MAX_CGROUPS} of them'
}
# As /dev/kmsg has it: a record a read, from the oldest that is left, until it would have to wait.
log() {
  dd if=/dev/kmsg iflag=nonblock bs=16384 2> "$dir/dd" | masked | head -c ${MAX_BYTES}
}
older_log() {
  dmesg -r | masked | head -c ${MAX_BYTES}
}
# Without the kernel's command line.
masked() {
  if asked arguments; then
    cat
  else
    sed ${COMMAND_LINE_SED.map((command) => `-e '${command}'`).join(' ')}
  fi
}
take_log() {
  keep "$top/log" log
  if [ -s "$top/log" ]; then
    ! grep -q 'Broken pipe' "$dir/dd" || note log cut 'lines disappeared during the read'
  else
    keep "$top/log" older_log
    [ -s "$top/log" ] || note log denied 'neither /dev/kmsg nor dmesg gives it'
  fi
  bounded log ${MAX_BYTES}
}
facts() {
  keep "$top/version" echo ${LAYOUT_VERSION}
  keep "$top/taken-by" echo script
  keep "$top/asked" lines $parts
  left='${NEVER_TAKEN.join(' ')}'
  for secret in ${SECRET_PARTS.join(' ')}; do
    asked $secret || left="$left $secret"
  done
  keep "$top/left-out" lines $left
  true > "$top/errors"
}
lines() {
  [ $# = 0 ] || printf '%s\n' "$@"
}
`;

/** Writes the manifest and the archive, which appears under its final name when it is complete; see manifest.ts. */
const PACK = `
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
  fail 'cannot checksum the captured files (find, xargs and cksum required)'
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

/**
 * The collector in POSIX sh, with tar, cat, ls, grep, sed, find, xargs, cksum, tr, cut, head, wc, sort,
 * mkdir, mktemp, sleep, gzip; `ss`, and `nsenter` or `ip`, `dd`, `dmesg`, `stat`, `renice`, `ionice` if
 * available. For hosts without Node, and for `skcheck --capture`. contents.ts lists what it reads, and
 * docs/internals/snapshot.md describes the archive. It modifies nothing.
 *
 * It writes a complete archive or exits with status 3 and one line; 2 for an invalid command line. The
 * last member of the archive, `manifest`, lists all others with the output of cksum; see manifest.ts.
 */
export const CAPTURE_SCRIPT = [SETUP, HOST, FILES_IN_MEMORY, SOCKETS, SAMPLES, PACK].join('');
