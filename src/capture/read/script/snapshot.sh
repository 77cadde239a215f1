#!/bin/sh
## src/capture/read/script.ts puts values in place of __NAMES__. Lines with two number signs and those for shellcheck
## are not in what kdump-mem snapshot --script prints.
##
## Not reported: empty assignments in a row (SC1007), && before || (SC2015), names of lists and numbers (SC2043, SC2170),
## lists of words that are split (SC2046, SC2086), ls of names in /proc (SC2012), $ of sed and of inner shells (SC2016).
# shellcheck disable=SC1007,SC2012,SC2015,SC2016,SC2043,SC2046,SC2086,SC2170
# A snapshot of this host, for: kdump-mem --from FILE.tar.gz, skcheck --from FILE.tar.gz
# Usage: sh snapshot.sh [--with PART,...] [--pss all] [--tmpfs] FILE.tar.gz [SECONDS]
#   (as root, for all processes and namespaces; with - as the file the archive goes to stdout)
# Parts: __PARTS__
# TMPDIR names a directory for what is collected; without it that is the file's own.
## Options, the output directory, and the functions used by the other parts. `keep` writes through a cat of its own, so
## that a failed write (full disk, limit) is distinguished from an exited process.
set -u
umask 077
# Elements of PATH that are empty or relative name the current folder, which may be anybody's.
folders= IFS=:
set -f
for part in ${PATH-}; do
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
      case ${2-} in all) all_pss=yes ;; small) ;; *) usage "$USAGE" ;; esac
      shift 2 ;;
    --tmpfs) memory_too=yes; shift ;;
    --*) usage "$USAGE" ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] && [ $# -lt 3 ] || usage "$USAGE"
for each in $parts; do
  case $each in
    __PART_PATTERN__) ;;
    *) usage "it has no part $each. Parts: __PARTS__" ;;
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
place=${TMPDIR:-$place}
full() {
  fail "$place cannot be written: the disk may be full. Set TMPDIR to a directory with enough space"
}
# It shall not be in the way of others. Where these are missing it goes on without. Who may not go back stays: a reader
# that waits for a CPU while it has the mmap_lock of a process makes that wait too.
sh -c 'renice -n 10 -p $$ && renice 0 -p $$' >/dev/null 2>&1 && renice -n 10 -p $$ >/dev/null 2>&1
ionice -c3 -p $$ >/dev/null 2>&1
dir=$(mktemp -d "$place/.snapshot.XXXXXX" 2>/dev/null) || full
part=
# Some shells end with 2 where they cannot start a process.
trap 'status=$?
[ $status != 2 ] || { echo "snapshot: a process could not be started" >&2; status=3; }
rm -rf "$dir"
[ -z "$part" ] || rm -f "$part"
exit $status' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
# A limit on file sizes is to be an error of the write.
trap '' XFSZ
top=$dir/__TOP_DIRECTORY__
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
# The usual case starts one program; where it fails, keep tells an unreadable file from a full disk.
take() {
  if [ ! -e "$1" ]; then note "$1" absent 'this host has no such file'; return; fi
  if [ ! -r "$1" ]; then note "$1" denied 'it may not be read'; return; fi
  [ -d "$top${1%/*}" ] || mkdir -p "$top${1%/*}" 2>/dev/null || full
  { cat "$1" > "$top$1"; } 2>/dev/null || keep "$top$1" cat "$1" || note "$1" unreadable 'cat failed'
}
# No more than so many bytes of a file: the rest is said to be cut.
bounded() {
  [ "$(wc -c < "$top/$1")" -lt "$2" ] || note "$1" cut "only its first $2 bytes"
}

