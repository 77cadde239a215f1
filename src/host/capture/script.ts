/**
 * The capture: POSIX sh, and tar, cat, ls, grep, xargs, mkdir, sleep, gzip; `ss` and `nsenter` where
 * they are. It writes what `skcheck --from` reads: two samples of the sockets of each network
 * namespace, with the processes' states at both, and the facts of the host. It changes nothing.
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
tables() {
  if command -v ss >/dev/null 2>&1; then
    $2 ss -HOnemaitu -w exclude time-wait > "$1/inet" 2>/dev/null
    $2 ss -HOnemax > "$1/unix" 2>/dev/null
    $2 ss -HOnema -A packet,vsock_stream,mptcp,sctp > "$1/others" 2>/dev/null
  fi
}
sample() {
  at=$top/sample-$1
  mkdir "$at"
  cat /proc/uptime > "$at/began"
  states > "$at/before"
  ls -ln /proc/self/ns/net /proc/[0-9]*/ns/net 2>/dev/null | grep 'net:\[' > "$at/namespaces"
  own=$(ls -ln /proc/self/ns/net 2>/dev/null | sed 's/.*net:\[\([0-9]*\)\].*/\1/')
  seen=" "
  for link in /proc/self/ns/net /proc/[0-9]*/ns/net; do
    inode=$(ls -ln "$link" 2>/dev/null | sed -n 's/.*net:\[\([0-9]*\)\].*/\1/p')
    case "$inode" in '') continue ;; esac
    case "$seen" in *" $inode "*) continue ;; esac
    seen="$seen$inode "
    pid=${'$'}{link#/proc/}
    pid=${'$'}{pid%/ns/net}
    mkdir -p "$at/netns-$inode/net"
    if [ "$inode" = "$own" ]; then tables "$at/netns-$inode" ''
    else
      tables "$at/netns-$inode" "nsenter --net=$link --"
      nsenter "--net=$link" -- cat /proc/sys/net/ipv4/tcp_max_tw_buckets \
        > "$at/netns-$inode/tcp_max_tw_buckets" 2>/dev/null
    fi
    for table in netlink sockstat packet tcp tcp6 udp udp6 raw raw6 unix; do
      case $table in netlink | sockstat) ;; *) command -v ss >/dev/null 2>&1 && continue ;; esac
      cat "/proc/$pid/net/$table" > "$at/netns-$inode/net/$table" 2>/dev/null
    done
  done
  cat /proc/uptime > "$at/ended"
  states > "$at/after"
  ls -ln /proc/[0-9]*/fd 2>/dev/null | grep -E '^/proc/|socket:\[' > "$at/descriptors"
}
date -u +%Y-%m-%dT%H:%M:%SZ > "$top/taken"
echo 1 > "$top/version"
sample 1
sleep "$wait"
sample 2
(cd "$dir" && tar -cf - skcheck-capture | gzip) > "$out" || exit 3
`;
