import {
  MAX_BYTES,
  MAX_PROCESS_BYTES,
  NAMESPACES,
  PROCESS_FILES,
  THREAD_STATUS,
} from '../contents.js';

/** Two samples: the sockets of each namespace, the processes around them, the changing counters. */
export const SAMPLES = String.raw`
# A name may hold anything, and comm has it too.
states() {
  over 'grep -vH ^Name:' $(each status) &&
    over 'grep -HE ${THREAD_STATUS.source}' $(each 'task/[0-9]*/status') &&
    over 'grep -H ^' ${PROCESS_FILES.map((name) => `$(each ${name})`).join(' ')}
}
# A file of each listed process: one that started later has no state.
each() {
  printf "%s/$1 " $processes
}
namespaces() {
  over 'ls -ln' /proc/self/ns/net ${NAMESPACES.map((name) => `/proc/[0-9]*/ns/${name}`).join(' ')} |
    grep '${NAMESPACES.map((name) => `${name}:\\[`).join('\\|')}'
}
# A directory's name stands before its names where ls is given more than one thing.
descriptors() {
  over 'ls -ln /dev/null' /proc/[0-9]*/fd | grep -E '^/proc/|socket:\['
}
lines_of_each() {
  over 'grep -aH ^' $(each "$1") | head -c ${MAX_BYTES}
}
# The kernel answers these files under the mmap_lock of the process: while another task holds it, a read sleeps. A
# reader that makes no progress for 2 s is killed, its process left out, and all is read again.
slow_lines() {
  most=${'$'}{2:-${MAX_BYTES}}
  while :; do
    left_out=" $(tr '\n' ' ' < "$dir/blocked")"
    for path in $processes; do
      case $left_out in *" $path "*) ;; *) printf '%s\0' "$path/$1" ;; esac
    done > "$dir/paths"
    rm -f "$dir/reader" "$dir/read"
    slow_reader &
    progress= since=0
    while [ ! -e "$dir/read" ]; do
      sleep 0.1 || sleep 1
      reader=$(cat "$dir/reader")
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
    note "${'$'}{path:-sample}/$1" unreadable 'the read is blocked (mmap_lock held)'
    [ -n "$path" ] || break
    echo "$path" >> "$dir/blocked"
  done
  cat "$dir/slow"
}
slow_reader() {
  xargs -0 sh -c 'echo $$ > "$0/reader"; exec grep -aH ^ "$@" 2>> "$0/complaints"' "$dir" < "$dir/paths" |
    head -c "$most" > "$dir/slow"
  true > "$dir/read"
}
arguments() {
  slow_lines cmdline | tr '\0' ' '
}
# An inode of a file below /proc/PID/net is one for each namespace, and takes no right to see.
tables_of() {
  xargs -n 500 ls -i < "$1" 2>/dev/null | sed 's/^ */@/'
}
listed() {
  { echo "/proc/$2/net/dev" >> "$dir/$1"; } 2>/dev/null || full
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
    each=${'$'}{each%/net/dev}
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
  ! asked "$1" || { keep "$at/$1" $2; bounded "sample-2/$1" ${MAX_BYTES}; }
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
  keep "$dir/found" true
  keep "$dir/hidden" true
  for link in /proc/self/ns/net /proc/[0-9]*/ns/net; do
    inode=$(ls -ln "$link" 2>/dev/null | sed -n 's/.*net:\[\([0-9]*\)\].*/\1/p')
    pid=$(echo "$link" | cut -d/ -f3)
    if [ -z "$inode" ]; then
      listed hidden "$pid"
      continue
    fi
    case "$seen" in *" $inode "*) ;; *) listed found "$pid" ;; esac
    namespace "$inode" "$link" "$pid"
  done
  keep "$dir/mounted" mounted
  while read -r inode mount; do
    namespace "$inode" "$(printf "$(printf %s "$mount" | sed 's/%/%%/g')")" '' < /dev/null
  done < "$dir/mounted"
  tell_hidden
  keep "$at/ended" cat /proc/uptime || fail '/proc/uptime cannot be read'
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
sample 1
sleep "$wait"
sample 2
keep "$dir/blocked" true
keep "$at/memory" slow_lines smaps_rollup ${MAX_PROCESS_BYTES}
bounded sample-2/memory ${MAX_PROCESS_BYTES}
part_of_processes smaps 'slow_lines smaps'
part_of_processes stacks 'lines_of_each task/[0-9]*/stack'
! asked arguments || keep "$at/arguments" arguments
tell_complaints
[ "$closed" = 0 ] ||
  echo "snapshot: note: network namespaces that could not be entered: $closed ($why)" >&2
`;