## The host's files, log and cgroups. /proc's files report a size of 0, so tar cannot archive them directly: each is
## read by cat, and the many small ones by one grep that prefixes each line with the path.
host_files() {
  for file in __HOST_FILES__; do
    take "$file"
  done
  for file in __HOST_PATTERNS__; do
    [ ! -e "$file" ] || take "$file"
  done
  ! asked arguments || take __WITH_ARGUMENTS__
}
# All by one program: their counters are compared, and a program that waits for a CPU between two of them is late.
moving_files() {
  mkdir -p "$at/proc/pressure" 2>/dev/null || full
  keep "$dir/moving" grep -sH ^ __SAMPLED_FILES__
  for file in __SAMPLED_FILES__; do
    [ -r "$file" ] && keep "$at$file" sed -n "s|^$file:||p" "$dir/moving"
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
  head -n __MAX_ERRORS__ "$dir/told" >> "$top/errors" || full
  more=$(($(grep -c '' "$dir/told") - __MAX_ERRORS__))
  [ "$more" -le 0 ] || note errors cut "$more more"
}
attributes() {
  over 'grep -H ^' __SLAB_ATTRIBUTES__
}
cgroups() {
  find __CGROUP_ROOT__ -name memory.stat 2>> "$complaints" | head -n __MAX_CGROUPS__ > "$dir/cgroups"
  sed -n 's/memory.stat$//
h
__CGROUP_FILES__' "$dir/cgroups" | tr '\n' '\0' |
    xargs -0 grep -H ^ 2>> "$complaints" | sed 's/\\/\\134/g'
}
take_cgroups() {
  keep "$top/cgroups" cgroups
  [ "$(grep -c '' "$dir/cgroups")" -lt __MAX_CGROUPS__ ] || note cgroups cut 'after __MAX_CGROUPS__ of them'
}
# As /dev/kmsg has it: a record a read, from the oldest that is left, until it would have to wait.
log() {
  dd if=/dev/kmsg iflag=nonblock bs=16384 2> "$dir/dd" | masked | head -c __MAX_BYTES__
}
older_log() {
  dmesg -r | masked | head -c __MAX_BYTES__
}
# Without the kernel's command line.
masked() {
  if asked arguments; then
    cat
  else
    sed __WITHOUT_COMMAND_LINE__
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
  bounded log __MAX_BYTES__
}
facts() {
  keep "$top/version" echo __LAYOUT_VERSION__
  keep "$top/taken-by" echo script
  keep "$top/asked" lines $parts
  left='__NEVER_TAKEN__'
  for secret in __SECRET_PARTS__; do
    asked $secret || left="$left $secret"
  done
  keep "$top/left-out" lines $left
  true > "$top/errors"
}
lines() {
  [ $# = 0 ] || printf '%s\n' "$@"
}

## Lists memfds, deleted files and files of tmpfs, and the rest of each tmpfs, as src/host/proc/shared-files.ts does.
## Names of descriptors, as ls prints them, select candidates; fdinfo and mountinfo show which are in a tmpfs, since
## stat would block on a file system that does not respond.
# Places of tmpfs. Where mounts cover each other, the last one is visible.
tmpfs_points() {
  sed -n 's/^[0-9]* [0-9]* [^ ]* [^ ]* \([^ ]*\) .* - \([^ ]*\) .*/\1 \2/p' /proc/self/mountinfo | grep -n '' |
    sed 's/^\([0-9]*\):\([^ ]*\)/\2 \1/' | sort -k1,1 -k2,2n |
    sed -n -e '$!N' -e '/^\([^ ]*\) .*\n\1 /!P' -e D |
    sed -n -e '/\\012/d' -e 's/\\040/ /g' -e 's/\\011/	/g' -e 's/\\134/\\/g' -e 's/ [0-9]* \(tmpfs\|rootfs\)$//p'
}
# What is kept of the lists of descriptors.
wanted() {
  printf '%s\n' '/fd:' 'socket:[' 'pipe:[' ' -> /memfd:' ' (deleted)' __DEVICE_LINKS__
  {
    cat "$dir/points"
    sed -n 's/^[0-9]* @[0-9]* . //p' "$dir/tmpfs"
  } | sed -e 's|/*$|/|' -e 's|^| -> |'
}
# Descriptors of files that may be in memory: path and target.
candidates() {
  sed -n '/^\/proc\/[0-9]*\/fd:$/{
s/:$//
h
d
}
s/^l[^>]* \([0-9]*\) -> \//\1 \//
t found
d
: found
G
s/^\([0-9]*\) \(.*\)\n\(.*\)$/\3\/\1 \2/p' "$dir/open" | head -n __TOO_MANY_FILES__
}
# Those in a tmpfs: memfds by their file system (not hugetlbfs), others by their mount.
in_tmpfs() {
  sed -n 's/ \/memfd:.*//p' "$dir/candidates" | xargs stat -L -f -c '%T %n' /dev/null | sed -n 's/^tmpfs \(\/proc\)/\1/p'
  grep -av ' /memfd:' "$dir/candidates" | sed 's/ .*//' > "$dir/others"
  {
    sed 's/fd\/.*/mountinfo/' "$dir/others" | sort -u | xargs grep -hE ' - (tmpfs|rootfs) ' /dev/null | sed 's/ .*/ /'
    sed 's/fd/fdinfo/' "$dir/others" | xargs grep -H '^mnt_id:' /dev/null |
      sed 's/^\(.*\)info\(.*\):mnt_id:[^0-9]*\([0-9]*\)$/\3 \1\2/'
  } | sort -u | sed -n -e '/^[0-9]* $/{h;d' -e '}' -e G -e 's/^\([0-9]*\) \(.*\)\n\1 $/\2/p'
}
# Files of tmpfs, also those that no process has open. Names with a line break are left out.
entries() {
  true > "$dir/unlisted"
  {
    while IFS= read -r point; do
      [ "$(walk_of "$point" "$dir/foreign-self")" = n ] || printf '%s\n' "$point"
    done < "$dir/points"
    sed -n 's|^[0-9]* @\([0-9]*\) w |/proc/\1/root|p' "$dir/tmpfs"
  } > "$dir/folders"
  [ ! -s "$dir/folders" ] || tr '\n' '\0' < "$dir/folders" | xargs -0 sh -c 'exec find "$@" -xdev -name "*
*" -prune -exec sh -c "echo odd" {} + -o -print 2>> "$0"' "$dir/unlisted" | head -n __TOO_MANY_FILES__
}
# What the processes with most shared memory in RSS map, largest first: /proc/PID/maps as slow_lines prints it.
shared_maps() {
  sed -n 's|^/proc/\([0-9]*\)/status:RssShmem:[^0-9]*\([0-9]*\) kB$|\2 \1|p' "$at/after" | sort -nr > "$dir/sharing"
  true > "$dir/mapped-names"
  largest=$(sed -n '__MAX_SHARING__,$d;s/^[0-9]\{5,\} /\/proc\//p' "$dir/sharing")
  if [ -n "$largest" ]; then
    processes=$largest
    slow_lines maps
  fi
}
# Whether all of these were read: what none of them maps is unmapped.
all_maps() {
  names=$(grep -c '' "$dir/mapped-names")
  # Before 4.5 there is no RssShmem.
  command -v timeout >/dev/null && [ -s "$dir/sharing" ] && [ ! -s "$dir/blocked" ] && ! grep -q '/maps: ' "$complaints" &&
    [ "$(grep -cE '^[0-9]{5}' "$dir/sharing")" -lt __MAX_SHARING__ ] &&
    [ "$names" -lt __MAX_CAPTURED__ ] && [ "$names" = "$(grep -c '' "$dir/mapped")" ]
}
# Mapped files in memory: device and inode, pid, blocks of 512 bytes, path in map_files, flag, name. The kernel looks them up
# under the mmap_lock.
mapped_files() {
  minors=$(sed -n 's/^\([0-9]*\) .*/\1/p' "$dir/tmpfs" | while read -r number; do
    printf '%02x|' $(((number & 255) | ((number >> 12) & 1048320)))
  done)
  command -v timeout >/dev/null || return
  sed -n -E "s#^(/proc/[0-9]*)/maps:([0-9a-f]*-[0-9a-f]*) ...s [0-9a-f]* 00:([0-9a-f]*) ([0-9]*) +(/.*)\$#\3 \4 \1/map_files/\2 \5#p" "$dir/maps" |
    grep -aE "^(${minors}-) |^[0-9a-f]+ [0-9]+ [^ ]+ /(memfd:.*|dev/zero) \(deleted\)\$" |
    sort -s -u -k1,2 | head -n __MAX_CAPTURED__ > "$dir/mapped-names"
  sed 's/^[^ ]* [^ ]* \([^ ]*\) .*/\1/' "$dir/mapped-names" |
    timeout -s KILL 5 xargs stat -L -c '%d:%i %f %b %n' /dev/null |
    sed -n 's/^\([0-9:]*\) 8... \([0-9]*\) \(\/proc\/\([0-9]*\)\/map_files\/.*\)$/\1 \4 \2 \3/p'
}
# Of each file: device and inode, pid, blocks of 512 bytes, path. One that is open has the path of its folder, if there is one: a
# process in another root sees another path.
sizes() {
  {
    in_tmpfs | xargs stat -L -c '%d:%i %f %b %n' /dev/null |
      sed -n 's/^\([0-9:]*\) 8... \([0-9]*\) \(\/proc\/\([0-9]*\)\/fd\/[0-9]*\)$/\1 \4 \2 \3/p'
    grep -av '^odd$' "$dir/entries" | tr '\n' '\0' | xargs -0 stat -c '%d:%i %f %b %n' /dev/null |
      sed -n 's/^\([0-9:]*\) 8... \([0-9]*\) \//\1 __NO_PID__ \2 \//p'
    # Only what no process has open and no folder contains.
    sed 's/^\([^ ]*\) /\1 __NO_PID__0/' "$dir/mapped"
  } 2>> "$dir/unlisted" | sort -k1,1 -k2,2n |
    sed -e ': next' -e '$!N' \
      -e 's/^\([^ ]*\) \([0-9]* [0-9]*\) \/proc\/[0-9]*\/fd\/[0-9]*\n\1 __NO_PID__ [0-9]* \(\/[^\n]*\)$/\1 \2 \3/' -e 't next' \
      -e 's/^\([^ ]*\)\( [^\n]*\)\n\1 [^\n]*$/\1\2/' -e 't next' -e P -e D | sort -k3,3nr
}
# Paths of mountinfo without its escapes, but for line breaks.
plain_paths() {
  sed -e 's/\\040/ /g' -e 's/\\011/	/g' -e 's/\\134/\\/g'
}
# Whether find may walk a folder: w, or n, since it asks for each mount in it, also with -xdev.
walk_of() {
  while IFS= read -r inner; do
    case $inner in "${1%/}"/*) echo n; return ;; esac
  done < "$2"
  echo w
}
# Tmpfs of all mount namespaces: device number, @PID of another namespace than this one, w or n (walk_of), mount point.
# Left out: paths through another machine or process, which might block. Mounts of mqueue go to a file: pid, path.
tmpfs_mounts() {
  true > "$dir/devices"
  true > "$dir/mqueues"
  # shellcheck disable=SC2034 # the first field is for sort
  {
    echo 'own self'
    ls -ln /proc/[0-9]*/ns/mnt 2>/dev/null | sed -n 's|.* /proc/\([0-9]*\)/ns/mnt -> \(mnt:.*\)$|\2 \1|p' |
      sort -u -k1,1 | head -n __MAX_NAMESPACES__
  } | while read -r namespace pid; do
    root=/proc/$pid/root inside=@$pid
    [ "$pid" != self ] || root= inside=-
    sed -n 's/^[0-9]* [0-9]* \([^ ]*\) \([^ ]*\) \([^ ]*\) .* - \([^ ]*\) .*/\4 \1 \2 \3/p' "/proc/$pid/mountinfo" \
      > "$dir/mounts" 2>/dev/null
    # Programs of this machine are on its own root.
    grep -vE '^(__LOCAL__) ' "$dir/mounts" | cut -d ' ' -f 4 | plain_paths |
      grep -vxe "${root:+-}/" > "$dir/foreign-$pid"
    sed -n -e '/\\012/d' -e 's#^\(tmpfs\|mqueue\) 0:\([0-9]*\) / #\1 \2 #p' "$dir/mounts" |
      plain_paths | while read -r type minor point; do
      ! grep -qx "$minor" "$dir/devices" || continue
      while IFS= read -r above; do
        case $point/ in "${above%/}"/*) continue 2 ;; esac
      done < "$dir/foreign-$pid"
      number=$(((minor & 255) | ((minor >> 8) << 20)))
      # Where a mount is covered, its path leads elsewhere.
      [ "$(stat -c %d "$root$point" 2>/dev/null)" = $number ] || continue
      echo "$minor" >> "$dir/devices"
      walk=$(walk_of "$point" "$dir/foreign-$pid")
      case $type$walk in
        tmpfs?) echo "$number $inside $walk $point" ;;
        mqueuew) echo "$pid $root$point" >> "$dir/mqueues" ;;
      esac
    done
  done
}
# Bytes of a tmpfs in use, and its size limit; nothing of one without a limit, which reports no use.
use_of() {
  size=$(stat -L -f -c '%T %S %b %f' "$1" 2>/dev/null) || return
  case $size in tmpfs*) ;; *) return 1 ;; esac
  size=${size#* } block=${size%% *} free=${size##* } all=${size#* } all=${all% *}
  [ "$all" -gt 0 ] && echo $(((all - free) * block)) $((all * block))
}
# What is in no listed file of each tmpfs: BYTES, pid of the namespace, size limit, mount point.
tmpfs_rests() {
  while read -r number inside _ point; do
    root=
    [ "$inside" = - ] || root=/proc/${inside#@}/root
    size=$(use_of "$root$point") || continue
    used=${size% *} limit=${size#* }
    [ "$used" -ge __MIN_BYTES__ ] || continue
    # shellcheck disable=SC2013 # numbers
    for bytes in $(sed -n "s/^$number:[0-9]* //p" "$dir/shown"); do used=$((used - bytes)); done
    [ "$used" -ge 0 ] || used=0
    echo "tmpfs $used -${inside#-}$unmapped $limit $point"
  done < "$dir/tmpfs"
}
# Whether a large part of Shmem is in nothing that was found.
unowned() {
  shmem=$(sed -n 's/^Shmem: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
  known=$(sed 's/.* //' "$dir/shown" | { sum=0; while read -r bytes; do sum=$((sum + bytes)); done; echo $sum; })
  known=$((known + $(sed 's/^tmpfs //;s/ .*//' "$dir/rests" | { sum=0; while read -r bytes; do sum=$((sum + bytes)); done; echo $sum; })))
  [ $((shmem * 1024)) -ge $((known + __DETACHED_BYTES__)) ]
}
# Memfds in tables that threads have of their own, which no list of processes has.
of_threads() {
  unowned || return
  over 'ls -ln /dev/null' /proc/[0-9]*/task/[0-9]*/fd | sed -n -e '/:$/{s/:$//;h;d' -e '}' \
    -e 's/^l[^>]* \([0-9]*\) -> \/memfd:.*/\1/' -e 't found' -e d -e ': found' -e G \
    -e 's/^\(.*\)\n\(.*\)$/\2\/\1/p' | head -n __MAX_FILES__ | xargs stat -L -c '%d:%i %f %b %n' /dev/null 2>/dev/null |
    sed -n 's/^\([0-9:]*\) 8... /\1 /p' | sort -s -u -k1,1 | while read -r key blocks path; do
    [ "$blocks" -ge __MIN_BLOCKS__ ] && ! grep -q "^$key " "$dir/shown" || continue
    [ "$(stat -L -f -c %T "$path" 2>/dev/null)" = tmpfs ] && name=$(ls -ln "$path" 2>/dev/null) || continue
    flag=$unmapped pid=${path#/proc/} name=${name#* -> /}
    case $mapped in *" $key "*) continue ;; esac
    echo "$key $((blocks * 512))" >> "$dir/shown"
    printf '%s %s%s %s\n' $((blocks * 512)) "${pid%%/*}" "$flag" \
      "$(printf '%s\n' "${name%' (deleted)'}" | sed '$!s/$/\\012/' | tr -d '\n')"
  done
}
# Tmpfs that were unmounted lazily, by a descriptor or working folder (shared-files.ts): a mount id that is in no mountinfo.
# An unmounted file system of another machine or process might block; each has its bdi.
detached() {
  unowned || return
  [ -d /sys/class/bdi ] || return
  cat /proc/[0-9]*/mountinfo 2>/dev/null | cut -d ' ' -f 1,3 | sort -u > "$dir/all-mounts"
  # shellcheck disable=SC2010 # names of devices
  bdis=$(ls /sys/class/bdi | grep -vE '^([1-9][0-9]*:[0-9]+|(__LOCAL__)(-.*)?)$')
  for bdi in $bdis; do
    grep -q " ${bdi%%-*}$" "$dir/all-mounts" || return
  done
  ids=" $(cut -d ' ' -f 1 "$dir/all-mounts" | tr '\n' ' ')"
  {
    [ -n "$bdis" ] || over 'stat -L -c x%d@%n' /proc/[0-9]*/cwd | tr @ ' ' | sort -s -u -k1,1
    over 'ls -ln /dev/null' /proc/[0-9]*/fd | sed -n -e '/:$/{s/:$//;h;d' -e '}' \
      -e '/ -> \/memfd:/d' -e 's/^l[^>]* \([0-9]*\) -> \/.*/\1/' -e 't found' -e d -e ': found' -e G \
      -e 's/^\(.*\)\n\(.*\)$/\2info\/\1/p' | head -n __MAX_FILES__ | xargs grep -H '^mnt_id:' /dev/null |
      sed 's/^\(.*\)info\(.*\):mnt_id:[^0-9]*\([0-9]*\)$/\3 \1\2/' | sort -s -u -k1,1
  } | while read -r id path; do
    case $ids in *" $id "*) continue ;; esac
    size=$(use_of "$path") || continue
    used=${size% *} number=$(stat -L -c %d "$path" 2>/dev/null) || continue
    minor=$(((number & 255) | ((number >> 12) & 1048320)))
    ! grep -qx "$minor" "$dir/devices" && ! grep -q " 0:$minor$" "$dir/all-mounts" || continue
    echo "$minor" >> "$dir/devices"
    pid=${path#/proc/}
    [ "$used" -lt __MIN_BYTES__ ] || echo "tmpfs $used ${pid%%/*}$unmapped ${size#* } (unmounted)"
  done
}
files_in_memory() {
  true > "$dir/shown"
  until=$(($(date +%s) + __MAX_SECONDS__)) shown=0 part=
  ! grep -acH '' "$dir/candidates" "$dir/entries" | grep -q ':__TOO_MANY_FILES__$' || part=yes
  inner=" $(sed -n 's/^\([0-9]*\) \(@[0-9]*\) .*/\1\2/p' "$dir/tmpfs" | tr '\n' ' ')"
  mapped=" $(cut -d ' ' -f 1 "$dir/mapped" | tr '\n' ' ')" unmapped=
  ! all_maps || unmapped=u
  while read -r key pid blocks path; do
    [ "$blocks" -ge __MIN_BLOCKS__ ] && [ "$shown" -lt __MAX_CAPTURED__ ] || break
    [ "$(date +%s)" -le "$until" ] || { part=yes; break; }
    kind= inside=${inner#*" ${key%:*}@"} flag=$unmapped
    if [ "$inside" = "$inner" ]; then inside=; else inside=@${inside%% *}; fi
    case $mapped in *" $key "*) flag=m ;; esac
    name=$path
    case $path in
      /proc/[0-9]*/root/*) name=${path#/proc/[0-9]*/root} ;;
      /proc/*/map_files/*)
        pid=${pid#__NO_PID__0}
        name=$(grep -aF " $path " "$dir/mapped-names") || continue
        name=${name#* * * }
        [ "$name" != '/dev/zero (deleted)' ] || kind='mapping ' name='shared anonymous mapping' inside= ;;
      /proc/*/fd/*)
        name=$(ls -ln "$path" 2>/dev/null) || continue
        name=${name#* -> } ;;
    esac
    [ "$pid" != __NO_PID__ ] || pid=-
    case $name in /memfd:*) name=${name#/} name=${name%' (deleted)'} ;; esac
    case $name in *'
'*) name=$(printf '%s\n' "$name" | sed '$!s/$/\\012/' | tr -d '\n') ;; esac
    printf '%s%s %s%s%s %s\n' "$kind" $((blocks * 512)) "$pid" "$inside" "$flag" "$name"
    echo "$key $((blocks * 512))" >> "$dir/shown"
    shown=$((shown + 1))
  done < "$dir/sizes"
  tmpfs_rests > "$dir/rests"
  of_threads > "$dir/of-threads"
  detached > "$dir/detached"
  cat "$dir/of-threads" "$dir/rests" "$dir/detached"
  shown=$((shown + $(cat "$dir/of-threads" "$dir/rests" "$dir/detached" | grep -c '')))
  [ -z "$part" ] || echo 'missing descriptors and tmpfs mounts: only a part was read'
  command -v stat >/dev/null || echo 'missing sizes of files: stat is not available'
  ! grep -aq '^odd$' "$dir/entries" || echo 'missing files of tmpfs with a line break in their names'
  denied=$(sed -n 's/^ls: .*\(\/proc\/[0-9]*\/fd\).*: \(Permission denied\|Operation not permitted\)$/\1/p' "$complaints" |
    sort -u | grep -c '')
  [ "$denied" = 0 ] || echo "missing descriptors of $denied processes: permission denied" | sed 's/ 1 processes/ 1 process/'
  ! grep -aq 'Permission denied$' "$dir/unlisted" || echo 'missing files or folders of tmpfs: permission denied'
  ! grep -av -e 'Permission denied$' -e 'No such [a-z ]*$' "$dir/unlisted" | grep -q . ||
    echo 'missing tmpfs mounts: find or stat failed'
  [ -d /proc/1 ] || echo 'missing not all processes are visible (hidepid, or a pid namespace)'
  echo "end $shown"
}

## What Node's writer takes too: fdinfo of devices (src/host/proc/graphics.ts), page pools and rings (src/host/netlink.ts),
## message queues (src/host/proc/message-queues.ts).
# Paths of the fdinfo of descriptors whose links begin so.
fdinfo_of() {
  sed -n -e '/^\/proc\/[0-9]*\/fd:$/{s/:$//;h;d' -e '}' -e "s/^l[^>]* \([0-9]*\) -> \($1\).*/\1/" \
    -e 't found' -e d -e ': found' -e G -e 's/^\(.*\)\n\(.*\)$/\2info\/\1/p' "$dir/open"
}
# Without the names that programs give to buffers, and of the files of io_uring; of mappings only those of perf's rings.
devices() {
  fdinfo_of '__DEVICE_PATTERN__' | xargs grep -aH ^ /dev/null 2>> "$complaints" | grep -av '^[^:]*:name:'
  fdinfo_of '__URING_PATTERN__' | xargs grep -aHE '__URING_LINES__' /dev/null 2>> "$complaints"
  processes=$(fdinfo_of '__PERF_PATTERN__' | sed 's|/fdinfo/.*||' | sort -u)
  [ -z "$processes" ] || slow_lines maps | grep -aE '^/proc/[0-9]+/maps:__PERF_LINES__'
}
netlink() {
  setns=0 place=0 limit=
  case $(uname -m) in x86_64) setns=__SETNS_X64__ ;; aarch64) setns=__SETNS_ARM64__ ;; esac
  ! command -v timeout >/dev/null || limit='timeout -s KILL __NETLINK_SECONDS__'
  set --
  while read -r inode path; do
    [ "$place" -lt __MAX_ENTERED__ ] || break
    echo "netns $place $inode"
    if [ "$inode" = "$own" ]; then path=-; fi
    set -- "$@" "$path"
    place=$((place + 1))
  done < "$dir/netns"
  if command -v perl >/dev/null; then
    $limit perl - "$setns" "$@" << 'END_OF_PERL'
