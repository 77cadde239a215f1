/**
 * The capture: POSIX sh, and tar, cat, ls, grep, sed, xargs, mkdir, sleep, gzip; `ss`, and `nsenter` or
 * `ip`, where they are. It writes what `skcheck --from` reads: two samples of the sockets of each network
 * namespace (of processes, and of mounts), with the processes' states at both, and the facts of the host;
 * and why a namespace could not be entered. It changes nothing.
 *
 * /proc's files say a size of 0, so tar cannot take them by itself: each is read by cat, and the many
 * small ones by one grep that puts the path before each line.
 */
export const CAPTURE_SCRIPT = String.raw`#!/bin/sh
# What skcheck wants to know of this host, for: skcheck --from FILE.tar.gz
# Usage: sh capture.sh FILE.tar.gz [SECONDS]     (as root, for all processes and namespaces)
set -u
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin:/usr/bin:/bin"
out=$1
wait=${'$'}{2:-2}
dir=$(mktemp -d) || exit 3
trap 'rm -rf "$dir"' EXIT
trap 'exit 3' HUP INT TERM
top=$dir/skcheck-capture
mkdir "$top" || exit 3
take() {
  [ -r "$1" ] || return 0
  mkdir -p "$top${'$'}{1%/*}"
  cat "$1" > "$top$1" 2>/dev/null
}
for file in meminfo slabinfo buddyinfo net/sockstat sys/kernel/hostname sys/kernel/osrelease \
  sys/net/core/max_skb_frags sys/net/ipv4/tcp_mem sys/net/ipv4/udp_mem \
  sys/net/ipv4/tcp_max_orphans sys/net/ipv4/tcp_max_tw_buckets self/mountinfo; do
  take "/proc/$file"
done
each() {
  printf '%s\0' "$@" | xargs -0 grep -sH '' 2>/dev/null
}
states() {
  each /proc/[0-9]*/status /proc/[0-9]*/task/[0-9]*/status |
    grep -E ':(State|Tgid|NSpid|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):'
  each /proc/[0-9]*/comm /proc/[0-9]*/wchan /proc/[0-9]*/cgroup /proc/[0-9]*/stat \
    /proc/[0-9]*/schedstat
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
tables=packet
for table in vsock_stream mptcp sctp; do
  if understands -A "$table"; then tables=$tables,$table
  else echo "$table" >> "$top/unknown-tables"; fi
done
# Runs a command inside of the namespace that is being read.
inside() {
  case $way in
    own) "$@" ;;
    ip) ip netns exec "$name" "$@" ;;
    *) nsenter "--net=$path" -- "$@" ;;
  esac
}
# How the namespace at $path is entered; what hinders that goes into the file "closed".
find_way() {
  complaint=$at/netns-$1/closed
  if [ "$1" = "$own" ]; then way=own; return; fi
  if command -v nsenter >/dev/null 2>&1; then
    way=nsenter
    inside cat /dev/null 2> "$complaint" && rm "$complaint" && return
  else
    echo 'there is neither nsenter (util-linux) nor a name that ip netns (iproute2) knows' > "$complaint"
    # ip enters what has a name in its own directory, and nothing else.
    name=$(mounted | sed -n "\|^$1 \(/var\)*/run/netns/|{s///p;q;}")
    if [ -n "$name" ] && command -v ip >/dev/null 2>&1; then
      way=ip
      inside cat /dev/null 2> "$complaint" && rm "$complaint" && return
    fi
  fi
  way=none
  # What has ended meanwhile is not missed.
  if [ -e "$path" ]; then closed=$((closed + 1)) why=$(sed 's/[^ -~]/?/g;q' "$complaint")
  else rm -f "$complaint"; fi
}
# One namespace: its inode, a path to it, and a process in it (nothing: only a mount keeps it).
namespace() {
  case "$seen" in *" $1 "*) return ;; esac
  seen="$seen$1 "
  here=$at/netns-$1
  path=$2
  mkdir -p "$here/net"
  find_way "$1"
  if [ "$way" != none ]; then
    if command -v ss >/dev/null 2>&1; then
      inside ss "-${'$'}{options}nemaitu" -w exclude time-wait > "$here/inet" 2>/dev/null || rm "$here/inet"
      inside ss "-${'$'}{options}nemax" > "$here/unix" 2>/dev/null
      inside ss "-${'$'}{options}nema" -A "$tables" > "$here/others" 2>/dev/null
    fi
    inside cat /proc/sys/net/ipv4/tcp_max_tw_buckets > "$here/tcp_max_tw_buckets" 2>/dev/null
  fi
  for table in netlink sockstat packet tcp tcp6 udp udp6 raw raw6 unix; do
    case $table in netlink | sockstat) ;; *) [ -e "$here/inet" ] && continue ;; esac
    if [ -n "$3" ]; then cat "/proc/$3/net/$table" > "$here/net/$table"
    elif [ "$way" != none ]; then inside cat "/proc/net/$table" > "$here/net/$table"
    fi 2>/dev/null
  done
}
# The namespaces that a mount keeps (ip netns, CNI, docker), as "INODE PATH", blanks in it as \040.
mounted() {
  sed -n 's/^[0-9]* [0-9]* [^ ]* net:\[\([0-9]*\)\] \([^ ]*\) .*/\1 \2/p' /proc/self/mountinfo
}
sample() {
  at=$top/sample-$1
  mkdir "$at"
  cat /proc/uptime > "$at/began"
  states > "$at/before"
  ls -ln /proc/self/ns/net /proc/[0-9]*/ns/net 2>/dev/null | grep 'net:\[' > "$at/namespaces"
  own=$(ls -ln /proc/self/ns/net 2>/dev/null | sed 's/.*net:\[\([0-9]*\)\].*/\1/')
  seen=" " closed=0
  for link in /proc/self/ns/net /proc/[0-9]*/ns/net; do
    inode=$(ls -ln "$link" 2>/dev/null | sed -n 's/.*net:\[\([0-9]*\)\].*/\1/p')
    [ -n "$inode" ] || continue
    pid=${'$'}{link#/proc/}
    namespace "$inode" "$link" "${'$'}{pid%/ns/net}"
  done
  mounted > "$dir/mounted"
  while read -r inode mount; do
    namespace "$inode" "$(printf "$(printf %s "$mount" | sed 's/%/%%/g')")" '' < /dev/null
  done < "$dir/mounted"
  cat /proc/uptime > "$at/ended"
  states > "$at/after"
  ls -ln /proc/[0-9]*/fd 2>/dev/null | grep -E '^/proc/|socket:\[' > "$at/descriptors"
}
date -u +%Y-%m-%dT%H:%M:%SZ > "$top/taken"
echo 1 > "$top/version"
sample 1
sleep "$wait"
sample 2
[ "$closed" = 0 ] ||
  echo "skcheck: note: network namespaces that could not be entered: $closed ($why)" >&2
(cd "$dir" && tar -cf - skcheck-capture | gzip) > "$out" || exit 3
`;
