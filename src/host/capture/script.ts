/**
 * The capture: POSIX sh, and tar, cat, ls, grep, sed, find, xargs, cksum, mkdir, mktemp, sleep, gzip; `ss`,
 * and `nsenter` or `ip`, where they are. It writes what `skcheck --from` reads: two samples of the sockets
 * of each network namespace (of processes, and of mounts), with the processes' states at both, and the
 * facts of the host; and why a namespace could not be entered. It changes nothing.
 *
 * /proc's files say a size of 0, so tar cannot take them by itself: each is read by cat, and the many
 * small ones by one grep that puts the path before each line.
 *
 * It writes all of it or ends with status 3 and one line. Whatever is written goes through a cat of its
 * own, so that a write that fails (a full disk, a limit) is told from a process that has ended. The last
 * member of the archive, `manifest`, names all others with what cksum says of them; see manifest.ts.
 */
export const CAPTURE_SCRIPT = String.raw`#!/bin/sh
# What skcheck wants to know of this host, for: skcheck --from FILE.tar.gz
# Usage: sh capture.sh FILE.tar.gz [SECONDS]     (as root, for all processes and namespaces)
# With - as the file the archive goes to stdout.
set -u
umask 077
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/bin:/bin"
fail() {
  echo "skcheck: $1" >&2
  exit 3
}
full() {
  fail "${'$'}{TMPDIR:-/tmp} cannot be written: the disk may be full. Set TMPDIR to a directory with room"
}
[ $# -gt 0 ] || fail 'usage: sh capture.sh FILE.tar.gz [SECONDS]'
out=$1
case $out in - | /*) ;; *) out=$PWD/$out ;; esac
wait=${'$'}{2:-2}
[ ! -d "$out" ] || fail "$out is a directory"
dir=$(mktemp -d 2>/dev/null) || full
part=
trap 'rm -rf "$dir"; [ -z "$part" ] || rm -f "$part"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# A limit on file sizes is to be an error of the write.
trap '' XFSZ
top=$dir/skcheck-capture
mkdir "$top" 2>/dev/null || full
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
take() {
  [ -r "$1" ] || return 0
  mkdir -p "$top${'$'}{1%/*}" 2>/dev/null || full
  keep "$top$1" cat "$1"
}
for file in meminfo zoneinfo vmstat slabinfo buddyinfo vmallocinfo self/auxv net/sockstat sys/kernel/hostname sys/kernel/osrelease \
  sys/net/core/max_skb_frags sys/net/ipv4/tcp_mem sys/net/ipv4/udp_mem \
  sys/net/ipv4/tcp_max_orphans sys/net/ipv4/tcp_max_tw_buckets self/mountinfo; do
  take "/proc/$file"
done
# xargs says 123 where a file or directory has gone meanwhile, which is no failure.
over() {
  command=$1
  shift
  printf '%s\0' "$@" | xargs -0 $command || [ $? = 123 ]
}
states() {
  over 'grep -sHE ^(State|Tgid|NSpid|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):' \
    /proc/[0-9]*/status /proc/[0-9]*/task/[0-9]*/status &&
    over 'grep -sH ^' /proc/[0-9]*/comm /proc/[0-9]*/wchan /proc/[0-9]*/cgroup /proc/[0-9]*/stat \
      /proc/[0-9]*/schedstat
}
namespaces() {
  over 'ls -ln' /proc/self/ns/net /proc/[0-9]*/ns/net | grep 'net:\['
}
# A directory's name stands before its names where ls is given more than one thing.
descriptors() {
  over 'ls -ln /dev/null' /proc/[0-9]*/fd | grep -E '^/proc/|socket:\['
}
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
    keep "$complaint" echo 'there is neither nsenter (util-linux) nor a name that ip netns (iproute2) knows'
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
# Asks ss; where it fails, what it said is not taken for an answer.
ask() {
  group=$1
  shift
  keep "$here/$group" inside ss "$@" && return
  rm -f "$here/$group"
  lost="$lost $group"
}
# One namespace: its inode, a path to it, and a process in it (nothing: only a mount keeps it).
namespace() {
  case "$seen" in *" $1 "*) return ;; esac
  seen="$seen$1 "
  here=$at/netns-$1
  path=$2
  mkdir -p "$here/net" 2>/dev/null || full
  find_way "$1"
  if [ "$way" != none ]; then
    if command -v ss >/dev/null 2>&1; then
      lost=
      ask inet "-${'$'}{options}nemaitu" -w exclude time-wait
      ask unix "-${'$'}{options}nemax"
      ask others "-${'$'}{options}nema" -A "$tables"
      if [ -n "$lost" ] && [ -e "$path" ]; then
        keep "$here/failed" echo $lost
        echo "skcheck: note: ss failed in network namespace $1 (asked for:$lost)" >&2
      fi
    fi
    keep "$here/tcp_max_tw_buckets" inside cat /proc/sys/net/ipv4/tcp_max_tw_buckets
  fi
  for table in netlink sockstat packet tcp tcp6 udp udp6 raw raw6 unix; do
    case $table in netlink | sockstat) ;; *) [ -e "$here/inet" ] && continue ;; esac
    if [ -n "$3" ]; then keep "$here/net/$table" cat "/proc/$3/net/$table"
    elif [ "$way" != none ]; then keep "$here/net/$table" inside cat "/proc/net/$table"
    fi
  done
}
# The namespaces that a mount keeps (ip netns, CNI, docker), as "INODE PATH", blanks in it as \040.
mounted() {
  sed -n 's/^[0-9]* [0-9]* [^ ]* net:\[\([0-9]*\)\] \([^ ]*\) .*/\1 \2/p' /proc/self/mountinfo
}
sample() {
  at=$top/sample-$1
  mkdir "$at" 2>/dev/null || full
  keep "$at/began" cat /proc/uptime || fail '/proc/uptime cannot be read'
  keep "$at/before" states || fail 'the states of the processes cannot be read'
  keep "$at/namespaces" namespaces || fail 'no network namespace is shown in /proc'
  own=$(ls -ln /proc/self/ns/net 2>/dev/null | sed 's/.*net:\[\([0-9]*\)\].*/\1/')
  seen=" " closed=0
  for link in /proc/self/ns/net /proc/[0-9]*/ns/net; do
    inode=$(ls -ln "$link" 2>/dev/null | sed -n 's/.*net:\[\([0-9]*\)\].*/\1/p')
    [ -n "$inode" ] || continue
    pid=${'$'}{link#/proc/}
    namespace "$inode" "$link" "${'$'}{pid%/ns/net}"
  done
  keep "$dir/mounted" mounted
  while read -r inode mount; do
    namespace "$inode" "$(printf "$(printf %s "$mount" | sed 's/%/%%/g')")" '' < /dev/null
  done < "$dir/mounted"
  keep "$at/ended" cat /proc/uptime || fail '/proc/uptime cannot be read'
  keep "$at/after" states || fail 'the states of the processes cannot be read'
  keep "$at/descriptors" descriptors || fail 'the descriptors of the processes cannot be listed'
}
keep "$top/taken" date -u +%Y-%m-%dT%H:%M:%SZ || fail 'date failed'
keep "$top/version" echo 2
sample 1
sleep "$wait"
sample 2
[ "$closed" = 0 ] ||
  echo "skcheck: note: network namespaces that could not be entered: $closed ($why)" >&2
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
set -- skcheck-capture/*
keep skcheck-capture/manifest last
if [ "$out" = - ]; then exec 4>&1
else
  part=$out.$$.partial
  (exec 2>/dev/null; true > "$part") || fail "$out cannot be written"
  exec 4> "$part"
fi
status=$({ { tar -cf - "$@" skcheck-capture/manifest 3>&- 4>&-; echo $? >&3; } | gzip 3>&- >&4 || echo gzip >&3; } 3>&1 2>/dev/null)
[ "$status" = 0 ] || fail "the archive cannot be written to $out"
[ "$out" = - ] || mv -f "$part" "$out" 2>/dev/null || fail "$out cannot be written"
part=
`;