__NETLINK_PERL__
END_OF_PERL
  else
    $limit python3 -I -S - "$setns" "$@" << 'END_OF_PYTHON'
__NETLINK_PYTHON__
END_OF_PYTHON
  fi
}
take_netlink() {
  if command -v perl >/dev/null || command -v python3 >/dev/null; then
    keep "$top/netlink" netlink && [ "$(tail -n 1 "$top/netlink")" = end ] && return
    note netlink unreadable 'perl or python3 failed'
  else
    note netlink absent 'page pools, rings of network interfaces, RDMA: needs python3 or perl'
  fi
  rm -f "$top/netlink"
}
# The queues of System V in other ipc namespaces.
take_ipc() {
  own_ipc=$(sed -n 's|.* /proc/self/ns/ipc -> ipc:\[\([0-9]*\)\]$|\1|p' "$at/namespaces")
  sed -n 's|.* \(/proc/[0-9]*/ns/ipc\) -> ipc:\[\([0-9]*\)\]$|\2 \1|p' "$at/namespaces" | sort -s -u -k1,1 |
    grep -v "^$own_ipc " > "$dir/ipc"
  [ "$(grep -c '' "$dir/ipc")" -le __MAX_QUEUE_NAMESPACES__ ] ||
    note message-queues unreadable 'only __MAX_QUEUE_NAMESPACES__ ipc namespaces were read'
  head -n __MAX_QUEUE_NAMESPACES__ "$dir/ipc" > "$dir/ipc-read"
  while read -r inode path; do
    keep "$top/ipc-$inode" nsenter "--ipc=$path" -- cat __SYSV_QUEUES__ < /dev/null && continue
    rm -f "$top/ipc-$inode"
    [ ! -e "$path" ] || note "ipc-$inode" denied 'its ipc namespace cannot be entered'
  done < "$dir/ipc-read"
}
# The queues of POSIX where mqueue is mounted: the mount in other mount namespaces, and PATH:LINE of each file.
posix_queues() {
  while read -r pid folder; do
    [ "$pid" = self ] || sed -n "s|.* - mqueue .*|/proc/$pid/mountinfo:&|p" "/proc/$pid/mountinfo" 2>/dev/null
    ! find "$folder" -xdev -name '*
*' | grep -q . || note message-queues unreadable 'a name has a line break'
    find "$folder" -xdev -type f ! -name '*
*' -exec grep -aH ^ /dev/null {} + 2>/dev/null | sed 's/\\/\\134/g'
  done < "$dir/mqueues" | head -n __MAX_QUEUES__
}

