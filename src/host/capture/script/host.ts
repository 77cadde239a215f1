import { COMMAND_LINE_SED } from '../command-line.js';
import {
  CGROUP_FILES,
  CGROUP_ROOT,
  HOST_FILES,
  HOST_PATTERNS,
  LAYOUT_VERSION,
  MOST_BYTES,
  MOST_CGROUPS,
  MOST_ERRORS,
  NEVER_TAKEN,
  SAMPLED_FILES,
  SECRET_PARTS,
  SLAB_ATTRIBUTES,
  WITH_ARGUMENTS,
} from '../contents.js';

/** A list for `for`, on lines of its own. */
const list = (paths: readonly string[]): string => paths.join(' \\\n  ');

/**
 * The files of the host, its log, its cgroups. /proc's files say a size of 0, so tar cannot take them by
 * itself: each is read by cat, and the many small ones by one grep that puts the path before each line.
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
  sed -n -e '/smaps[_a-z]*: No such process$/d' -e '/^grep: \/sys\/.*: No such file or directory$/d' \
    -e 's/\\/\\134/g' -e 's/	/\\011/g' \
    -e 's/^grep: \(\/.*\): \(No such .*\)$/\1	gone	\2/p;t' \
    -e 's/^grep: \(\/.*\): \(Permission denied\|Operation not permitted\)$/\1	denied	\2/p;t' \
    -e 's/^grep: \(\/.*\): \(.*\)$/\1	unreadable	\2/p;t' \
    -e 's/^ls: .*\(\/proc\/[0-9]*\/[a-z]*\).*: \(Permission denied\|Operation not permitted\)$/\1	denied	\2/p;t' \
    -e '/^ls: .*: No such [a-z ]*$/d' -e 's/^/sample	unreadable	/p' "$complaints" | sort -u > "$dir/told"
  head -n ${MOST_ERRORS} "$dir/told" >> "$top/errors" || full
  more=$(($(grep -c '' "$dir/told") - ${MOST_ERRORS}))
  [ "$more" -le 0 ] || note errors cut "$more more"
}
attributes() {
  over 'grep -H ^' ${SLAB_ATTRIBUTES.map((name) => `/sys/kernel/slab/*/${name}`).join(' ')}
}
cgroups() {
  find ${CGROUP_ROOT} -name memory.stat 2>> "$complaints" | head -n ${MOST_CGROUPS} > "$dir/cgroups"
  sed -n 's/memory.stat$//
h
${CGROUP_FILES.map((name) => `g;s/$/${name}/p`).join('\n')}' "$dir/cgroups" | tr '\n' '\0' |
    xargs -0 grep -H ^ 2>> "$complaints" | sed 's/\\/\\134/g'
}
take_cgroups() {
  keep "$top/cgroups" cgroups
  [ "$(grep -c '' "$dir/cgroups")" -lt ${MOST_CGROUPS} ] || note cgroups cut 'after ${MOST_CGROUPS} of them'
}
# As /dev/kmsg has it: a record a read, from the oldest that is left, until it would have to wait.
log() {
  dd if=/dev/kmsg iflag=nonblock bs=16384 2> "$dir/dd" | masked | head -c ${MOST_BYTES}
}
older_log() {
  dmesg -r | masked | head -c ${MOST_BYTES}
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
    ! grep -q 'Broken pipe' "$dir/dd" || note log cut 'lines went while they were read'
  else
    keep "$top/log" older_log
    [ -s "$top/log" ] || note log denied 'neither /dev/kmsg nor dmesg gives it'
  fi
  bounded log ${MOST_BYTES}
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