## The sockets of each network namespace (of processes, and of mounts), and why one could not be entered.
##
## A unix socket's name is a path that may contain blanks and line breaks, which ss prints unescaped. `nameless`
## replaces each word of a name, so that rows stay parsable; numbers and `*` stay, since such a word in a name looks
## like an inode. src/capture/write/sockets.ts does the same.
# What this ss understands, by its own answer: an older one knows fewer tables, and without -O each
# socket's details follow on lines of their own.
understands() {
  [ -z "$(ss "$@" -V 2>&1 >/dev/null)" ]
}
options=
for option in H O; do
  understands "-$option" && options=$options$option
done
tables=packet unknown=
for table in vsock_stream mptcp sctp; do
  if understands -A "$table"; then tables=$tables,$table
  else unknown="$unknown $table"; fi
done
[ -z "$unknown" ] || keep "$top/unknown-tables" echo $unknown
# Runs a command inside of the namespace that is being read.
inside() {
  case $way in
    own) "$@" ;;
    ip) ip netns exec "$name" "$@" ;;
    *) nsenter "--net=$path" -- "$@" ;;
  esac
}
complains() {
  inside cat /dev/null 2>&1
}
# How the namespace at $path is entered; what hinders that goes into the file "closed".
find_way() {
  complaint=$at/netns-$1/closed
  if [ "$1" = "$own" ]; then way=own; return; fi
  if command -v nsenter >/dev/null 2>&1; then
    way=nsenter
    keep "$complaint" complains && rm "$complaint" && return
  else
    keep "$complaint" echo 'no nsenter (util-linux), and no name in ip netns (iproute2)'
    # ip enters what has a name in its own directory, and nothing else.
    name=$(mounted | sed -n "\|^$1 \(/var\)*/run/netns/|{s///p;q;}")
    if [ -n "$name" ] && command -v ip >/dev/null 2>&1; then
      way=ip
      keep "$complaint" complains && rm "$complaint" && return
    fi
  fi
  way=none
  # What has ended meanwhile is not missed.
  if [ -e "$path" ]; then closed=$((closed + 1)) why=$(sed 's/[^ -~]/?/g;q' "$complaint")
  else rm -f "$complaint"; fi
}
# Each line becomes three: the first columns, the names, and what follows them.
nameless() {
  sed '1{
/^Netid  *State /b
}
s/^u_[a-z][a-z][a-z]  *[A-Z0-9-][A-Z0-9-]*  *[0-9][0-9]*  *[0-9][0-9]*  */&\
/
t rest
s/^/\
/
: rest
s/ *skmem:([a-z0-9,]*) [-<>][-<>]*\( ino:[0-9]* dev:[0-9]*\/[0-9]*\)*\( peers:[ 0-9]*\)* *$/\
&/
t names
s/ *<-> *$/\
&/
t names
s/$/\
/
: names
h
s/^.*\n\(.*\)\n.*$/\1/
s/[^ ]*[^ 0-9*][^ ]*/__LEFT_OUT_NAME__/g
G
s/^\([^\n]*\)\n\([^\n]*\)\n[^\n]*\n\([^\n]*\)$/\2\1\3/'
}
# Asks ss; where it fails, what it said is not taken for an answer.
ask() {
  group=$1
  shift
  keep "$here/$group" inside ss "$@" && hide "$group" && return
  rm -f "$here/$group"
  lost="$lost $group"
}
hide() {
  if [ "$1" = unix ]; then
    asked unix-paths && return
    mv "$here/unix" "$dir/named" && keep "$here/unix" nameless < "$dir/named"
  elif grep -q ' md5keys:' "$here/$1"; then
    mv "$here/$1" "$dir/named" && keep "$here/$1" keyless < "$dir/named"
  fi
}
# To root ss prints the keys of TCP-MD5.
keyless() {
  sed 's/ md5keys:[^ ]*//g'
}
# /proc/net/unix as it is, but for the names at the ends of its rows.
net_table() {
  if [ "$1" = unix ] && ! asked unix-paths; then
    inside_or "$1" | sed -e '1b' -e 's/^\([0-9A-Fa-f]*: [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* [0-9A-F]* *[0-9]*\).*$/\1/' \
      -e t -e 's/.*/__LEFT_OUT_NAME__/'
  else inside_or "$1"
  fi
}
inside_or() {
  if [ -n "$lives" ]; then cat "/proc/$lives/net/$1"
  else inside cat "/proc/net/$1"
  fi
}
# One namespace: its inode, a path to it, and a process in it (nothing: only a mount keeps it).
namespace() {
  case "$seen" in *" $1 "*) return ;; esac
  seen="$seen$1 "
  here=$at/netns-$1
  path=$2 lives=$3
  mkdir -p "$here/net" 2>/dev/null || full
  { echo "$1 $path" >> "$dir/netns"; } 2>/dev/null || full
  find_way "$1"
  if [ "$way" != none ]; then
    if command -v ss >/dev/null 2>&1; then
      lost=
      ask inet "-$options"nemaituw exclude time-wait
      ask unix "-$options"nemax
      ask others "-$options"nema -A "$tables"
      # Those of an ss that does not know one of them are not listed.
      [ "$at" != "$top/sample-1" ] || keep "$here/rare" inside ss "-$options"nea -A __RARE_TABLES__
      if [ -n "$lost" ] && [ -e "$path" ]; then
        keep "$here/failed" echo $lost
        echo "snapshot: note: ss failed in network namespace $1 (listing:$lost)" >&2
      fi
    fi
    keep "$here/tcp_max_tw_buckets" inside cat /proc/sys/net/ipv4/tcp_max_tw_buckets
  fi
  for table in netlink sockstat packet tcp tcp6 udp udp6 raw raw6 unix; do
    case $table in netlink | sockstat) ;; *) [ -e "$here/inet" ] && continue ;; esac
    if [ -n "$lives" ] || [ "$way" != none ]; then keep "$here/net/$table" net_table "$table"; fi
  done
}
# The namespaces that a mount keeps (ip netns, CNI, docker), as "INODE PATH", blanks in it as \040.
mounted() {
  sed -n 's/^[0-9]* [0-9]* [^ ]* net:\[\([0-9]*\)\] \([^ ]*\) .*/\1 \2/p' /proc/self/mountinfo
}

## Two samples: the sockets of each namespace, the processes around them, the changing counters.
# A name may hold anything, and comm has it too.
states() {
  over 'grep -vH ^Name:' $(each status) &&
    over 'grep -HE __THREAD_STATUS__' $(each 'task/[0-9]*/status') &&
    over 'grep -H ^' __PROCESS_FILES__ $([ "$at" = "$top/sample-1" ] || echo "__LAST_PROCESS_FILES__") &&
    over 'grep -vH ^Name:' $(waiting)
}
# What threads in state D wait for, and their states again.
waiting() {
  echo /dev/null
  over 'grep -l ^State:.D' $(each 'task/[0-9]*/status') |
    sed 's/status$/__WAIT_FILES__status/'
}
# A file of each listed process: one that started later has no state.
each() {
  printf "%s/$1 " $processes
}
namespaces() {
  over 'ls -ln' __OWN_NAMESPACES__ __NAMESPACE_LINKS__ |
    grep '__NAMESPACE_NAMES__'
}
# A directory's name stands before its names where ls is given more than one thing.
open_files() {
  over 'ls -ln /dev/null' /proc/[0-9]*/fd | grep -aF -f "$dir/wanted"
}
descriptors() {
  grep -aE '^/proc/|(socket|pipe):\[' "$dir/open"
}
lines_of_each() {
  over 'grep -aH ^' $(each "$1") | head -c __MAX_BYTES__
}
# The kernel answers these files under the mmap_lock of the process: while another task holds it, a read sleeps. A
# reader that makes no progress for 2 s is killed, its process left out, and all is read again.
BLOCKED='the read is blocked (mmap_lock held)'
slow_lines() {
  most=${2:-__MAX_BYTES__}
  while read -r path; do
    note "$path/$1" unreadable "$BLOCKED"
  done < "$dir/blocked"
  while :; do
    left_out=" $(tr '\n' ' ' < "$dir/blocked")"
    for path in $processes; do
      case $left_out$large in *" $path "*) ;; *) printf '%s\0' "$path/$1" ;; esac
    done > "$dir/paths"
    rm -f "$dir/reader" "$dir/read"
    slow_reader &
    run=$! progress= since=$(date +%s)
    while [ ! -e "$dir/read" ]; do
      sleep 0.1 || sleep 1
      # On a busy machine it may not have begun yet.
      reader=$(cat "$dir/reader" 2>/dev/null)
      [ -n "$reader" ] || continue
      now=$(sed 's/.*) //' "/proc/$reader/stat" | cut -d ' ' -f 1,12,13)
      case $now in
        "$progress") [ $(($(date +%s) - since)) -lt 3 ] || break ;;
        R*) progress= ;;
        *) progress=$now since=$(date +%s) ;;
      esac
    done
    [ ! -e "$dir/read" ] || break
    path=$(ls -l "/proc/$reader/fd" | sed -n 's/.* -> \(\/proc\/[0-9]*\)\/.*/\1/p')
    kill -9 "$reader"
    # Its end must not pass for that of the next one.
    wait "$run"
    note "${path:-sample}/$1" unreadable "$BLOCKED"
    [ -n "$path" ] || break
    echo "$path" >> "$dir/blocked"
  done
  cat "$dir/slow"
}
# Large processes: they can map no memory while the kernel sums up their mappings.
large() {
  [ -z "$all_pss" ] || return 0
  sed -n 's/^\(\/proc\/[0-9]*\)\/status:Vm\(RSS\|Swap\):[^0-9]*\([0-9]\{6,\}\) kB$/\1 \3/p' "$at/after" |
    while read -r path kilobytes; do
      [ "$kilobytes" -le __LARGE_KILOBYTES__ ] || echo "$path"
    done | sort -u
}
tell_large() {
  for path in $large; do
    note "$path/$1" large 'reading it blocks the process: --pss all'
  done
}
slow_reader() {
  xargs -0 sh -c 'echo $$ > "$0/reader"; renice 0 -p $$ >/dev/null 2>&1; exec grep -aH ^ "$@" 2>> "$0/complaints"' "$dir" < "$dir/paths" |
    head -c "$most" > "$dir/slow"
  true > "$dir/read"
}
arguments() {
  large=
  slow_lines cmdline | tr '\0' ' '
}
# An inode of a file below /proc/PID/net is one for each namespace, and takes no right to see.
tables_of() {
  xargs -n 500 ls -i < "$1" 2>/dev/null | sed 's/^ */@/'
}
# One process of each network namespace, itself for its own: inode, link, pid.
net_links() {
  for own_line in '\|/proc/self/|' '\|/proc/self/|!'; do
    sed -n "$own_line"'s|.* \(/proc/\([a-z0-9]*\)/ns/net\) -> net:\[\([0-9]*\)\]$|\3 \1 \2|p' "$at/namespaces"
  done | sort -s -u -k1,1
}
hidden_tables() {
  printf '%s\n' $processes | grep -vxF -f "$dir/shown" | sed 's|$|/net/dev|'
}
# Processes whose namespace is not shown and is none of those that were found: sockets may be missing.
tell_hidden() {
  [ -s "$dir/hidden" ] || return
  keep "$dir/found-tables" tables_of "$dir/found"
  keep "$dir/hidden-tables" tables_of "$dir/hidden"
  keep "$dir/known" sed 's/ .*/ /' "$dir/found-tables"
  keep "$dir/same" grep -F -f "$dir/known" "$dir/hidden-tables"
  keep "$dir/in-known" sed 's/^[^ ]* //' "$dir/same"
  keep "$dir/elsewhere" grep -v -F -x -f "$dir/in-known" "$dir/hidden"
  while read -r each; do
    each=${each%/net/dev}
    [ ! -d "$each" ] || note "$each/ns/net" denied 'its network namespace is not visible'
  done < "$dir/elsewhere"
}
# Processes of the lists before, whose states are not there because they exited.
tell_exited() {
  keep "$dir/listed" sed -n 's/.*\/proc\/\([0-9][0-9]*\)\/.*/\1/p' "$at/namespaces" "$at/descriptors"
  keep "$dir/with-state" sed -n 's/^\/proc\/\([0-9]*\)\/status:.*/\1/p' "$at/after"
  keep "$dir/without-state" grep -v -F -x -f "$dir/with-state" "$dir/listed"
  keep "$dir/exited" sort -u "$dir/without-state"
  while read -r pid; do
    [ -d "/proc/$pid" ] || note "/proc/$pid/status" gone 'the process exited'
  done < "$dir/exited"
}
part_of_processes() {
  ! asked "$1" || { keep "$at/$1" $2; bounded "sample-2/$1" __MAX_BYTES__; }
}
sample() {
  at=$top/sample-$1
  mkdir "$at" 2>/dev/null || full
  keep "$at/began" cat /proc/uptime || fail '/proc/uptime cannot be read'
  moving_files
  processes=$(echo /proc/[0-9]*)
  # What ran between the samples is told from before the first until after the last.
  [ "$1" = 2 ] || keep "$at/before" states || fail 'the states of the processes cannot be read'
  keep "$at/namespaces" namespaces || fail 'no network namespace is visible in /proc'
  own=$(ls -ln /proc/self/ns/net 2>/dev/null | sed 's/.*net:\[\([0-9]*\)\].*/\1/')
  seen=" " closed=0
  keep "$dir/netns" true
  keep "$dir/found" true
  keep "$dir/links" net_links
  keep "$dir/shown" sed 's|.* \(/proc/[0-9]*\)/ns/net.*|\1|' "$at/namespaces"
  keep "$dir/hidden" hidden_tables
  while read -r inode link pid; do
    { echo "/proc/$pid/net/dev" >> "$dir/found"; } 2>/dev/null || full
    namespace "$inode" "$link" "$pid" < /dev/null
  done < "$dir/links"
  keep "$dir/mounted" mounted
  while read -r inode mount; do
    # shellcheck disable=SC2059 # mountinfo escapes blanks as printf reads them
    namespace "$inode" "$(printf "$(printf %s "$mount" | sed 's/%/%%/g')")" '' < /dev/null
  done < "$dir/mounted"
  tell_hidden
  keep "$at/ended" cat /proc/uptime || fail '/proc/uptime cannot be read'
  keep "$dir/open" open_files
  keep "$at/descriptors" descriptors || fail 'the descriptors of the processes cannot be listed'
  processes=$(echo /proc/[0-9]*)
  [ "$1" = 1 ] || keep "$at/after" states || fail 'the states of the processes cannot be read'
  [ "$1" = 1 ] || tell_exited
}
facts
host_files
take_log
take_cgroups
keep "$top/slab-attributes" attributes
keep "$top/taken" date -u +%Y-%m-%dT%H:%M:%SZ || fail 'date failed'
keep "$dir/points" tmpfs_points
keep "$dir/tmpfs" tmpfs_mounts
keep "$dir/wanted" wanted
sample 1
sleep "$wait"
sample 2
take_netlink
take_ipc
keep "$top/message-queues" posix_queues
keep "$dir/candidates" candidates
keep "$dir/entries" entries
keep "$dir/blocked" true
# Lists of mappings take no longer for a large process.
large=
keep "$top/fdinfo" devices
keep "$dir/maps" shared_maps
keep "$dir/mapped" mapped_files
keep "$dir/sizes" sizes
keep "$top/files-in-memory" files_in_memory
keep "$dir/large" large
large=" $(tr '\n' ' ' < "$dir/large")"
keep "$at/memory" slow_lines smaps_rollup __MAX_PROCESS_BYTES__
bounded sample-2/memory __MAX_PROCESS_BYTES__
tell_large smaps_rollup
part_of_processes smaps 'slow_lines smaps'
! asked smaps || tell_large smaps
part_of_processes stacks 'lines_of_each task/[0-9]*/stack'
! asked arguments || keep "$at/arguments" arguments
tell_complaints
[ "$closed" = 0 ] ||
  echo "snapshot: note: network namespaces that could not be entered: $closed ($why)" >&2

## Writes the manifest and the archive, which appears under its final name when it is complete; see manifest.ts.
# The manifest: checksum, size and name of each file, and a last line that says how many they are.
cd "$top" || exit 3
files() {
  find . -type f
}
sums() {
  # shellcheck disable=SC2038 # the script chose the names
  find . -type f | xargs cksum
}
count() {
  # shellcheck disable=SC2005 # without the blanks of some grep
  echo $(grep -c '' "$1")
}
keep "$dir/files" files && keep "$dir/sums" sums && [ "$(count "$dir/files")" = "$(count "$dir/sums")" ] ||
  fail 'cannot checksum the captured files (find, xargs and cksum required)'
cd "$dir" || exit 3
last() {
  cat sums && echo "whole $(count sums)"
}
set -- __TOP_DIRECTORY__/*
keep __TOP_DIRECTORY__/manifest last
if [ "$out" = - ]; then exec 4>&1
else
  part=$out.$$.partial
  (exec 2>/dev/null; true > "$part") || fail "$out cannot be written"
  exec 4> "$part"
fi
status=$({ { tar -cf - "$@" __TOP_DIRECTORY__/manifest 3>&- 4>&-; echo $? >&3; } | gzip 3>&- >&4 || echo gzip >&3; } 3>&1 2>/dev/null)
[ "$status" = 0 ] || fail "the archive cannot be written to $out"
# Out of the page cache with it, where dd can; it must lie on the disk for that.
[ "$out" = - ] || dd of="$part" oflag=nocache conv=notrunc,fdatasync count=0 2>/dev/null
[ "$out" = - ] || mv -f "$part" "$out" 2>/dev/null || fail "$out cannot be written"
part=
